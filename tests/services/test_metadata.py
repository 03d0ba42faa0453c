"""What people decide beats what scans read, is validated before anything is written, and is on record."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from discovery.models import LogEntry, MetadataChange, RegisteredModel
from discovery.services import metadata
from discovery.services.records import document, sources

Make = Callable[..., RegisteredModel]


def test_curated_beats_extracted_and_none_gives_it_back(make_model: Make, user: User) -> None:
    model = make_model("m", license="mit")
    metadata.edit(model, {"license": "apache-2.0"}, by=user, through="page")
    assert model.license == "apache-2.0"
    assert sources(model)["license"] == {"source": "edited by reader", "curated": True}
    metadata.edit(model, {"license": None}, by=user, through="page")
    assert model.license == "mit"
    assert sources(model)["license"] == {"source": "config.json", "curated": False}


def test_every_change_is_a_row_with_before_and_after(make_model: Make, user: User) -> None:
    model = make_model("m")
    metadata.edit(model, {"tags": ["a"], "description": "Ours"}, by=user, through="api")
    changes = MetadataChange.objects.filter(model=model)
    assert {(c.field, str(c.after), c.through) for c in changes} == {("tags", "['a']", "api"), ("description", "Ours", "api")}
    assert len({c.batch for c in changes}) == 1
    assert LogEntry.objects.filter(channel="metadata", model_id="m").exists()


def test_setting_the_same_value_again_changes_nothing(make_model: Make, user: User) -> None:
    model = make_model("m")
    metadata.edit(model, {"author": "A"}, by=user, through="page")
    assert metadata.edit(model, {"author": "A"}, by=user, through="page") == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tags": "chat"}, "tags"),
        ({"status": "READY"}, "status"),
        ({"context_length": -5}, "context_length"),
        ({"description": "x" * 5000}, "description"),
        ({"primary": "SMELL"}, "primary"),
        ({"type": "FAST"}, "type"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_nothing_is_written(make_model: Make, user: User, changes: dict[str, object], field: str) -> None:
    model = make_model("m")
    with pytest.raises(metadata.InvalidMetadata) as caught:
        metadata.edit(model, {**changes, "author": "A"}, by=user, through="page")
    assert set(caught.value.errors) == {field}
    model.refresh_from_db()
    assert model.curated == {}


def test_the_document_has_every_field_of_the_contract(make_model: Make) -> None:
    found = document(make_model("m", context_length=4096, tags=["a"]))
    expected = {
        "model_id", "name", "display_name", "description", "path", "root", "type", "format", "status", "architecture", "model_family",
        "parameter_count", "active_parameter_count", "context_length", "embedding_length", "layer_count", "vocab_size", "dtype", "quantization",
        "bits_per_weight", "base_model", "base_model_relation", "modalities", "input_modalities", "output_modalities", "capabilities", "category",
        "tags", "language_support", "license", "author", "version", "use_cases", "specialized_domains", "performance_metrics",
        "resource_requirements", "optimization_settings", "custom", "memory", "variants", "size_bytes", "file_count", "modified_at", "added_at",
        "last_seen_at", "visibility", "groups", "sources", "evidence",
    }  # fmt: skip
    assert expected <= set(found)
    assert (found["context_length"], found["tags"], found["license"]) == (4096, ["a"], None)
