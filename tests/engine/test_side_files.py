"""Every file of a model is looked at by its content: what would run code is found under any name,
and nothing else is.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard

from discovery.engine.core.config import Discovery
from discovery.engine.core.types import Candidate, Found
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.walk import walk
from discovery.engine.identify import read_path, side_files
from discovery.engine.identify.identify import identify
from discovery.engine.integrity import validate
from tests.support import builders

Read = Callable[..., dict[str, Found]]

EVIL = b"\x80\x02cposix\nsystem\n(X\x04\0\0\0truetR."
PLAIN = pickle.dumps({"the": 0, "of": 1}, 2)


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def tarred(name: str, data: bytes, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as file:  # type: ignore[call-overload]
        member = tarfile.TarInfo(name)
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def objects(body: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


@pytest.fixture
def folder(models_root: Path) -> Path:
    builders.transformers(models_root / "tiny-llama")
    return models_root / "tiny-llama"


@pytest.fixture
def beside(folder: Path, read: Read) -> Callable[[str, bytes], Found]:
    """The model when this file lies beside its clean weights."""

    def reading(name: str, data: bytes) -> Found:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        return read(folder.parent)["tiny-llama"]

    return reading


def told(found: Found, name: str) -> list[tuple[str, Severity]]:
    return [
        (problem.code, problem.severity)
        for problem in found.problems
        if problem.path.endswith(name)
    ]


def check(found: Found, name: str = "pickle_safe") -> validate.Result:
    return next(each for each in validate.checks(found) if each.name == name)


@pytest.mark.parametrize(
    "name",
    [
        "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "tokenizer.pkl",
        "x.dill", "x.sav", "x.dat", "x.pdparams",
        "x.pth.tar",
        "weights", ".hidden", "notes.txt", "x.onnx", "x.msgpack", "runs/deep/er/x.thing",
        "checkpoint-500/optimizer.pt",
        ".ipynb_checkpoints/x.pkl", "1_Pooling/x.bin", "a b ü.pkl",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "data",
    [
        EVIL,
        b"cposix\nsystem\n(S'true'\ntR.",
        zipped(archive__data_pkl=b"", **{"archive/data.pkl": EVIL}),
    ],
)
def test_a_payload_beside_clean_weights_is_found_under_any_name(
    name: str, data: bytes, beside: Callable[[str, bytes], Found]
) -> None:
    found = beside(name, data)
    assert found.status == "UNSAFE"
    assert ("unsafe_pickle", Severity.ERROR) in told(found, name.rpartition("/")[2])
    assert check(found).status == "failed"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.pkl.gz", gzip.compress(EVIL)), ("x.pkl.bz2", bz2.compress(EVIL)),
        ("x.pkl.xz", lzma.compress(EVIL)), ("x.joblib", zlib.compress(EVIL)),
        ("x.lzma", lzma.compress(EVIL, lzma.FORMAT_ALONE)),
        ("x.pkl.zst", zstandard.ZstdCompressor().compress(EVIL)),
        ("x.pkl.lz4", lz4.frame.compress(EVIL)), ("x.model", gzip.compress(gzip.compress(EVIL))),
        ("x.tgz", tarred("a/b", EVIL, "w:gz")),
        ("x.tar.xz", tarred("a/b.pkl", EVIL, "w:xz")), ("x.npz", zipped(a=objects(EVIL))),
        ("x.raw", objects(EVIL)),
        ("x.mar", zipped(a=zipped(b=EVIL))), ("x.foo", bytes(9_000) + zipped(a=EVIL)),
        ("x.bar", b"GGUF\x03" + bytes(4) + b"0" + EVIL[2:]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_payload_is_found_however_it_is_packed(
    name: str, data: bytes, beside: Callable[[str, bytes], Found]
) -> None:
    assert beside(name, data).status == "UNSAFE"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.7z", b"7z\xbc\xaf\x27\x1c" + bytes(90), "packed by 7z"),
        ("x.rar", b"Rar!\x1a\x07\x01" + bytes(90), "packed by rar"),
        ("x.zip", zipped(a=b"x" * 500).replace(b"\x14\0\0\0\x08\0", b"\x14\0\1\0\x08\0"),
            "encrypted"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_into_is_said_and_not_vouched_for(
    name: str, data: bytes, says: str, beside: Callable[[str, bytes], Found]
) -> None:
    found = beside(name, data)
    assert told(found, name) == [("archive_unchecked", Severity.WARNING)]
    assert (found.status, check(found).status) == ("READY", "skipped")
    assert says in check(found).message


def pickled(module: str, name: str) -> bytes:
    return b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n)\x81}b."


@pytest.mark.parametrize(
    ("module", "code", "severity"),
    [
        ("my_project.nets", "unknown_import", Severity.WARNING),
        ("sklearn.svm", "known_import", Severity.INFO),
    ],
)
def test_classes_in_a_side_file_leave_the_status_alone(
    module: str, code: str, severity: Severity, beside: Callable[[str, bytes], Found]
) -> None:
    found = beside("training_args.bin", pickled(module, "Thing"))
    assert told(found, "training_args.bin") == [(code, severity)]
    assert (found.status, check(found).status) == ("READY", "warning")


def test_a_member_of_an_enumeration_is_harmless_in_what_a_trainer_keeps_and_a_call_elsewhere(
    beside: Callable[[str, bytes], Found],
) -> None:
    member = b"\x80\x02cmy_project.args\nMode\nX\x04\0\0\0fast\x85R."
    assert beside("training_args.bin", member).status == "READY"
    assert beside("other.bin2", member).status == "UNSAFE"


def test_plain_pickles_pass_and_without_any_there_are_none(
    beside: Callable[[str, bytes], Found],
) -> None:
    assert check(beside("notes.txt", b"Nothing.\n.")).message == "there are no pickles"
    assert check(beside("vocab.pkl", PLAIN)).status == "passed"


@pytest.mark.parametrize(
    "data",
    [
        *(bytes([first]) + struct.pack("<400f",
                *[0.25 * number for number in range(400)]) for first in range(256)),
        b"cat\ndog\nbird\n.\n", b"cos\nsin\n.\n", b"Immutables==0.20\nNumpy\n.\n", b"(a b)\n.",
        b"I am\n.", b"",
    ],
)  # fmt: skip
def test_other_files_are_not_taken_for_pickles(
    data: bytes, beside: Callable[[str, bytes], Found]
) -> None:
    found = beside("data.foo", data)
    assert found.status == "READY"
    assert [
        problem
        for problem in found.problems
        if problem.code in ("unsafe_pickle", "unknown_import", "archive_unchecked")
    ] == []


@pytest.mark.parametrize("length", [640, 896, 1152, 1408, 0x4E30, 0x286E])
def test_a_safetensors_file_whose_length_spells_a_pickle_is_one_all_the_same(
    length: int, folder: Path, read: Read
) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    old = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + old]
    length = max(length, -(-old // 256) * 256 + length % 256)
    path.write_bytes(struct.pack("<Q", length) + header.ljust(length) + data[8 + old :])
    assert read(folder.parent)["tiny-llama"].status == "READY"


@pytest.mark.parametrize(
    ("name", "data", "what", "severity"),
    [
        ("run", b"\x7fELF" + bytes(60), "ELF", Severity.WARNING),
        ("x.dll", b"MZ" + bytes(60), "Windows", Severity.WARNING),
        ("x.pyc", struct.pack("<H", 3495) + b"\r\n" + bytes(12), "Python", Severity.WARNING),
        ("setup", b"#!/bin/sh\n", "script", Severity.INFO),
        ("x.ps1", b"Write-Host", "PowerShell", Severity.INFO),
        (
            "x.jar",
            zipped(**{"META-INF/MANIFEST.MF": b"", "A.class": b""}),
            "Java",
            Severity.WARNING,
        ),
    ],
)
def test_programs_beside_the_weights_are_named(
    name: str, data: bytes, what: str, severity: Severity, beside: Callable[[str, bytes], Found]
) -> None:
    found = beside(name, data)
    (problem,) = [each for each in found.problems if each.code == "executable_file"]
    assert what in problem.message
    assert (problem.severity, found.status, check(found, "no_remote_code").status) == (
        severity,
        "READY",
        "warning",
    )


class Counted:
    """Files that are opened, and bytes that are read of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[str] = []
        opening = os.open

        def counting(path: Any, *given: Any, **named: Any) -> int:
            self.opened.append(os.fspath(path))
            return opening(path, *given, **named)

        monkeypatch.setattr(os, "open", counting)


def candidates(root: Path) -> list[Candidate]:
    return [item for item in walk(str(root), Discovery()) if isinstance(item, Candidate)]


def test_a_file_that_was_read_is_not_opened_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "vocab.txt").write_bytes(b"a\nb\n" * 5_000)
    (candidate,) = candidates(folder.parent)
    counted = Counted(monkeypatch)
    identify(str(folder.parent), candidate, Discovery())
    sides = [path for path in counted.opened if not path.endswith(".json")]
    assert len(sides) == len(set(sides))
    assert len(counted.opened) <= len(candidate.files) + 3


def test_ten_thousand_small_files_are_bounded_and_that_is_said(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_files, "MAX_FILES", 200)
    (folder / "parts").mkdir()
    for number in range(300):
        (folder / "parts" / f"{number}.txt").write_bytes(b"x")
    (folder / "parts" / "zz.dill").write_bytes(EVIL)
    counted = Counted(monkeypatch)
    found = read(folder.parent)["tiny-llama"]
    assert len(counted.opened) < 250
    assert "files_unchecked" in [problem.code for problem in found.problems]
    assert found.status == "UNSAFE"  # what a loader unpickles by its name comes first


def test_pickles_of_a_folder_share_one_allowance(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_files, "MAX_OPCODES", 50_000)
    for number in range(20):
        (folder / f"{number}.dill").write_bytes(b"\x80\x02" + b"N0" * 10_000 + b"N.")
    found = read(folder.parent)["tiny-llama"]
    assert (found.status, check(found).status) == ("READY", "skipped")
    assert "files_unchecked" in [problem.code for problem in found.problems]


class Endless(io.RawIOBase):
    """Two gigabytes of instructions that do nothing."""

    def __init__(self) -> None:
        self.position = 0
        self.count = 0

    def seek(self, position: int, _whence: int = 0) -> int:
        self.position = position
        return position

    def read(self, count: int = -1) -> bytes:
        self.position += count
        self.count += count
        return b"N0" * (count // 2) + b"N" * (count % 2)


def test_two_gigabytes_of_instructions_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from discovery.engine.archives.archives import Inspector

    stream, inspector = Endless(), Inspector()
    inspector.look(stream, 2 << 30, "x.pkl")  # type: ignore[arg-type]
    assert stream.count < 16 << 20
    assert [problem.code for problem in inspector.problems] == ["unsafe_pickle"]
    assert "instructions" in inspector.problems[0].message


def test_archives_in_archives_are_followed_as_far_as_is_said(
    beside: Callable[[str, bytes], Found],
) -> None:
    data = EVIL
    for _ in range(8):
        data = zipped(inner=data)
    found = beside("x.zip", data)
    assert ("archive_unchecked", Severity.ERROR) in told(found, "x.zip")
    assert check(found).status == "failed"


def test_a_weight_file_is_looked_at_under_every_reading(folder: Path, read: Read) -> None:
    """TFLite's magic is part of a short text to the unpickler."""
    data = (b"U\x06\0\0TFL3" + b"0" + EVIL[2:]).ljust(0x700, b"\0")
    (folder / "model.tflite").write_bytes(data)
    found = read(folder.parent)["tiny-llama"]
    assert found.status == "UNSAFE"
    assert ("unsafe_pickle", Severity.ERROR) in told(found, "model.tflite")


def test_metadata_of_a_file_cannot_say_that_it_was_looked_at(folder: Path, read: Read) -> None:
    builders.safetensors(
        folder / "model.safetensors", [("w", "F32", (4, 2))], {"container": "legacy"}
    )
    with (folder / "model.safetensors").open("ab") as stream:
        stream.write(zipped(a=EVIL))
    assert read(folder.parent)["tiny-llama"].status == "UNSAFE"


def test_a_path_registered_by_hand_is_looked_at_whatever_it_is(models_root: Path) -> None:
    (models_root / "odd").mkdir()
    (models_root / "odd" / "model.xyz").write_bytes(EVIL)
    _, found = read_path.read(str(models_root), "odd", Discovery(), None)
    assert found.status == "UNSAFE"
    assert check(found).status == "failed"
    (models_root / "odd" / "model.xyz").write_bytes(b"nothing of the kind")
    _, found = read_path.read(str(models_root), "odd", Discovery(), None)
    assert check(found).message == "there are no pickles"


def test_what_lies_beside_changes_the_signature(folder: Path) -> None:
    before = candidates(folder.parent)[0]
    (folder / "checkpoint-7").mkdir()
    (folder / "checkpoint-7" / "rng_state.pth").write_bytes(PLAIN)
    after = candidates(folder.parent)[0]
    assert [entry.name for entry in after.beside] == ["rng_state.pth"]
    assert after.signature != before.signature
    assert after.files == before.files


def test_models_below_a_model_keep_their_own_files(folder: Path, read: Read) -> None:
    builders.transformers(folder / "inner")
    (folder / "inner" / "x.dat").write_bytes(EVIL)
    (folder / "y.dat").write_bytes(PLAIN)
    found = read(folder.parent)
    assert {path: model.status.value for path, model in found.items()} == {
        "tiny-llama": "READY",
        "tiny-llama/inner": "UNSAFE",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + b"a" * 64
        + b"\nsize 5000000\n",
        b"<html>",
    ],
)
def test_weights_that_are_not_there_are_not_vouched_for(
    content: bytes, folder: Path, read: Read
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    assert check(read(folder.parent)["tiny-llama"]).status == "skipped"
