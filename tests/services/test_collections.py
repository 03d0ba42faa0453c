"""A collection that follows a filter holds what matches, after every edit and scan; its groups see
that and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from discovery.models import Collection, RegisteredModel
from discovery.services.curation import collections
from discovery.services.findings import findings
from discovery.services.metadata import metadata
from discovery.services.scans import categorization
from tests.support import builders

Make = Callable[..., RegisteredModel]


def make(name: str, query: str = "", *, by: User, groups: tuple[Group, ...] = ()) -> Collection:
    return collections.save(Collection(), name=name, query=query, groups=groups, by=by)


def names(collection: Collection) -> list[str]:
    return sorted(collection.models.values_list("name", flat=True))


def test_members_follow_the_filter_through_edits_and_undone_edits(
    make_model: Make, admin_user: User
) -> None:
    a, _ = make_model("a", license="mit"), make_model("b")
    mit = make("mit", "license=mit", by=admin_user)
    assert names(mit) == ["a"]
    metadata.edit(
        RegisteredModel.objects.get(name="b"), {"license": "mit"}, by=admin_user, channel="page"
    )
    assert names(mit) == ["a", "b"]
    metadata.edit(a, {"license": "gpl-3.0"}, by=admin_user, channel="page")
    assert names(mit) == ["b"]
    metadata.edit(a, {"license": None}, by=admin_user, channel="page")
    assert names(mit) == ["a", "b"]


def test_members_follow_tags_text_and_bounds(make_model: Make, admin_user: User) -> None:
    make_model("big", parameter_count=9_000_000_000)
    made = {
        query: make(query, query, by=admin_user) for query in ("tag=x", "q=big", "min_params=8b")
    }
    metadata.edit(
        RegisteredModel.objects.get(name="big"), {"tags": ["x"]}, by=admin_user, channel="page"
    )
    assert {query: names(collection) for query, collection in made.items()} == {
        "tag=x": ["big"],
        "q=big": ["big"],
        "min_params=8b": ["big"],
    }
    metadata.edit(
        RegisteredModel.objects.get(name="big"),
        {"tags": ["y"], "parameter_count": 5},
        by=admin_user,
        channel="page",
    )
    assert {query: names(collection) for query, collection in made.items()} == {
        "tag=x": [],
        "q=big": ["big"],
        "min_params=8b": [],
    }


def test_its_groups_see_what_is_in_it_and_lose_what_leaves_it(
    make_model: Make, admin_user: User, user: User
) -> None:
    group = Group.objects.create(name="medics")
    user.groups.add(group)
    model = make_model("m", visibility="RESTRICTED")
    hidden = make_model("hidden", visibility="ADMIN_ONLY")
    make("ours", "tag=approved", groups=(group,), by=admin_user)

    def seen() -> list[str]:
        return list(RegisteredModel.objects.visible_to(user).values_list("name", flat=True))

    assert seen() == []
    for record in (model, hidden):
        metadata.edit(record, {"tags": ["approved"]}, by=admin_user, channel="page")
    assert seen() == ["m"]
    metadata.edit(model, {"tags": ["revoked"]}, by=admin_user, channel="page")
    assert seen() == []


def test_scans_bring_models_in_and_out(models_root: Path, scan: Any, admin_user: User) -> None:
    builders.transformers(models_root / "one")
    scan(models_root)
    ready = make("ready", "status=READY", by=admin_user)
    assert names(ready) == ["one"]
    builders.transformers(models_root / "two")
    (models_root / "one/config.json").write_text("{broken")
    scan(models_root)
    assert names(ready) == ["two"]


def test_verdicts_bring_models_out(make_model: Make, admin_user: User) -> None:
    model = make_model("m")
    ready = make("ready", "status=READY", by=admin_user)
    model.scanned_status = "CORRUPT"
    findings.settle([model])
    assert names(ready) == []


def test_new_rules_bring_models_in(
    models_root: Path, scan: Any, admin_user: User, config_dir: Path
) -> None:
    builders.transformers(models_root / "one")
    scan(models_root)
    vision = make("vision", "primary=VISION", by=admin_user)
    assert names(vision) == []
    rules = {
        "categorization_rules": {
            "primary_category": {"VISION": {"keywords": ["one"], "weight": 99}}
        }
    }
    builders.write_json(config_dir / "model_categorization.json", rules)
    categorization.recategorize()
    assert names(vision) == ["one"]


def test_turned_to_choice_by_hand_it_keeps_its_models(make_model: Make, admin_user: User) -> None:
    make_model("a", license="mit")
    collection = make("mit", "license=mit", by=admin_user)
    collections.save(collection, name="kept", by=admin_user)
    metadata.edit(
        RegisteredModel.objects.get(), {"license": "gpl-3.0"}, by=admin_user, channel="page"
    )
    assert names(collection) == ["a"]
    collections.save(collection, name="kept", query="license=mit", by=admin_user)
    assert names(collection) == []


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({"name": " "}, "name", "Give it a name"),
        ({"name": "x" * 121}, "name", "Give it a name"),
        ({"name": "taken"}, "name", "already"),
        ({"name": "x", "description": "y" * 1_001}, "description", "1,001 characters"),
        ({"name": "x", "query": "page=7"}, "query", "This is not a filter"),
        ({"name": "x", "query": "favourites=1"}, "query", "differ for each person"),
        ({"name": "x", "query": "collection=taken"}, "query", "follow another"),
        ({"name": "x", "query": "q=collection:taken"}, "query", "follow another"),
        ({"name": "x", "query": "min_params=lots"}, "query", "not understood"),
    ],
)
def test_what_cannot_be_a_collection_is_refused_and_nothing_is_kept(
    given: dict[str, str], field: str, why: str, admin_user: User
) -> None:
    make("taken", by=admin_user)
    with pytest.raises(collections.CollectionError, match=why) as caught:
        collections.save(Collection(), **given, by=admin_user)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert Collection.objects.count() == 1


def test_a_whole_address_of_the_models_page_is_a_filter(make_model: Make, admin_user: User) -> None:
    collection = make(
        "x", "http://127.0.0.1:8000/models/?license=mit&page=3&sort=-size", by=admin_user
    )
    assert collection.query.startswith("license=mit")


def test_following_costs_a_fixed_number_of_statements_however_many_models(
    make_model: Make, admin_user: User
) -> None:
    make("mit", "license=mit", by=admin_user)
    records = [make_model(f"m{n}") for n in range(40)]

    def cost(chosen: list[RegisteredModel]) -> int:
        with CaptureQueriesContext(connection) as queries:
            metadata.edit_many(
                {record: {"license": "mit"} for record in chosen},
                by=admin_user,
                channel="page",
                batch=uuid4(),
            )
        return len(queries)

    cost(records[:1])  # makes the row that says who sees the models, for all the others
    assert cost(records[1:3]) == cost(records[3:])
    assert Collection.objects.get().models.count() == 40
