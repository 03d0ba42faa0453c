"""What people decide beats what scans read, is validated before anything is written, and is on
record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User

from discovery.models import Collection, LogEntry, MetadataChange, RegisteredModel
from discovery.services.findings import triage
from discovery.services.metadata import metadata
from discovery.services.registry.records import READ_BY_RESOLVE, document, sources

Make = Callable[..., RegisteredModel]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_curated_beats_extracted_and_none_gives_it_back(make_model: Make, user: User) -> None:
    model = make_model("m", license="mit")
    metadata.edit(model, {"license": "apache-2.0"}, by=user, channel="page")
    assert model.license == "apache-2.0"
    assert sources(model)["license"] == {"source": "edited by reader", "curated": True}
    metadata.edit(model, {"license": None}, by=user, channel="page")
    assert model.license == "mit"
    assert sources(model)["license"] == {"source": "config.json", "curated": False}


def test_every_change_is_a_row_with_before_and_after(make_model: Make, user: User) -> None:
    model = make_model("m")
    metadata.edit(model, {"tags": ["a"], "description": "Ours"}, by=user, channel="api")
    changes = MetadataChange.objects.filter(model=model)
    assert {(c.field, str(c.after), c.channel) for c in changes} == {
        ("tags", "['a']", "api"),
        ("description", "Ours", "api"),
    }
    assert len({c.batch for c in changes}) == 1
    assert LogEntry.objects.filter(topic="metadata", model_id="m").exists()


def test_setting_the_same_value_again_changes_nothing(make_model: Make, user: User) -> None:
    model = make_model("m")
    metadata.edit(model, {"author": "A"}, by=user, channel="page")
    assert metadata.edit(model, {"author": "A"}, by=user, channel="page") == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tags": "chat"}, "tags"),
        ({"status": "READY"}, "status"),
        ({"context_length": -5}, "context_length"),
        ({"description": "x" * 5000}, "description"),
        ({"primary": "SMELL"}, "primary"),
        ({"type": "FAST"}, "type"),
        ({"tags": ["ok", "x" * 10_000]}, "tags"),
        ({"tags": ["ok", 5]}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"license": ["mit"]}, "license"),
        ({"description": "nul \0 inside"}, "description"),
        ({"description": "half \ud800"}, "description"),
        ({"capabilities": ["FLY"]}, "capabilities"),
        ({"custom": "text"}, "custom"),
        ({"custom": {"n": 1 << 64}}, "custom"),
        ({"custom": {"n": float("nan")}}, "custom"),
        ({"custom": nested(1_000)}, "custom"),
        ({"performance_metrics": {"a": "x" * 5_000}}, "performance_metrics"),
        ({"visibility": "EVERYBODY"}, "visibility"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_nothing_is_written(
    make_model: Make, user: User, changes: dict[str, object], field: str
) -> None:
    model = make_model("m")
    with pytest.raises(metadata.InvalidMetadata) as caught:
        metadata.edit(model, {**changes, "author": "A"}, by=user, channel="page")
    assert set(caught.value.errors) == {field}
    model.refresh_from_db()
    assert model.curated == {}


def test_the_document_has_every_field_of_the_contract(make_model: Make) -> None:
    found = document(make_model("m", context_length=4096, tags=["a"]))
    expected = {
        "model_id", "name", "display_name", "description", "path", "root", "type", "format",
        "status", "architecture", "model_family",
        "parameter_count", "active_parameter_count", "context_length", "embedding_length",
        "layer_count", "vocab_size", "dtype", "quantization",
        "bits_per_weight", "base_model", "base_model_relation", "modalities", "input_modalities",
        "output_modalities", "capabilities", "category",
        "tags", "language_support", "license", "author", "version", "use_cases",
        "specialized_domains", "performance_metrics",
        "resource_requirements", "optimization_settings", "custom", "memory", "variants",
        "size_bytes", "file_count", "modified_at", "added_at",
        "last_seen_at", "visibility", "groups", "sources", "evidence",
    }  # fmt: skip
    assert expected <= set(found)
    assert (found["context_length"], found["tags"], found["license"]) == (4096, ["a"], None)


def test_a_change_that_nobody_saw_is_not_overwritten(make_model: Make, user: User) -> None:
    model = make_model("m", license="mit")
    seen = {name: metadata.stamp(model, name) for name in ("license", "author")}
    metadata.edit(model, {"license": "apache-2.0"}, by=user, channel="page")
    with pytest.raises(metadata.Conflict) as caught:
        metadata.edit(
            model, {"license": "bsd-3-clause", "author": "A"}, by=user, channel="page", seen=seen
        )
    assert caught.value.theirs == {"license": "apache-2.0"}
    model.refresh_from_db()
    assert (model.license, model.author) == ("apache-2.0", None)
    metadata.edit(
        model, {"license": "apache-2.0", "author": "A"}, by=user, channel="page", seen=seen
    )
    assert model.author == "A"


def test_objects_merge_key_by_key_and_none_takes_a_key_away(make_model: Make, user: User) -> None:
    model = make_model("m", extracted={"performance_metrics": {"speed": "fast", "score": 0.5}})
    metadata.edit(
        model,
        metadata.merged(model, {"performance_metrics": {"score": 0.9, "speed": None, "new": 1}}),
        by=user,
        channel="api",
    )
    assert model.value("performance_metrics") == {"score": 0.9, "new": 1}


def test_tags_of_models_have_rows_that_follow_them(make_model: Make, user: User) -> None:
    model = make_model("m")
    metadata.edit(model, {"tags": ["a", "b"]}, by=user, channel="page")
    assert set(model.tagged.values_list("name", flat=True)) == {"a", "b"}
    metadata.edit(model, {"tags": ["b", "c"]}, by=user, channel="page")
    assert set(model.tagged.values_list("name", flat=True)) == {"b", "c"}
    metadata.edit(model, {"tags": None}, by=user, channel="page")
    assert not model.tagged.exists()


def test_visibility_is_changed_like_a_field(make_model: Make, user: User) -> None:
    model = make_model("m")
    (change,) = metadata.edit(model, {"visibility": "PUBLIC"}, by=user, channel="page")
    assert (model.visibility, change.before, change.after) == ("PUBLIC", None, "PUBLIC")


def test_collections_and_groups_are_changed_like_fields(make_model: Make, user: User) -> None:
    model = make_model("m")
    for name in ("b", "a"):
        Collection.objects.create(name=name)
    Group.objects.create(name="team")
    followed = Collection.objects.create(name="followed", query="q=m")
    model.collections.add(followed)
    made = metadata.edit(
        model, {"collections": ["b", "a"], "groups": ["team"]}, by=user, channel="page"
    )
    assert {(change.field, tuple(change.before), tuple(change.after)) for change in made} == {
        ("collections", (), ("a", "b")),
        ("groups", (), ("team",)),
    }
    assert set(model.collections.values_list("name", flat=True)) == {"a", "b", "followed"}
    metadata.edit(model, {"collections": ["b"], "groups": []}, by=user, channel="page")
    assert set(model.collections.values_list("name", flat=True)) == {"b", "followed"}
    assert not model.groups.exists()


@pytest.mark.parametrize("value", [["nobody"], ["followed"], ["a\0"], "a", [1], None])
def test_a_model_is_put_only_into_collections_that_exist_and_are_kept_by_hand(
    make_model: Make, user: User, value: object
) -> None:
    model = make_model("m")
    Collection.objects.create(name="followed", query="q=m")
    with pytest.raises(metadata.InvalidMetadata) as caught:
        metadata.edit(model, {"collections": value}, by=user, channel="page")
    assert set(caught.value.errors) == {"collections"}


def test_a_model_in_quarantine_is_not_shown_to_others_by_way_of_its_visibility(
    make_model: Make, user: User
) -> None:
    model = make_model("m")
    triage.quarantine(model, by=user)
    with pytest.raises(metadata.InvalidMetadata, match="quarantine"):
        metadata.edit(model, {"visibility": "PUBLIC", "author": "A"}, by=user, channel="page")
    model.refresh_from_db()
    assert (model.visibility, model.curated) == ("ADMIN_ONLY", {})


def test_a_hundred_models_are_written_in_as_many_statements_as_two(
    make_model: Make, user: User, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    Collection.objects.create(name="shelf")
    for number in range(100):
        make_model(f"m{number}")
    models = list(
        RegisteredModel.objects.only(
            "model_id", "visibility", "quarantined_at", *READ_BY_RESOLVE
        ).order_by("pk")
    )
    for some in (models[:2], models):
        changes = {
            record: {"tags": [f"t{len(some)}"], "collections": ["shelf"] if some is models else []}
            for record in some
        }
        with django_assert_max_num_queries(30):
            metadata.edit_many(changes, by=user, channel="page", batch=uuid4())
    assert Collection.objects.get().models.count() == 100
