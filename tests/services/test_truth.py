"""What validation says was earned: files that nobody could read, readings that older versions made,
and each file read once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discovery.engine.core import version
from discovery.models import RegisteredModel, ScanRun, SkippedPath
from discovery.services.health import validation
from discovery.services.metadata import metadata
from discovery.services.scans import reconcile, root_scan, runner
from tests.support import builders

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db

#: Checks that the content of a weight file has to be read for.
OF_CONTENT = (
    "header_parses",
    "size_matches_header",
    "tensor_bounds",
    "dtype_known",
    "pickle_safe",
    "external_data_inside",
    "checksum",
)

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123456789\n"
)


def pointer(path: Path) -> None:
    path.write_bytes(POINTER)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def absent(path: Path) -> None:
    path.unlink()


def passed(record: RegisteredModel) -> set[str]:
    return {check["name"] for check in record.checks if check["status"] == "passed"}


@pytest.mark.parametrize("unread", [pointer, empty, absent])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.onnx"])
def test_nothing_is_said_of_weights_that_nobody_could_read(
    name: str, unread: Callable[[Path], None], models_root: Path, scan: Scan
) -> None:
    folder = models_root / "m"
    builders.transformers(folder)
    (folder / "model.safetensors").rename(folder / name)
    unread(folder / name)
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert record.status == "INCOMPLETE"
    assert not passed(record) & set(OF_CONTENT)


def older(monkeypatch: pytest.MonkeyPatch, version_now: int) -> None:
    """The program is of a later version than what is stored."""
    for module in (runner, reconcile):
        monkeypatch.setattr(module, "READERS", version_now)
    monkeypatch.setattr("discovery.services.registry.records.READERS", version_now)


def test_what_an_older_version_called_sound_is_judged_again_by_an_ordinary_scan(
    models_root: Path, scan: Scan, admin_user: Any
) -> None:
    builders.transformers(models_root / "good")
    evil = models_root / "evil"
    evil.mkdir()
    builders.pickle_with_import(evil / "pytorch_model.bin", "os", "system")
    builders.write_json(
        evil / "config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    )
    scan(models_root)
    record = RegisteredModel.objects.get(path="evil")
    metadata.edit(record, {"license": "mit"}, by=admin_user, channel="page")
    # As the version before left it.
    RegisteredModel.objects.update(read_by=0)
    RegisteredModel.objects.filter(pk=record.pk).update(
        status="READY", scanned_status="READY", problems=[], checks=[]
    )
    record.findings.all().delete()
    run = scan(models_root)
    again = RegisteredModel.objects.get(path="evil")
    assert (again.status, again.model_id, again.license, again.read_by) == (
        "UNSAFE",
        record.model_id,
        "mit",
        version.READERS,
    )
    assert (run.changed, run.unchanged) == (1, 1), "what is judged as before is not a change"
    assert set(RegisteredModel.objects.values_list("read_by", flat=True)) == {version.READERS}


def test_what_the_present_version_read_is_not_opened_again(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.transformers(models_root / "good")
    (models_root / "odd").mkdir()
    (models_root / "odd" / "model.bin").write_bytes(b"nothing that anybody knows")
    scan(models_root)
    monkeypatch.setattr(root_scan, "identify", lambda *_: pytest.fail("a file was opened"))
    scan(models_root)


def test_places_that_an_older_version_passed_over_are_looked_at_again(
    models_root: Path, scan: Scan
) -> None:
    (models_root / "odd").mkdir()
    builders.write_json(models_root / "odd" / "config.json", {"a": 1})
    scan(models_root)
    assert SkippedPath.objects.get().read_by == version.READERS
    SkippedPath.objects.update(read_by=0, reason="what an older version said")
    scan(models_root)
    assert (SkippedPath.objects.get().read_by, SkippedPath.objects.get().reason) != (
        0,
        "what an older version said",
    )
    assert SkippedPath.objects.get().read_by == version.READERS


def test_models_of_one_folder_share_one_reading_of_it(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        builders.gguf_model(
            models_root / "ggufs" / f"model-{number}.Q4_0.gguf",
            f"model {number}",
            builders.Sizes(hidden=32 + 32 * number),
            "Q4_0",
        )
    scan(models_root)
    assert RegisteredModel.objects.count() > 1
    read: list[str] = []
    real = validation.identify
    monkeypatch.setattr(
        validation,
        "identify",
        lambda root, candidate, *rest: read.append(candidate.place) or real(root, candidate, *rest),
    )
    keys = list(RegisteredModel.objects.order_by("-pk").values_list("pk", flat=True))
    assert validation.validate_many(keys) == 0
    assert read == ["ggufs"]
