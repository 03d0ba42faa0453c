"""Ids that models had before: who is found by them, and that nobody else gets them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from discovery.models import Alias, Forgotten, LogEntry, RegisteredModel, ScanRun
from discovery.services.bulk.selections import Selection
from discovery.services.core import event_log
from discovery.services.insight import comparison, lineage
from discovery.services.integrations import webhooks
from discovery.services.metadata import merge_patch, metadata
from discovery.services.registry import aliases, deregistration
from discovery.services.scans import registration, reviewing
from discovery.services.scans.joining import absorb
from tests.support import builders

Scan = Callable[..., ScanRun]
Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db


@pytest.fixture
def renamed(make_model: Make) -> RegisteredModel:
    """The model ``now``, which was ``before`` too."""
    now, before = make_model("now"), make_model("before")
    absorb({now: before})
    return RegisteredModel.objects.get()


def test_an_alias_finds_its_model_and_a_usual_search_costs_one_query(
    renamed: RegisteredModel, make_model: Make, django_assert_num_queries: Any
) -> None:
    other = make_model("other")
    rows = RegisteredModel.objects.all()
    with django_assert_num_queries(1):
        assert aliases.find(rows, "now") == renamed
    with django_assert_num_queries(2):
        assert aliases.find(rows, "before") == renamed
    with django_assert_num_queries(1):
        assert aliases.find_many(rows, ["now", "other"]) == {"now": renamed, "other": other}
    with django_assert_num_queries(2):
        assert aliases.find_many(rows, ["before", "other", "nobody", "now"]) == {
            "before": renamed,
            "other": other,
            "now": renamed,
        }


@pytest.mark.parametrize("odd", ["", "\0", "a\0b", "\ud800", "x" * 201, " now"])
def test_what_is_no_id_finds_nothing(renamed: RegisteredModel, odd: str) -> None:
    rows = RegisteredModel.objects.all()
    assert aliases.find(rows, odd) is None
    assert aliases.find_many(rows, [odd]) == {}
    assert not rows.filter(aliases.named([odd])).exists()
    assert not rows.filter(aliases.named([])).exists()


def test_a_hidden_model_is_not_found_by_its_alias_either(
    renamed: RegisteredModel, user: User
) -> None:
    visible = RegisteredModel.objects.visible_to(user)
    assert aliases.find(visible, "before") is None
    assert aliases.find_many(visible, ["before"]) == {}


def test_a_models_own_id_wins_over_an_alias_even_where_it_is_hidden(
    renamed: RegisteredModel, make_model: Make, user: User
) -> None:
    RegisteredModel.objects.filter(pk=renamed.pk).update(visibility="PUBLIC")
    own = make_model("before", path="elsewhere")  # the registry itself never gives the id again
    assert aliases.find(RegisteredModel.objects.all(), "before") == own
    assert aliases.find_many(RegisteredModel.objects.all(), ["before"]) == {"before": own}
    assert aliases.find(RegisteredModel.objects.visible_to(user), "before") is None


def test_aliases_follow_when_joined_models_are_joined_again(
    renamed: RegisteredModel, make_model: Make
) -> None:
    last = make_model("last")
    absorb({last: renamed})
    assert {row.alias: row.model for row in Alias.objects.select_related("model")} == {
        "before": last,
        "now": last,
    }


def test_no_new_model_gets_an_alias_as_its_id(
    models_root: Path, scan: Scan, renamed: RegisteredModel, admin_user: User
) -> None:
    builders.transformers(models_root / "shelf" / "before")
    scan(models_root)
    assert RegisteredModel.objects.get(path="shelf/before").model_id == "shelf-before"
    builders.transformers(models_root / ".hidden" / "before", hidden=128)
    record = registration.register(
        {"path": str(models_root / ".hidden" / "before")}, by=admin_user, channel="api"
    )
    assert record.model_id not in ("before", "shelf-before")


def test_forgetting_keeps_aliases_for_the_model_until_it_is_back(
    models_root: Path, scan: Scan, admin_user: User
) -> None:
    builders.transformers(models_root / "x")
    scan(models_root)
    record = RegisteredModel.objects.get()
    aliases.add({"before": record})
    deregistration.forget(record, by=admin_user, channel="api")
    assert aliases.find(RegisteredModel.objects.all(), "before") is None
    assert aliases.taken(["x", "before", "free"]) == {"x", "before"}
    scan(models_root, full=True)
    again = RegisteredModel.objects.get()
    assert (again.model_id, aliases.find(RegisteredModel.objects.all(), "before")) == ("x", again)
    assert not Forgotten.objects.exists()


def test_a_forgotten_model_that_was_found_elsewhere_keeps_the_id_it_had_meanwhile(
    models_root: Path, scan: Scan, admin_user: User
) -> None:
    for number, name in enumerate(("x", "u", "v")):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    scan(models_root)
    metadata.edit(
        RegisteredModel.objects.get(model_id="x"), {"license": "mit"}, by=admin_user, channel="api"
    )
    deregistration.forget(RegisteredModel.objects.get(model_id="x"), by=admin_user, channel="api")
    shutil.move(models_root / "x", models_root / "shelf-of-x")
    scan(models_root / "shelf-of-x")  # which cannot know what else is gone
    meanwhile = RegisteredModel.objects.get(path="shelf-of-x").model_id
    scan(models_root)
    again = RegisteredModel.objects.get(path="shelf-of-x")
    assert (again.model_id, again.license) == ("x", "mit")
    assert aliases.find(RegisteredModel.objects.all(), meanwhile) == again


def test_a_move_that_one_run_sees_leaves_no_alias(models_root: Path, scan: Scan) -> None:
    for number, name in enumerate(("x", "u", "v")):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    scan(models_root)
    shutil.move(models_root / "x", models_root / "y")
    assert scan(models_root).moved == 1
    assert RegisteredModel.objects.get(path="y").model_id == "x"
    assert not Alias.objects.exists()


def test_a_new_record_that_an_earlier_run_found_leaves_its_id_as_an_alias(
    models_root: Path, scan: Scan, admin_user: User
) -> None:
    for number, name in enumerate(("x", "u", "v")):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    scan(models_root)
    shutil.move(models_root / "x", models_root.parent / "x")
    scan(models_root)
    for name in ("p", "q"):
        shutil.copytree(models_root.parent / "x", models_root / name)
    scan(models_root)
    old, one = (RegisteredModel.objects.get(model_id=name) for name in ("x", "p"))
    reviewing.reject(old, one, by=admin_user)
    assert scan(models_root).moved == 1
    assert RegisteredModel.objects.get(path="q").model_id == "x"
    assert list(Alias.objects.values_list("alias", "model__model_id")) == [("q", "x")]


def test_joining_by_hand_makes_an_alias(
    models_root: Path, scan: Scan, admin_user: User, make_model: Make
) -> None:
    builders.transformers(models_root / "p")
    scan(models_root)
    new = RegisteredModel.objects.get()
    old = make_model(
        "x",
        root=new.root,
        status="MISSING",
        missing_since=timezone.now(),
        fingerprint=new.fingerprint,
    )
    joined = reviewing.join(old, new, by=admin_user)
    assert (joined.model_id, joined.path) == ("x", "p")
    assert aliases.find(RegisteredModel.objects.all(), "p") == joined


def test_every_choice_of_models_takes_aliases(
    renamed: RegisteredModel, make_model: Make, admin_user: User
) -> None:
    assert Selection(ids=("before", "now")).keys(admin_user) == [renamed.pk]
    chosen = comparison.choose(admin_user, ["before", "now", "nobody"])
    assert (list(chosen.models), list(chosen.unknown)) == ([renamed], ["nobody"])
    tuned = make_model("tuned", type="PEFT", base_model="acme/before")
    assert lineage.base_of(tuned, admin_user) == renamed


def test_a_batch_that_names_a_model_twice_says_so_whatever_it_is_called(
    renamed: RegisteredModel, admin_user: User
) -> None:
    told = merge_patch.update_many(
        [("before", {"license": "mit"}), ("now", {"license": "apache-2.0"})],
        by=admin_user,
        channel="api",
        atomic=False,
    )
    assert [(each.model_id, each.alias, bool(each.errors)) for each in told] == [
        ("now", "before", False),
        ("now", "", True),
    ]
    renamed.refresh_from_db()
    assert renamed.license == "mit"


def test_the_log_of_an_alias_is_that_of_the_model(
    renamed: RegisteredModel, make_model: Make, django_assert_num_queries: Any
) -> None:
    make_model("other")
    for model_id in ("now", "other", "gone"):
        LogEntry.objects.create(
            at=timezone.now(), level="info", topic="discovery", model_id=model_id
        )
    for name, expected in (("now", ["now"]), ("before", ["now"]), ("gone", ["gone"])):
        with django_assert_num_queries(1):
            rows = [row.model_id for row in event_log.entries(model_id=aliases.current(name))]
        assert rows == expected


def test_webhooks_tell_the_aliases_of_a_model(renamed: RegisteredModel, admin_user: User) -> None:
    told = webhooks._model(renamed)
    assert (told["model_id"], told["aliases"]) == ("now", ["before"])
    assert webhooks._aliases(["now", "nobody"]) == {"now": ["before"]}
