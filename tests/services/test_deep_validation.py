"""Reading all bytes of a model: compared, remembered, resumed, stopped, and asked for by the
clock.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from django_q.brokers import Broker
from django_q.models import Schedule

from discovery import tasks
from discovery.engine.core.files import open_file
from discovery.engine.integrity import checksums as reader
from discovery.models import (
    DeepValidation,
    FileChecksum,
    Finding,
    LogEntry,
    RegisteredModel,
    Root,
    ScanRun,
)
from discovery.services import jobs
from discovery.services.health import deep_reading, deep_validation
from discovery.services.health.deep_validation import checksum_check
from tests.support import builders

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db

CHUNK = 64 << 10


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files have many chunks, and the progress of each is written."""
    monkeypatch.setattr(reader, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(deep_reading, "INTERVAL", 0)


def model(root: Path, scan: Scan, name: str = "a", **options: Any) -> RegisteredModel:
    builders.transformers(root / name, **options)
    scan(root)
    return record(name)


def record(name: str = "a") -> RegisteredModel:
    return RegisteredModel.objects.select_related("root").get(path=name)


def run(model: RegisteredModel, **options: Any) -> DeepValidation:
    started, created = deep_validation.start_now(model)
    assert created
    return deep_validation.execute(started, **options)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows(model: RegisteredModel) -> dict[str, FileChecksum]:
    return {row.path: row for row in FileChecksum.objects.filter(model=model)}


def standing(code: str | None = None) -> list[tuple[str, str, str]]:
    found = Finding.objects.filter(
        source="deep", resolved_at=None, **({"code": code} if code else {})
    )
    return sorted(found.values_list("code", "severity", "path"))


def sums(folder: Path, *names: str) -> None:
    (folder / "SHA256SUMS").write_text(
        "".join(f"{sha256(folder / name)}  {name}\n" for name in names)
    )


def change_a_byte(path: Path, at: int = -1, *, keep_time: bool = True) -> None:
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(at, 2 if at < 0 else 0)
        byte = file.read(1)
        file.seek(at, 2 if at < 0 else 0)
        file.write(bytes([byte[0] ^ 1]))
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the files that were read from end to end, in order."""
    names: list[str] = []

    def watched(root: str, entry: Any) -> Any:
        names.append(entry.path)
        return open_file(root, entry)

    monkeypatch.setattr(reader, "open_file", watched)
    return names


# -- one run


def test_every_byte_is_read_and_each_file_is_remembered(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    done = run(a)
    a.refresh_from_db()
    assert (done.state, done.done_bytes, done.total_bytes, done.current_path) == (
        "done",
        a.size_bytes,
        a.size_bytes,
        "",
    )
    assert a.deep_validated_at is not None
    kept = rows(a)
    assert sorted(kept) == sorted(path.removeprefix("a/") for path, _ in a.files)
    assert all(
        row.sha256 == sha256(models_root / "a" / path) and len(row.blake3) == 64
        for path, row in kept.items()
    )
    assert standing() == []
    entry = LogEntry.objects.get(
        topic="validation", model_id="a", message__startswith="deep validation done"
    )
    assert entry.level == "info"


def test_a_model_that_is_one_file_and_one_at_the_root_have_rows_too(
    models_root: Path, scan: Scan
) -> None:
    builders.gguf_model(models_root / "shelf/tiny-Q8_0.gguf", "tiny", builders.Sizes(), "Q8_0")
    scan(models_root)
    a = RegisteredModel.objects.get()
    run(a)
    assert list(rows(a)) == ["tiny-Q8_0.gguf"]
    assert checksum_check(a)[0] == "warning"


def test_rows_move_with_the_model(models_root: Path, scan: Scan) -> None:
    for number, name in enumerate("abc"):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    scan(models_root)
    run(record())
    (models_root / "a").rename(models_root / "z")
    scan(models_root)
    change_a_byte(models_root / "z/model.safetensors")
    run(record("z"))
    assert standing() == [("bit_rot", "error", "z/model.safetensors")]


def test_the_hubs_cache_is_read_once_however_many_snapshots_link_to_it(
    models_root: Path, scan: Scan, opened: list[str]
) -> None:
    repository = builders.hub_cache(models_root, "org/name")
    scan(models_root)
    a = RegisteredModel.objects.get()
    done = run(a)
    assert len(opened) == len(list((repository / "blobs").iterdir())) + 1  # and refs/main
    assert done.done_bytes == done.total_bytes == a.size_bytes
    assert len(rows(a)) == len(a.files)
    status, message = checksum_check(a)
    assert status == "passed"
    assert "its name in the Hub's cache" in message


def test_ollamas_blobs_are_compared_with_their_names(models_root: Path, scan: Scan) -> None:
    builders.ollama_store(models_root, "tiny")
    scan(models_root)
    a = RegisteredModel.objects.get()
    run(a)
    assert checksum_check(a)[0] == "passed"
    blob = max((models_root / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    change_a_byte(blob, keep_time=False)
    run(a)
    assert standing() == [("checksum_mismatch", "error", f"blobs/{blob.name}")]
    assert blob.name in Finding.objects.get(code="checksum_mismatch").message


def test_a_damaged_blob_of_the_hubs_cache_is_one_finding_and_names_a_snapshot(
    models_root: Path, scan: Scan
) -> None:
    builders.hub_cache(models_root, "org/name")
    scan(models_root)
    weights = next(path for path in models_root.rglob("model.safetensors"))
    change_a_byte(weights.resolve(), keep_time=False)
    run(RegisteredModel.objects.get())
    ((code, _, path),) = standing()
    assert code == "checksum_mismatch"
    assert path.endswith("model.safetensors")


def test_the_record_of_a_download_is_compared(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    metadata = models_root / "a/.cache/huggingface/download/model.safetensors.metadata"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"{'c' * 40}\n{sha256(models_root / 'a/model.safetensors')}\n1.0\n")
    run(a)
    assert checksum_check(record())[0] == "passed"
    change_a_byte(models_root / "a/model.safetensors", keep_time=False)
    run(a)
    assert standing() == [("checksum_mismatch", "error", "a/model.safetensors")]
    assert record().status == "CORRUPT"
    assert checksum_check(record()) == (
        "warning",
        "its files changed since their bytes were read: validate it deeply again",
    )
    scan(models_root)
    run(record())
    assert checksum_check(record())[0] == "failed"


def test_a_list_beside_the_model_is_compared_and_a_repaired_file_resolves_its_finding(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "a")
    sums(models_root / "a", "model.safetensors", "config.json")
    change_a_byte(models_root / "a/model.safetensors")
    scan(models_root)
    run(record())
    assert standing() == [("checksum_mismatch", "error", "a/model.safetensors")]
    assert record().status == "CORRUPT"
    change_a_byte(models_root / "a/model.safetensors")
    run(record())
    assert standing() == []
    assert record().status == "READY"
    status, message = checksum_check(record())
    assert (status, "SHA256SUMS" in message) == ("passed", True)


def test_a_hostile_list_is_said_and_nothing_outside_is_opened(
    models_root: Path, scan: Scan, opened: list[str]
) -> None:
    builders.transformers(models_root / "a")
    builders.transformers(models_root / "b", hidden=72)
    (models_root / "a/SHA256SUMS").write_text(
        f"{'0' * 64}  ../b/model.safetensors\n{'0' * 64}  /etc/passwd\n"
    )
    scan(models_root)
    run(record())
    assert standing() == [("checksum_list_invalid", "warning", "a/SHA256SUMS")]
    assert all(path.startswith("a/") for path in opened)
    assert record().status == "READY"


def test_two_files_of_one_name_are_two_findings(models_root: Path, scan: Scan) -> None:
    builders.diffusers(models_root / "a")
    names = [
        str(path.relative_to(models_root / "a"))
        for path in (models_root / "a").rglob("diffusion_pytorch_model*.safetensors")
    ]
    assert len(names) > 1
    sums(models_root / "a", *names)
    for name in names:
        change_a_byte(models_root / "a" / name)
    scan(models_root)
    run(record())
    assert [path for _, _, path in standing("checksum_mismatch")] == sorted(
        f"a/{name}" for name in names
    )


# -- git-lfs


def lfs_pointer(path: Path) -> bytes:
    data = path.read_bytes()
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid"
        f" sha256:{hashlib.sha256(data).hexdigest()}\nsize {len(data)}\n"
    )
    return data


def test_a_git_lfs_pointer_has_nothing_to_read_and_vouches_for_the_file_that_comes(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "a")
    data = lfs_pointer(models_root / "a/model.safetensors")
    scan(models_root)
    done = run(record())
    row = rows(record())["model.safetensors"]
    assert (row.sha256, row.size, row.expected_from) == ("", len(data), "its git-lfs pointer")
    assert "1 git-lfs pointer" in done.message
    status, message = checksum_check(record())
    assert (status, "git lfs pull" in message) == ("warning", True)
    (models_root / "a/model.safetensors").write_bytes(data[:-1] + b"\x01")
    scan(models_root)
    run(record())
    assert standing("checksum_mismatch") == [("checksum_mismatch", "error", "a/model.safetensors")]
    run(record())
    assert standing("checksum_mismatch") == [("checksum_mismatch", "error", "a/model.safetensors")]
    (models_root / "a/model.safetensors").write_bytes(data)
    os.utime(models_root / "a/model.safetensors", ns=(1, row.mtime_ns))
    run(record())
    assert standing("checksum_mismatch") == []


def test_the_pointers_promise_ends_with_the_first_new_version(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "a")
    data = lfs_pointer(models_root / "a/model.safetensors")
    scan(models_root)
    run(record())
    (models_root / "a/model.safetensors").write_bytes(data)
    run(record())
    assert rows(record())["model.safetensors"].expected_from == "its git-lfs pointer"
    change_a_byte(models_root / "a/model.safetensors", keep_time=False)
    run(record())
    assert standing() == []


# -- earlier values


def test_bytes_that_change_without_being_written_are_bit_rot_until_the_file_is_restored(
    models_root: Path, scan: Scan
) -> None:
    a = model(models_root, scan)
    run(a)
    before = rows(a)["model.safetensors"].sha256
    change_a_byte(models_root / "a/model.safetensors")
    for _ in range(2):  # the first reading stays the yardstick
        run(a)
        assert standing() == [("bit_rot", "error", "a/model.safetensors")]
        row = rows(a)["model.safetensors"]
        assert (row.expected_sha256, row.expected_from[:15]) == (before, "the reading of ")
    assert Finding.objects.count() == 1
    assert record().status == "CORRUPT"
    assert checksum_check(record())[0] == "failed"
    change_a_byte(models_root / "a/model.safetensors")
    run(a)
    assert standing() == []
    assert record().status == "READY"


def test_a_file_that_was_written_is_no_bit_rot(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    run(a)
    change_a_byte(models_root / "a/model.safetensors", keep_time=False)
    run(a)
    assert standing() == []


def test_a_file_restored_with_its_old_time_is_no_bit_rot_when_somebody_vouches_for_it(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "a")
    sums(models_root / "a", "model.safetensors")
    change_a_byte(models_root / "a/model.safetensors")
    scan(models_root)
    run(record())
    assert standing("checksum_mismatch")
    change_a_byte(models_root / "a/model.safetensors")
    run(record())
    assert standing() == []


def test_an_accepted_finding_stays_the_same_finding(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "a")
    sums(models_root / "a", "model.safetensors")
    change_a_byte(models_root / "a/model.safetensors")
    scan(models_root)
    run(record())
    Finding.objects.filter(source="deep").update(
        accepted_content=record().content, accepted_reason="Patched on purpose."
    )
    run(record())
    assert Finding.objects.filter(source="deep").count() == 1
    assert record().status == "READY"


# -- weights that are no numbers


def poison(path: Path, share: float) -> None:
    """Every value of the last part of the data becomes NaN."""
    raw = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(raw[:8], "little")
    first = start + (round((len(raw) - start) * (1 - share)) & ~1)
    raw[first:] = b"\xc0\x7f" * ((len(raw) - first) // 2)
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("share", "severity", "status"), [(0.5, "warning", "READY"), (1.0, "error", "CORRUPT")]
)
def test_weights_that_are_no_numbers_are_found(
    models_root: Path, scan: Scan, share: float, severity: str, status: str
) -> None:
    builders.transformers(models_root / "a", dtype="BF16")
    poison(models_root / "a/model.safetensors", share)
    scan(models_root)
    run(record())
    assert standing() == [("nonfinite_weights", severity, "a/model.safetensors")]
    row = rows(record())["model.safetensors"]
    assert row.sampled_values is not None
    assert row.sampled_values > 1000
    assert 0.2 < (row.nonfinite_share or 0) <= 1
    assert record().status == status


# -- files that cannot be read


def failing(
    monkeypatch: pytest.MonkeyPatch, name: str, error: Exception | None = None, after: int = 0
) -> list[int]:
    """Reading ``name`` fails after some bytes. Returns the attempts, one item each."""
    attempts: list[int] = []
    real = reader.read

    def read(root: str, entry: Any, tick: Callable[[int], None], **more: Any) -> Any:
        if not entry.path.endswith(name):
            return real(root, entry, tick, **more)
        attempts.append(1)
        tick(after)
        raise error or reader.Changed

    monkeypatch.setattr(reader, "read", read)
    return attempts


def test_a_file_that_cannot_be_read_is_a_finding_and_hides_no_other(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    a = model(models_root, scan)
    failing(monkeypatch, "model.safetensors", OSError(5, "Input/output error"), after=1234)
    done = run(a)
    assert standing() == [("file_unreadable", "error", "a/model.safetensors")]
    finding = Finding.objects.get(code="file_unreadable")
    assert (finding.offset, "disk may be failing" in finding.message) == (1234, True)
    assert (done.state, done.done_bytes) == ("done", done.total_bytes)
    assert len(rows(a)) == len(a.files) - 1
    assert checksum_check(record())[0] == "warning"


def test_a_file_that_changes_while_it_is_read_is_tried_again_then_left_for_the_next_run(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    a = model(models_root, scan)
    with monkeypatch.context() as patch:
        attempts = failing(patch, "model.safetensors")
        done = run(a)
    assert len(attempts) == 2
    assert (done.state, "model.safetensors changed while being read" in done.message) == (
        "failed",
        True,
    )
    assert record().deep_validated_at is None
    assert "model.safetensors" not in rows(a)
    opened.clear()
    assert run(a).state == "done"
    assert opened == ["a/model.safetensors"]


def test_files_that_are_gone_are_for_the_scan_to_judge(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    (models_root / "a/model.safetensors").unlink()
    done = run(a)
    assert (done.state, "model.safetensors not there any more" in done.message) == ("done", True)
    assert standing() == []


def test_a_disk_that_is_away_is_no_damage(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    run(a)
    validated = record().deep_validated_at
    models_root.rename(models_root.parent / "away")
    done = run(a)
    assert (done.state, "Is the disk mounted?" in done.message) == ("failed", True)
    models_root.mkdir()
    assert run(a).state == "failed"
    assert standing() == []
    assert len(rows(a)) == len(a.files)
    assert record().deep_validated_at == validated


def test_a_disk_that_goes_away_while_it_is_read_is_no_damage(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = model(models_root, scan)
    real = reader.read

    def pull_the_plug(root: str, entry: Any, *rest: Any, **more: Any) -> Any:
        if models_root.exists():
            models_root.rename(models_root.parent / "away")
        return real(root, entry, *rest, **more)

    monkeypatch.setattr(reader, "read", pull_the_plug)
    done = run(a)
    assert (done.state, "went away" in done.message) == ("failed", True)
    assert standing() == []


def test_rows_of_files_that_the_model_has_no_more_go(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "a")
    (models_root / "a/extra.txt").write_text("x")
    scan(models_root)
    run(record())
    assert "extra.txt" in rows(record())
    (models_root / "a/extra.txt").unlink()
    scan(models_root)
    run(record())
    assert "extra.txt" not in rows(record())


def test_a_fault_of_ours_is_told_and_logged(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a = model(models_root, scan)
    failing(monkeypatch, "model.safetensors", ZeroDivisionError("a bug"))
    done = run(a)
    assert (done.state, "ZeroDivisionError: a bug" in done.message) == ("failed", True)
    assert "ZeroDivisionError" in caplog.text


# -- stopping and going on


def stop_at(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    chunks: int = 1,
    how: Callable[[DeepValidation], Any] = deep_validation.cancel,
) -> None:
    """Somebody presses Stop once so many chunks of ``name`` are read."""
    real, seen = deep_reading.ReadingProgress.tick, []

    def tick(self: deep_reading.ReadingProgress, count: int = 0) -> None:
        if count and self.path.endswith(name):
            seen.append(count)
            if len(seen) == chunks:
                how(self.run)
        real(self, count)

    monkeypatch.setattr(deep_reading.ReadingProgress, "tick", tick)


def test_stop_is_heard_inside_a_file_and_the_next_run_goes_on_with_what_is_left(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    a = model(models_root, scan, shards=4, hidden=256, layers=4)
    with monkeypatch.context() as patch:
        stop_at(patch, "model-00003-of-00004.safetensors", chunks=2)
        done = run(a)
    assert done.state == "cancelled"
    assert opened[-1] == "a/model-00003-of-00004.safetensors"
    assert 0 < done.done_bytes < done.total_bytes
    assert record().deep_validated_at is None
    read, left = set(opened[:-1]), {path for path, _ in a.files} - set(opened[:-1])
    assert {f"a/{path}" for path in rows(a)} == read
    opened.clear()
    again = run(a)
    assert (again.state, again.done_bytes) == ("done", again.total_bytes)
    assert set(opened) == left
    assert record().deep_validated_at is not None
    opened.clear()
    run(a)  # after a complete run everything is read again
    assert set(opened) == {path for path, _ in a.files}


def test_what_a_run_that_was_cut_off_found_is_among_the_findings_of_the_next(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    builders.transformers(models_root / "a", shards=3)
    sums(models_root / "a", "model-00001-of-00003.safetensors")
    change_a_byte(models_root / "a/model-00001-of-00003.safetensors")
    scan(models_root)
    with monkeypatch.context() as patch:
        stop_at(patch, "model-00002-of-00003.safetensors")
        run(record())
    assert standing() == []
    opened.clear()
    run(record())
    assert "a/model-00001-of-00003.safetensors" not in opened
    assert standing() == [("checksum_mismatch", "error", "a/model-00001-of-00003.safetensors")]


def test_a_file_that_was_written_since_the_run_that_was_cut_off_is_read_again(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    a = model(models_root, scan, shards=3)
    with monkeypatch.context() as patch:
        stop_at(patch, "model-00003-of-00003.safetensors")
        run(a)
    change_a_byte(models_root / "a/model-00001-of-00003.safetensors", keep_time=False)
    opened.clear()
    run(a)
    assert "a/model-00001-of-00003.safetensors" in opened
    assert "a/model-00002-of-00003.safetensors" not in opened


def test_what_was_read_long_ago_is_read_again(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    a = model(models_root, scan, shards=2)
    with monkeypatch.context() as patch:
        stop_at(patch, "model-00002-of-00002.safetensors")
        run(a)
    long_ago = timezone.now() - timedelta(days=8)
    DeepValidation.objects.update(started_at=long_ago)
    FileChecksum.objects.update(checked_at=long_ago)
    opened.clear()
    run(a)
    assert set(opened) == {path for path, _ in a.files}


def test_a_queued_run_is_stopped_at_once_and_a_finished_one_not_at_all(
    models_root: Path, scan: Scan
) -> None:
    a = model(models_root, scan)
    queued, _ = deep_validation.start_now(a)
    assert deep_validation.cancel(queued)
    assert deep_validation.execute(queued).state == "cancelled"
    assert not deep_validation.cancel(queued)
    assert not rows(a)


def test_a_run_that_was_taken_for_dead_stops_and_writes_no_more(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = model(models_root, scan, hidden=256)

    def declare_dead(run: DeepValidation) -> None:
        DeepValidation.objects.filter(pk=run.pk).update(state="interrupted")

    stop_at(monkeypatch, "model.safetensors", how=declare_dead)
    done = run(a)
    assert (done.state, DeepValidation.objects.get().state) == ("interrupted", "interrupted")
    assert "model.safetensors" not in rows(a)


def test_a_model_that_is_forgotten_while_it_is_read_ends_its_run(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = model(models_root, scan, hidden=256)
    stop_at(
        monkeypatch, "model.safetensors", how=lambda run: RegisteredModel.objects.all().delete()
    )
    run(a)
    assert not DeepValidation.objects.exists()
    assert not FileChecksum.objects.exists()


def test_ctrl_c_stops_the_run_and_whoever_started_it(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = model(models_root, scan)

    def press(run: DeepValidation) -> None:
        raise KeyboardInterrupt

    stop_at(monkeypatch, "model.safetensors", how=press)
    with pytest.raises(KeyboardInterrupt):
        run(a)
    assert DeepValidation.objects.get().state == "cancelled"


def test_progress_is_told_while_a_file_is_read(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = model(models_root, scan, hidden=256)
    told: list[tuple[str, int]] = []
    real = deep_reading.ReadingProgress.write

    def write(self: deep_reading.ReadingProgress) -> None:
        real(self)
        row = DeepValidation.objects.get()
        told.append((row.current_path, row.done_bytes))
        assert row.heartbeat_at is not None

    monkeypatch.setattr(deep_reading.ReadingProgress, "write", write)
    run(a)
    inside = [done for path, done in told if path == "a/model.safetensors"]
    assert len(inside) >= (models_root / "a/model.safetensors").stat().st_size // CHUNK
    assert [done for _, done in told] == sorted(done for _, done in told)


def test_a_throttled_run_takes_as_long_as_its_pace_asks(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = model(models_root, scan)
    slept: list[float] = []
    now = [1000.0]
    monkeypatch.setattr(reader.time, "monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(reader.time, "sleep", sleep)
    run(a, bytes_per_second=50_000)
    assert sum(slept) == pytest.approx(a.size_bytes / 50_000, rel=0.05)


# -- asking


def test_asking_twice_gives_the_same_run_and_one_task(
    models_root: Path, scan: Scan, task_queue: Broker
) -> None:
    a = model(models_root, scan)
    first, created = deep_validation.request(a)
    again, created_again = deep_validation.request(a)
    assert (created, created_again, again.pk, task_queue.queue_size()) == (True, False, first.pk, 1)
    assert tasks.validate_deep(first.pk) == "done"
    assert tasks.validate_deep(first.pk) == "done"
    assert DeepValidation.objects.count() == 1


def test_a_task_whose_run_is_forgotten_says_so() -> None:
    assert tasks.validate_deep(123_456) == "forgotten"


def two(models_root: Path, scan: Scan) -> tuple[RegisteredModel, RegisteredModel]:
    builders.transformers(models_root / "a")
    builders.transformers(models_root / "b", hidden=72)
    scan(models_root)
    return record("a"), record("b")


def test_one_model_is_read_at_a_time_on_a_host_and_the_next_follows(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, task_queue: Broker
) -> None:
    a, b = two(models_root, scan)
    first, _ = deep_validation.request(a)
    second, _ = deep_validation.request(b)
    states: list[str] = []
    stop_at(
        monkeypatch,
        "a/model.safetensors",
        how=lambda _: states.append(tasks.validate_deep(second.pk)),
    )
    assert tasks.validate_deep(first.pk) == "done"
    assert states == ["queued"]
    second.refresh_from_db()
    assert second.state == "done"


def dead(model: RegisteredModel, **columns: Any) -> DeepValidation:
    now = timezone.now()
    values = {
        "state": "running",
        "host": socket.gethostname(),
        "pid": 2**22 + 1,
        "started_at": now,
        "heartbeat_at": now,
    }
    return DeepValidation.objects.create(model=model, **{**values, **columns})


def test_a_run_whose_process_is_gone_is_interrupted(models_root: Path, scan: Scan) -> None:
    a, b = two(models_root, scan)
    dead(a)
    dead(b, host="elsewhere", heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert jobs.reap_all() == 2
    assert set(DeepValidation.objects.values_list("state", flat=True)) == {"interrupted"}
    assert LogEntry.objects.filter(topic="validation", level="warning", model_id="a").exists()
    assert jobs.reap_all() == 0


def test_a_run_that_is_heard_of_elsewhere_is_left_alone(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    dead(a, host="elsewhere")
    dead_pid = DeepValidation.objects.get()
    assert jobs.reap_all() == 0
    DeepValidation.objects.filter(pk=dead_pid.pk).update(host=socket.gethostname(), pid=os.getpid())
    assert jobs.reap_all() == 0


def test_a_worker_that_is_told_to_stop_leaves_the_rest_of_the_queue_for_the_next_start(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, task_queue: Broker
) -> None:
    a, b = two(models_root, scan)
    first, _ = deep_validation.request(a)
    second, _ = deep_validation.request(b)
    stop_at(monkeypatch, "a/model.safetensors", how=lambda _: jobs.interrupt_here([os.getpid()]))
    assert tasks.validate_deep(first.pk) == "interrupted"
    second.refresh_from_db()
    assert second.state == "queued"
    assert "Karen Admin was stopped while it ran" in DeepValidation.objects.get(pk=first.pk).message
    task_queue.purge_queue()
    DeepValidation.objects.update(dispatched_at=None)
    assert jobs.housekeep() == {"reaped": 0, "resumed": 1, "dispatched": 2}


def test_only_what_runs_on_this_host_is_interrupted(models_root: Path, scan: Scan) -> None:
    dead(model(models_root, scan), host="elsewhere")
    assert jobs.interrupt_here([os.getpid(), 2**22 + 1]) == 0


def test_after_a_restart_what_was_cut_off_and_what_waits_goes_on(
    models_root: Path, scan: Scan, task_queue: Broker
) -> None:
    a, b = two(models_root, scan)
    dead(a)
    waiting, _ = deep_validation.start_now(b)
    DeepValidation.objects.filter(pk=waiting.pk).update(dispatched_at=None)
    assert jobs.housekeep() == {"reaped": 0, "resumed": 1, "dispatched": 2}
    assert task_queue.queue_size() == 2
    assert sorted(DeepValidation.objects.values_list("model__path", "state")) == [
        ("a", "interrupted"),
        ("a", "queued"),
        ("b", "queued"),
    ]
    assert jobs.housekeep() == {"reaped": 0, "resumed": 0, "dispatched": 0}
    assert DeepValidation.objects.count() == 3


def test_a_run_that_kills_its_worker_every_time_is_not_begun_for_ever(
    models_root: Path, scan: Scan, task_queue: Broker
) -> None:
    a = model(models_root, scan)
    run = dead(a)
    for _ in range(3):
        jobs.housekeep()
        latest = DeepValidation.objects.latest("pk")
        DeepValidation.objects.filter(pk=latest.pk, state="queued").update(
            state="running", pid=run.pid, host=run.host, heartbeat_at=timezone.now()
        )
    assert DeepValidation.objects.count() == 3
    assert jobs.housekeep() == {"reaped": 0, "resumed": 0, "dispatched": 0}
    assert "not begun again by itself" in DeepValidation.objects.latest("pk").message


# -- by the clock


def validated(name: str, days: float | None) -> None:
    at = None if days is None else timezone.now() - timedelta(days=days)
    RegisteredModel.objects.filter(path=name).update(deep_validated_at=at)


def shelf(models_root: Path, scan: Scan, names: str) -> Root:
    for number, name in enumerate(names):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    scan(models_root)
    return Root.objects.get()


def test_due_are_models_never_read_then_the_oldest_and_no_missing_ones(
    models_root: Path, scan: Scan
) -> None:
    root = shelf(models_root, scan, "abcde")
    for name, days in {"a": 31, "b": 29, "c": None, "d": 40, "e": None}.items():
        validated(name, days)
    RegisteredModel.objects.filter(path="e").update(status="MISSING")
    assert [model.path for model in deep_validation.due(root, timezone.now())] == ["c", "d", "a"]
    root.deep_every_days = 10
    assert [model.path for model in deep_validation.due(root, timezone.now())] == [
        "c",
        "d",
        "a",
        "b",
    ]
    root.deep_every_days = 0
    assert not deep_validation.due(root, timezone.now()).exists()


def test_the_schedule_works_through_what_is_due_the_oldest_first(
    models_root: Path, scan: Scan
) -> None:
    shelf(models_root, scan, "abcd")
    for name, days in {"a": 31, "b": 3, "c": None, "d": 40}.items():
        validated(name, days)
    assert tasks.scheduled_validation() == 3
    assert list(DeepValidation.objects.order_by("pk").values_list("model__path", "state")) == [
        ("c", "done"),
        ("d", "done"),
        ("a", "done"),
    ]
    assert tasks.scheduled_validation() == 0


def test_the_schedule_stops_between_files_when_its_time_is_used_up_and_goes_on_next_time(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    builders.transformers(models_root / "a", shards=4)
    scan(models_root)
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    for module in (deep_reading, deep_validation):
        monkeypatch.setattr(module, "time", clock)

    def pass_time(run: DeepValidation) -> None:
        now[0] += 100

    with monkeypatch.context() as patch:
        stop_at(patch, "model-00002-of-00004.safetensors", how=pass_time)
        assert deep_validation.run_due(60, bytes_per_second=0) == 0
    first = DeepValidation.objects.get()
    assert (first.state, "time set aside is used up" in first.message) == ("cancelled", True)
    assert opened[-1] == "a/model-00002-of-00004.safetensors"  # read to its end
    assert "model-00002-of-00004.safetensors" in rows(record())
    before = set(opened)
    opened.clear()
    assert deep_validation.run_due(60, bytes_per_second=0) == 1
    assert not before & set(opened)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 7_000_000), ({"bytes_per_second": 0}, 0), ({"bytes_per_second": 5}, 5)],
)
def test_the_schedule_reads_as_fast_as_it_is_told_or_as_the_settings_allow(
    models_root: Path,
    scan: Scan,
    monkeypatch: pytest.MonkeyPatch,
    config_dir: Path,
    given: dict[str, int],
    expected: int,
) -> None:
    (config_dir / "model_discovery.json").write_text(
        '{"throttles": {"deep_validation_mb_per_second": 7}}'
    )
    shelf(models_root, scan, "a")
    seen: list[int] = []
    monkeypatch.setattr(
        deep_reading, "_read_group", lambda work, group, progress, speed: seen.append(speed)
    )
    deep_validation.run_due(60, **given)
    assert set(seen) == {expected}


def test_no_time_means_no_reading(models_root: Path, scan: Scan) -> None:
    shelf(models_root, scan, "a")
    assert deep_validation.run_due(0) == 0
    assert not DeepValidation.objects.exists()


@pytest.mark.parametrize(
    "change", [{"enabled": False}, {"frozen_reason": "Half of it is gone."}, {"deep_every_days": 0}]
)
def test_roots_that_are_off_or_in_doubt_are_left_alone(
    models_root: Path, scan: Scan, change: dict[str, Any]
) -> None:
    shelf(models_root, scan, "a")
    Root.objects.update(**change)
    assert deep_validation.run_due(60) == 0


def test_a_root_that_is_away_is_left_alone(models_root: Path, scan: Scan) -> None:
    shelf(models_root, scan, "a")
    shutil.rmtree(models_root)
    assert deep_validation.run_due(60) == 0
    assert not DeepValidation.objects.exists()


def test_the_schedule_waits_while_a_model_is_being_read_here(models_root: Path, scan: Scan) -> None:
    a, _ = two(models_root, scan)
    dead(a, pid=os.getpid())
    assert deep_validation.run_due(60) == 0


def test_what_people_asked_for_goes_before_what_is_due(
    models_root: Path, scan: Scan, opened: list[str]
) -> None:
    _, b = two(models_root, scan)
    validated("b", 1)
    deep_validation.start_now(b)
    deep_validation.run_due(60)
    assert list(
        DeepValidation.objects.order_by("started_at").values_list("model__path", flat=True)
    ) == ["b", "a"]


def test_a_model_that_failed_is_tried_again_after_a_day_and_holds_up_no_other(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(models_root, scan)
    with monkeypatch.context() as patch:
        failing(patch, "a/model.safetensors")
        assert deep_validation.run_due(60) == 1
        assert deep_validation.run_due(60) == 0
    assert record("b").deep_validated_at is not None
    DeepValidation.objects.update(finished_at=timezone.now() - timedelta(hours=25))
    assert deep_validation.run_due(60) == 1


def test_the_hourly_schedule_is_made_once_and_kept_as_people_change_it() -> None:
    deep_validation.sync_schedule()
    schedule = Schedule.objects.get(name="validate deeply")
    assert (schedule.func, schedule.schedule_type) == (
        "discovery.tasks.scheduled_validation",
        Schedule.HOURLY,
    )
    Schedule.objects.update(schedule_type=Schedule.DAILY)
    deep_validation.sync_schedule()
    assert Schedule.objects.get(name="validate deeply").schedule_type == Schedule.DAILY


def test_the_tasks_have_the_names_that_are_stored_with_them() -> None:
    assert callable(tasks.validate_deep)
    assert callable(tasks.scheduled_validation)


# -- the check of the contract


def test_the_check_says_what_is_known(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    assert checksum_check(a)[0] == "warning"
    assert "have not been verified" in checksum_check(a)[1]
    run(a)
    status, message = checksum_check(a)
    assert (status, "nobody says" in message) == ("warning", True)
    sums(models_root / "a", "model.safetensors")
    run(a)
    status, message = checksum_check(a)
    assert (status, message) == (
        "passed",
        f"1 of {len(a.files)} files match what SHA256SUMS says, read just now",
    )
    FileChecksum.objects.update(checked_at=timezone.now() - timedelta(days=3))
    assert checksum_check(a)[1].endswith("read 3 days ago")


def test_the_check_warns_while_nobody_vouches_for_a_weight_file(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "a", shards=2)
    sums(models_root / "a", "model-00001-of-00002.safetensors")
    scan(models_root)
    run(record())
    status, message = checksum_check(record())
    assert (status, message.endswith("nobody vouches for 1 weight file")) == ("warning", True)


def test_the_check_notices_files_that_came_or_changed_since(models_root: Path, scan: Scan) -> None:
    a = model(models_root, scan)
    run(a)
    (models_root / "a/new.txt").write_text("new")
    os.utime(models_root / "a/new.txt", (0, 0))
    scan(models_root)
    assert "1 of " in checksum_check(record())[1]
    os.utime(models_root / "a/model.safetensors")
    scan(models_root)
    assert checksum_check(record()) == (
        "warning",
        "its files changed since their bytes were read: validate it deeply again",
    )


def test_the_check_is_skipped_where_there_is_nothing_to_read(
    make_model: Callable[..., RegisteredModel],
) -> None:
    assert checksum_check(make_model("remote", status="REMOTE"))[0] == "skipped"
    assert (
        checksum_check(make_model("gone", status="MISSING", files=[["gone/x", 1]]))[0] == "skipped"
    )
