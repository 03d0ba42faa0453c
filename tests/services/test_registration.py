"""Registering by hand: what is read, what is said, what is refused, and how scans treat it
afterwards.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from discovery.models import Finding, MetadataChange, RegisteredModel, Root, ScanRun, SkippedPath
from discovery.services.health import validation
from discovery.services.machine.root_probes import RootSilent
from discovery.services.metadata import metadata
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.services.registry import deregistration
from discovery.services.scans import registration
from discovery.services.scans.registration import AlreadyRegistered
from tests.support import builders

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db


@pytest.fixture
def register(models_root: Path, user: User) -> Callable[..., RegisteredModel]:
    Root.objects.create(path=str(models_root))

    def registering(**data: Any) -> RegisteredModel:
        return registration.register(data, by=user, channel="page")

    return registering


Register = Callable[..., RegisteredModel]


def refused(register: Register, **data: Any) -> dict[str, str]:
    before = (RegisteredModel.objects.count(), MetadataChange.objects.count())
    with pytest.raises(InvalidMetadata) as caught:
        register(**data)
    assert (RegisteredModel.objects.count(), MetadataChange.objects.count()) == before
    return caught.value.errors


def test_the_files_are_read_as_a_scan_reads_them_and_what_the_person_says_is_curated(
    register: Register, models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    record = register(
        path=str(models_root / "tiny"),
        name="custom-model",
        license="mit",
        capabilities=["chat"],
        modalities=["TEXT"],
    )
    assert (record.model_id, record.path, record.title, record.status) == (
        "custom-model",
        "tiny",
        "custom-model",
        "READY",
    )
    assert (record.type, record.architecture, record.context_length) == (
        "TRANSFORMERS",
        "LlamaForCausalLM",
        2048,
    )
    assert {field: entry["value"] for field, entry in record.curated.items()} == {
        "display_name": "custom-model", "license": "mit", "capabilities": ["CHAT"],
        "modalities": ["TEXT"],
    }  # fmt: skip
    assert set(record.changes.values_list("field", "channel")) == {
        (field, "page") for field in record.curated
    }
    register_by_scan = RegisteredModel.objects.get(pk=record.pk)
    RegisteredModel.objects.all().delete()
    scan(models_root)
    scanned = RegisteredModel.objects.get()
    for name in (
        "path",
        "place",
        "signature",
        "fingerprint",
        "extracted",
        "variants",
        "files",
        "evidence",
        "checks",
        "memory_bytes",
    ):
        assert getattr(scanned, name) == getattr(register_by_scan, name), name


def test_a_later_scan_joins_the_record(register: Register, models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "shelf/tiny", hidden=64)
    record = register(path="shelf/tiny", license="mit")
    assert scan(models_root).unchanged == 1
    assert scan(models_root, full=True).found == 1
    again = RegisteredModel.objects.get()
    assert (again.pk, again.license, again.model_id) == (record.pk, "mit", "tiny")


def test_a_path_without_a_name_is_called_as_its_folder(
    register: Register, models_root: Path
) -> None:
    builders.transformers(models_root / "Tiny Model", hidden=64)
    record = register(path=str(models_root / "Tiny Model"))
    assert (record.model_id, record.title, record.curated) == ("tiny-model", "Tiny Model", {})


@pytest.mark.parametrize("path", ["a/b/c/d/e/f/g/deep", "run/.trash/gone", "half.tmp"])
def test_what_scans_pass_by_is_registered_and_looked_after(
    register: Register, models_root: Path, scan: Scan, path: str
) -> None:
    builders.transformers(models_root / path, hidden=64)
    builders.transformers(models_root / "other", hidden=72)
    assert scan(models_root).found == 1
    record = register(path=str(models_root / path))
    run = scan(models_root)
    assert (run.unchanged, run.missing) == (2, 0)
    builders.transformers(models_root / path, hidden=80)
    assert scan(models_root).changed == 1
    again = RegisteredModel.objects.get(pk=record.pk)
    assert (again.status, again.fingerprint != record.fingerprint) == ("READY", True)
    shutil.rmtree(models_root / path)
    run = scan(models_root, accept_missing=True)
    assert (run.missing, RegisteredModel.objects.get(pk=record.pk).status) == (1, "MISSING")


def test_files_that_no_reader_knows_are_taken_on_a_persons_word(
    register: Register, models_root: Path, scan: Scan
) -> None:
    folder = models_root / "odd"
    folder.mkdir()
    (folder / "weights.xyz").write_bytes(b"x" * 1000)
    builders.write_json(folder / "metadata.json", {"author": "Ada", "license": "mit"})
    assert scan(models_root).found == 0
    record = register(path=str(folder), type="PLUGIN", modalities=["AUDIO"])
    assert (record.status, record.format, record.size_bytes > 1000, record.author, record.type) == (
        "READY",
        None,
        True,
        "Ada",
        "PLUGIN",
    )
    assert record.variants[0]["format"] is None
    assert Finding.objects.get(model=record).code == "format_unknown"
    told = {check["name"]: check["status"] for check in record.checks}
    assert (told["header_parses"], told["pickle_safe"], told["weights_present"]) == (
        "warning",
        "skipped",
        "passed",
    )
    for full in (False, True):
        run = scan(models_root, full=full)
        assert (run.missing, run.new, RegisteredModel.objects.get().status) == (0, 0, "READY")
    (folder / "weights.xyz").write_bytes(b"x" * 2000)
    scan(models_root)
    assert RegisteredModel.objects.get().size_bytes > 2000
    assert validation.validate(RegisteredModel.objects.get()).valid


def test_weights_in_a_format_that_scans_leave_out_are_read(
    register: Register, models_root: Path, scan: Scan, config_dir: Path
) -> None:
    builders.write_json(
        config_dir / "model_discovery.json", {"discovery": {"supported_formats": ["gguf"]}}
    )
    builders.transformers(models_root / "tiny", hidden=64)
    scan(models_root)
    assert SkippedPath.objects.count() == 1
    record = register(path="tiny")
    assert (record.format, record.status, SkippedPath.objects.count()) == (
        "safetensors",
        "READY",
        0,
    )
    assert scan(models_root, full=True).missing == 0
    assert RegisteredModel.objects.get().status == "READY"


def test_a_general_type_gives_way_to_the_exact_one_that_the_files_show(
    register: Register, models_root: Path
) -> None:
    builders.sentence_transformers(models_root / "st")
    builders.gguf_folder(models_root / "gg")
    assert register(path="st", type="HUGGINGFACE").type == "SENTENCE_TRANSFORMERS"
    assert register(path="gg", type="HUGGINGFACE").type == "TRANSFORMERS"


def test_what_is_registered_already_is_named(register: Register, models_root: Path) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    first = register(path="tiny", name="mine")
    (models_root / "alias").symlink_to(models_root / "tiny")
    for path in (
        "tiny",
        str(models_root / "tiny") + "/",
        str(models_root / "alias"),
        str(models_root / "tiny/model.safetensors"),
    ):
        with pytest.raises(AlreadyRegistered) as caught:
            register(path=path, name="again")
        assert caught.value.model_id == first.model_id
    assert RegisteredModel.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("models--org--small", "models--org--small"),
        (
            "ollama/manifests/registry.ollama.ai/library/smollm",
            "ollama/manifests/registry.ollama.ai/library/smollm",
        ),
        ("tiny/onnx", "tiny"),
        ("tiny/onnx/model.onnx", "tiny"),
        ("tiny/config.json", "tiny"),
        ("pipeline/unet", "pipeline"),
    ],
)
def test_a_part_of_a_model_stands_for_the_whole_that_a_scan_finds(
    register: Register, models_root: Path, scan: Scan, path: str, owner: str
) -> None:  # fmt: skip
    builders.hub_cache(models_root, "org/small")
    builders.ollama_store(models_root / "ollama", "smollm")
    builders.transformers(models_root / "tiny", hidden=64)
    builders.onnx_folder(models_root / "export")
    (models_root / "tiny/onnx").mkdir()
    shutil.move(
        next((models_root / "export").rglob("*.onnx")), models_root / "tiny/onnx/model.onnx"
    )
    shutil.rmtree(models_root / "export")
    builders.diffusers(models_root / "pipeline")
    record = register(path=path)
    assert record.path == owner
    run = scan(models_root)
    assert (run.new, run.unchanged) == (3, 1)
    assert RegisteredModel.objects.count() == 4


def test_a_snapshot_of_a_cached_repository_stands_for_the_repository(
    register: Register, models_root: Path, scan: Scan
) -> None:
    snapshot = next((builders.hub_cache(models_root, "org/small") / "snapshots").iterdir())
    assert register(path=str(snapshot)).path == "models--org--small"
    assert scan(models_root).new == 0


def test_two_people_who_register_the_same_model_at_once_get_one(
    register: Register, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    first = register(path="tiny")
    known, asked = registration._known, []

    def late(*args: Any) -> str | None:
        asked.append(args)
        return None if len(asked) == 1 else known(*args)

    monkeypatch.setattr(registration, "_known", late)
    with pytest.raises(AlreadyRegistered) as caught:
        register(path="tiny")
    assert caught.value.model_id == first.model_id
    assert RegisteredModel.objects.count() == 1


def test_a_model_may_be_registered_before_anything_was_scanned(
    models_root: Path, user: User, settings: Any
) -> None:
    settings.MODELS_DIR = models_root
    builders.transformers(models_root / "tiny", hidden=64)
    record = registration.register({"path": "tiny"}, by=user, channel="page")
    assert (record.root.path, record.path) == (str(models_root), "tiny")


def test_a_path_is_refused_with_the_reason(
    register: Register, models_root: Path, tmp_path: Path
) -> None:
    builders.transformers(tmp_path / "elsewhere", hidden=64)
    builders.transformers(models_root / "shelf/a", hidden=64)
    builders.transformers(models_root / "shelf/b", hidden=72)
    (models_root / "empty").mkdir()
    (models_root / "out").symlink_to(tmp_path / "elsewhere")
    (models_root / "dangling").symlink_to(models_root / "nowhere")
    os.mkfifo(models_root / "pipe")
    expected = {
        str(tmp_path / "elsewhere"): "is outside your model folders",
        str(models_root / "out"): "leads through a link to a place outside the roots",
        str(models_root / "out/model.safetensors"): "leads through a link to a place outside the "
                                                    "roots",
        str(models_root / "dangling"): "is a link to something that is not there",
        str(models_root / "gone"): "does not exist",
        "gone": "does not exist below any root",
        "shelf/../shelf/a": "must not contain '..'",
        "..": "must not contain '..'",
        "a\0b": "has characters that cannot be stored",
        "a\ud800": "has characters that cannot be stored",
        "x" * 3000: "has 3,000 characters",
        "empty": "no model can be registered here: the folder is empty",
        "shelf": "no model can be registered here: there are several models: shelf/a, shelf/b",
        "pipe": "is neither a folder nor a file",
        "": "say where the model is",
    }  # fmt: skip
    assert {
        path: refused(register, path=path)["path"][: len(text)] for path, text in expected.items()
    } == expected
    assert refused(register, path=["tiny"])["path"].startswith("say where")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_path_that_cannot_be_read_is_refused(register: Register, models_root: Path) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    (models_root / "tiny").chmod(0)
    try:
        assert refused(register, path="tiny")["path"].startswith("cannot be read")
    finally:
        (models_root / "tiny").chmod(0o755)


def test_a_disk_that_hangs_holds_nobody_up(
    register: Register,
    models_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    silence: threading.Event,
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    monkeypatch.setattr(registration.read_path, "read", lambda *_args: silence.wait())
    with pytest.raises(RootSilent):
        register(path="tiny")


def test_everything_that_is_wrong_is_said_at_once(register: Register) -> None:
    errors = refused(
        register, path="gone", name="n" * 301, type="NOVEL", modalities=["SMELL"], license=["mit"],
        size_bytes=1, category={"primary": "X"}
    )  # fmt: skip
    assert set(errors) == {"path", "name", "type", "modalities", "license", "size_bytes", "primary"}


def test_a_hosted_model_is_known_by_its_address_and_name(
    register: Register, scan: Scan, models_root: Path
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    record = register(
        name="gpt-4-vision",
        type="OPENAI",
        endpoint="HTTP://models.example:8080/v1/",
        api_key_variable="KAREN_ENDPOINT_KEY_LAB",
        modalities=["TEXT", "IMAGE"],
    )
    assert (record.model_id, record.status, record.root.path, record.root.enabled) == (
        "gpt-4-vision",
        "REMOTE",
        Root.REMOTE,
        False,
    )
    assert (record.value("endpoint"), record.value("api_key_variable")) == (
        "http://models.example:8080/v1",
        "KAREN_ENDPOINT_KEY_LAB",
    )
    assert (record.type, record.display_name, record.value("modalities")) == (
        "OPENAI",
        "",
        ["TEXT", "IMAGE"],
    )
    assert {check["status"] for check in record.checks} <= {"skipped", "warning"}
    with pytest.raises(AlreadyRegistered):
        register(name="gpt-4-vision", type="OPENAI", endpoint="http://models.example:8080/v1")
    other = register(name="gpt-4", type="OPENAI", endpoint="http://models.example:8080/v1")
    assert other.fingerprint != record.fingerprint
    scan()
    assert set(RegisteredModel.objects.values_list("model_id", "status")) == {
        ("gpt-4-vision", "REMOTE"),
        ("gpt-4", "REMOTE"),
        ("tiny", "READY"),
    }


def test_what_a_hosted_model_takes_and_gives_decides_its_category(register: Register) -> None:
    record = register(
        name="seer",
        type="OPENAI",
        endpoint="http://a.example",
        modalities=["TEXT", "IMAGE"],
        input_modalities=["TEXT", "IMAGE"],
    )
    assert (record.primary, record.value("modalities"), "modalities" in record.extracted) == (
        "MULTIMODAL",
        ["TEXT", "IMAGE"],
        False,
    )


def test_a_model_that_was_forgotten_comes_back_with_what_people_made_of_it(
    register: Register, models_root: Path, user: User
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    record = register(path="tiny", name="first", license="mit")
    deregistration.forget(record, by=user, channel="page")
    again = register(path="tiny", author="Ada")
    assert (again.model_id, again.license, again.author, again.title) == (
        "first",
        "mit",
        "Ada",
        "first",
    )
    assert set(again.changes.values_list("field", flat=True)) == {
        "display_name",
        "license",
        "author",
    }


def test_a_name_that_a_forgotten_model_keeps_is_not_given_away(
    register: Register, models_root: Path, user: User
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    builders.transformers(models_root / "other", hidden=72)
    deregistration.forget(register(path="tiny", name="mine"), by=user, channel="page")
    assert register(path="other", name="mine").model_id == "mine-2"


def test_a_hosted_model_can_move_and_change_its_key(register: Register, user: User) -> None:
    record = register(name="m", type="OPENAI", endpoint="http://a.example/v1")
    metadata.edit(
        record,
        {"endpoint": "https://b.example", "api_key_variable": "KAREN_ENDPOINT_KEY"},
        by=user,
        channel="page",
    )
    assert record.value("endpoint") == "https://b.example"
    metadata.edit(record, {"endpoint": None}, by=user, channel="page")
    assert record.value("endpoint") == "http://a.example/v1"


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("endpoint", {"endpoint": "ftp://a.example"}),
        ("endpoint", {"endpoint": "http://user:secret@a.example"}),
        ("endpoint", {"endpoint": "http://a.example/?key=secret"}),
        ("endpoint", {"endpoint": "http://"}),
        ("endpoint", {"endpoint": "http://a.example:99999"}),
        ("endpoint", {"endpoint": "http://a b"}),
        ("endpoint", {}),
        ("name", {"endpoint": "http://a.example", "name": " "}),
        ("path", {"endpoint": "http://a.example", "path": "tiny"}),
        ("api_key", {"endpoint": "http://a.example", "api_key": "sk-secret"}),
        (
            "api_key_variable",
            {"endpoint": "http://a.example", "api_key_variable": "KAREN_SECRET_KEY"},
        ),
        ("api_key_variable", {"endpoint": "http://a.example", "api_key_variable": "sk-secret"}),
    ],
)
def test_a_hosted_model_is_refused_with_the_field_that_is_wrong(
    register: Register, field: str, data: dict[str, Any]
) -> None:
    errors = refused(register, **{"name": "m", "type": "OPENAI", **data})
    assert set(errors) == {field}
    assert "secret" not in str(errors).lower() or field == "api_key_variable"


def test_a_model_on_disk_has_neither_endpoint_nor_key(
    register: Register, models_root: Path
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    errors = refused(
        register, path="tiny", endpoint="http://a.example", api_key_variable="KAREN_ENDPOINT_KEY"
    )
    assert set(errors) == {"endpoint", "api_key_variable"}


def test_a_model_of_a_root_inside_another_belongs_to_the_inner_one(
    register: Register, models_root: Path
) -> None:
    builders.transformers(models_root / "inner/tiny", hidden=64)
    inner = Root.objects.create(path=str(models_root / "inner"))
    record = register(path=str(models_root / "inner/tiny"))
    assert (record.root, record.path) == (inner, "tiny")
