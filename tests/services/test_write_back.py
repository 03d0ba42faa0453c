"""What people decided goes into metadata.json: a scan of the tree on an empty database gives it
back, and nothing else in the file moves.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from discovery.models import LogEntry, RegisteredModel, Root
from discovery.services.bulk.operations import Operation
from discovery.services.metadata import metadata, write_back
from discovery.services.metadata.write_back import Outcome
from tests.support import builders
from tests.support.awkward import awkward

Scan = Callable[..., Any]

TENSORS = [("w", "F32", (7, 7))]

EVERYTHING: dict[str, Any] = {
    "display_name": "Our \"best\" model",
    "description": "Two lines,\nwith <b>HTML</b> and 漢字",
    "license": "Apache License 2.0",
    "author": "Ünïcode & Co",
    "version": "2.0",
    "architecture": "Odd",
    "model_family": "odd",
    "base_model": "org/base",
    "base_model_relation": "merge",
    "quantization": "Q9",
    "type": "ONNX",
    "primary": "AUDIO",
    "secondary": "ANALYSIS",
    "specialization": "LEGAL",
    "modalities": ["AUDIO", "TEXT"],
    "input_modalities": ["AUDIO"],
    "output_modalities": ["TEXT"],
    "capabilities": ["TRANSCRIPTION", "CHAT"],
    "tags": ["b", "a", "with; semicolon"],
    "language_support": ["de"],
    "use_cases": ["x y"],
    "specialized_domains": ["z"],
    "parameter_count": 7_241_732_096,
    "active_parameter_count": 5,
    "context_length": 123_456,
    "embedding_length": 3,
    "layer_count": 9,
    "vocab_size": 77,
    "performance_metrics": {"speed": 1.5, "deep": {"a": [1, None, True]}},
    "resource_requirements": {"min_ram_gb": 8},
    "optimization_settings": {"temperature": 0.1},
    "custom": {"owner": "us", "n": 1},
}  # fmt: skip


def decided(record: RegisteredModel) -> dict[str, Any]:
    return {name: entry["value"] for name, entry in record.curated.items()}


def forget_everything() -> None:
    RegisteredModel.objects.all().delete()
    Root.objects.all().delete()


@pytest.mark.parametrize("folder", ["llama", "gguf", "adapter", "loose"])
def test_a_scan_on_an_empty_database_gives_the_same_curated_values(
    folder: str, models_root: Path, scan: Scan, user: User
) -> None:
    make = {
        "llama": lambda path: builders.transformers(
            path, card=builders.DemoCard("Card", "Text", license="Apache License 2.0")
        ),
        "gguf": lambda path: builders.gguf_folder(path, stem="gguf", name="G"),
        "adapter": builders.adapter,
        "loose": lambda path: builders.safetensors(path / "loose.safetensors", TENSORS),
    }
    (models_root / folder).mkdir()
    make[folder](models_root / folder)
    scan(models_root)
    record = RegisteredModel.objects.get(path=folder)
    metadata.edit(record, EVERYTHING, by=user, channel="page")
    (result,) = write_back.write([record])
    assert (result.outcome, set(result.fields)) == (Outcome.WRITTEN, set(EVERYTHING))
    wanted = decided(record)
    forget_everything()
    scan(models_root)
    found = RegisteredModel.objects.get(path=folder)
    assert found.curated == {}
    assert {name: found.value(name) for name in wanted} == wanted
    assert {entry["source"] for name, entry in found.extracted.items() if name in wanted} == {
        "metadata.json"
    }


@pytest.mark.parametrize("seed", range(8))
def test_awkward_values_come_back_from_the_files_too(
    seed: int, models_root: Path, scan: Scan, user: User
) -> None:
    chance = Random(seed)
    builders.transformers(
        models_root / "m", card=builders.DemoCard("Card", "Text", license="mit", tags=("x",))
    )
    style = chance.choice(
        [{"indent": 4}, {"indent": None}, {"indent": "\t", "ensure_ascii": False}]
    )
    (models_root / "m/metadata.json").write_text(
        json.dumps({"house": [1, 2], **awkward(chance), "visibility": "kept"}, **style)
    )
    scan(models_root)
    record = RegisteredModel.objects.get()
    metadata.edit(record, awkward(chance), by=user, channel="page")
    wanted = decided(record)
    list(write_back.write([record]))
    forget_everything()
    scan(models_root)
    found = RegisteredModel.objects.get()
    assert {name: found.value(name) for name in wanted} == wanted
    written = json.loads((models_root / "m/metadata.json").read_text())
    assert (written["house"], written["visibility"]) == ([1, 2], "kept")


def test_writing_again_changes_nothing(models_root: Path, scan: Scan, user: User) -> None:
    builders.transformers(models_root / "m")
    scan(models_root)
    record = RegisteredModel.objects.get()
    metadata.edit(record, EVERYTHING, by=user, channel="page")
    list(write_back.write([record]))
    before = (models_root / "m/metadata.json").stat().st_mtime_ns
    scan(models_root)
    record.refresh_from_db()
    assert [result.outcome for result in write_back.write([record])] == [Outcome.UNCHANGED]
    assert (models_root / "m/metadata.json").stat().st_mtime_ns == before


def test_unknown_keys_order_indentation_and_mode_of_the_file_stay(
    models_root: Path, scan: Scan, user: User
) -> None:
    builders.transformers(models_root / "m")
    path = models_root / "m/metadata.json"
    path.write_bytes(
        b'\xef\xbb\xbf{\r\n\t"house rule": {"a":1.50},\r\n\t"license": "old",\r\n\t"tags":'
        b' ["x"]\r\n}\r\n'
    )
    path.chmod(0o640)
    scan(models_root)
    record = RegisteredModel.objects.get()
    metadata.edit(record, {"license": "mit", "author": "A"}, by=user, channel="page")
    (result,) = write_back.write(write_back.curated_models())
    assert result.fields == ("author", "license")
    assert (
        path.read_bytes()
        == b'\xef\xbb\xbf{\r\n\t"house rule": {"a":1.50},\r\n\t"license": "mit",\r\n\t"tags":'
        b' ["x"],\r\n\t"author": "A"\r\n}\r\n'
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert not list(path.parent.glob("*.tmp")) + list(path.parent.glob(".*.tmp"))
    assert LogEntry.objects.filter(model_id="m", message__contains="wrote author, license").exists()


def test_custom_fields_that_people_took_away_stay_away_and_unseen_ones_stay(
    models_root: Path, scan: Scan, user: User
) -> None:
    builders.transformers(models_root / "m")
    path = models_root / "m/metadata.json"
    path.write_text('{"loose": 1, "other": 2, "custom": {"inner": 3}}')
    scan(models_root)
    record = RegisteredModel.objects.get()
    metadata.edit(record, {"custom": {"loose": 10, "mine": 4}}, by=user, channel="page")
    path.write_text('{"loose": 1, "other": 2, "custom": {"inner": 3, "new": 5}}')
    list(write_back.write([record]))
    assert json.loads(path.read_text()) == {
        "loose": 1,
        "other": 2,
        "custom": {"inner": None, "new": 5, "other": None, "loose": 10, "mine": 4},
    }
    forget_everything()
    scan(models_root)
    assert RegisteredModel.objects.get().value("custom") == {"new": 5, "loose": 10, "mine": 4}


def test_that_a_model_has_no_tags_whatever_its_card_says_is_written_too(
    models_root: Path, scan: Scan, user: User
) -> None:
    builders.transformers(
        models_root / "m",
        card=builders.DemoCard("Card", "Text", license="mit", tags=("from-card",)),
    )
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert record.value("tags") == ["from-card"]
    nothing = Operation.read("tags", values={"tags": []}).plan([record])
    metadata.edit_many(nothing.changes, by=user, channel="page", batch=uuid4())
    list(write_back.write([record]))
    assert json.loads((models_root / "m/metadata.json").read_text()) == {"tags": []}
    forget_everything()
    scan(models_root)
    assert not RegisteredModel.objects.get().value("tags")


def refused(record: RegisteredModel) -> str:
    (result,) = write_back.write([record])
    assert result.outcome is Outcome.REFUSED
    return result.reason


@pytest.fixture
def edited(models_root: Path, scan: Scan, user: User) -> RegisteredModel:
    builders.transformers(models_root / "m")
    scan(models_root)
    record = RegisteredModel.objects.get()
    metadata.edit(record, {"author": "A"}, by=user, channel="page")
    return record


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{broken", "broken"),
        (b"[]", "an array"),
        (b"\xff\xfe{\0}\0", "UTF-16"),
        (b'{"a": 1} x', "text follows"),
        (b"", "empty"),
    ],
)
def test_a_broken_file_is_left_as_it_is(
    raw: bytes, why: str, edited: RegisteredModel, models_root: Path
) -> None:
    path = models_root / "m/metadata.json"
    path.write_bytes(raw)
    assert why in refused(edited)
    assert path.read_bytes() == raw


def test_links_are_not_written_through(
    edited: RegisteredModel, models_root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (models_root / "m/metadata.json").symlink_to(outside)
    assert "leaves the root" in refused(edited)
    assert outside.read_text() == "{}"
    (models_root / "m/metadata.json").unlink()
    (models_root / "m").rename(tmp_path / "elsewhere")
    (models_root / "m").symlink_to(tmp_path / "elsewhere")
    assert "leaves the root" in refused(edited)
    assert not (tmp_path / "elsewhere/metadata.json").exists()


def test_a_read_only_place_is_refused_and_leaves_nothing_behind(
    edited: RegisteredModel, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", read_only)
    assert "Read-only file system" in refused(edited)
    assert not [path for path in (models_root / "m").iterdir() if "metadata" in path.name]
    monkeypatch.undo()
    monkeypatch.setattr(os, "access", lambda *_args: False)
    assert "read-only" in refused(edited)


def test_what_has_no_folder_of_its_own_is_refused_with_the_way_out(
    models_root: Path, scan: Scan, user: User, make_model: Any
) -> None:
    (models_root / "shelf").mkdir()
    builders.gguf_model(models_root / "shelf/one.gguf", "one", builders.Sizes(), "Q4_0")
    builders.gguf_model(models_root / "shelf/two.gguf", "two", builders.Sizes(hidden=512), "Q4_0")
    (models_root / "hub").mkdir()
    builders.hub_cache(models_root / "hub", "org/name")
    builders.ollama_store(models_root / "ollama", "tiny")
    scan(models_root)
    hosted = make_model(
        "hosted", root=Root.objects.create(path=Root.REMOTE, enabled=False), status="REMOTE"
    )
    gone = make_model("gone", root=Root.objects.get(path=str(models_root)))
    records = list(RegisteredModel.objects.select_related("root"))
    for record in records:
        metadata.edit(record, {"author": "A"}, by=user, channel="page")
    before = sorted(str(path) for path in models_root.rglob("*"))
    reasons = {result.model_id: result.reason for result in write_back.write(records)}
    assert sorted(str(path) for path in models_root.rglob("*")) == before
    assert "hosted" in reasons.pop(hosted.model_id)
    assert "put them back" in reasons.pop(gone.model_id)
    told = " ".join(reasons.values())
    assert len(reasons) >= 4
    assert all(reasons.values())
    assert all(
        text in told for text in ("folder that is not its own", "Hub's cache", "Ollama's store")
    )


def test_an_accepted_finding_stays_accepted_when_metadata_is_written(
    models_root: Path, scan: Scan, user: User
) -> None:
    builders.transformers(models_root / "m")
    scan(models_root)
    record = RegisteredModel.objects.get()
    content = record.content
    metadata.edit(record, {"author": "A"}, by=user, channel="page")
    list(write_back.write([record]))
    scan(models_root)
    record.refresh_from_db()
    assert record.extracted["author"]["source"] == "metadata.json"
    assert record.content == content


@pytest.mark.usefixtures("private_files")
def test_a_new_file_is_as_open_as_the_person_wants_files_to_be(
    models_root: Path, scan: Scan, user: User
) -> None:
    builders.transformers(models_root / "m")
    scan(models_root)
    metadata.edit(RegisteredModel.objects.get(), {"license": "mit"}, by=user, channel="page")
    list(write_back.write(write_back.curated_models()))
    assert (models_root / "m/metadata.json").stat().st_mode & 0o777 == 0o644
