"""The PyTorch reader: zip archives, the legacy layout, bare pickles; what torch says of them where
it is installed.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from discovery.demo.writers.torch import (
    crc_of_zeros,
    write_pickle_with_import,
    write_torch_legacy,
    write_torch_zip,
)
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import Severity
from discovery.engine.formats import pytorch as reader

TENSORS = [
    ("encoder.weight", "F32", (10, 20)),
    ("encoder.bias", "BF16", (300,)),
    ("steps.num_batches_tracked", "I64", ()),
    ("empty", "F16", (0, 3)),
]
EVIL = b"\x80\x02cposix\nsystem\n(X\x04\0\0\0truetR."
HARMLESS = b"\x80\x02}."


def read(content: bytes) -> Header:
    return reader.read(io.BytesIO(content), len(content))


def archive(*members: tuple[str, bytes], packed: bool = False) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(
        stream, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    ) as file:
        for name, data in members:
            file.writestr(name, data)
    return stream.getvalue()


def written(path: Path, legacy: bool = False, **options: Any) -> Header:
    (write_torch_legacy if legacy else write_torch_zip)(path, TENSORS, **options)
    return read(path.read_bytes())


def codes(header: Header) -> set[str]:
    return {problem.code for problem in header.problems}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "module"])
def test_names_types_and_shapes_are_read_and_the_wrapper_is_dropped(
    tmp_path: Path, legacy: bool, wrapper: str | None
) -> None:
    header = written(
        tmp_path / "model.bin",
        legacy,
        wrapper=wrapper,
        extra={"epoch": 3, "version": "1.0"} if wrapper else None,
    )
    assert [(t.name, t.dtype, t.shape) for t in header.tensors] == TENSORS
    assert (header.parameter_count, header.dtype, header.problems) == (500, "F32", [])
    assert header.metadata == {
        "container": "legacy" if legacy else "zip",
        **({"epoch": 3, "version": "1.0"} if wrapper else {}),
    }
    assert header.imports[:2] == ["collections.OrderedDict", "torch._utils._rebuild_tensor_v2"]


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch_loads_what_the_writers_write(tmp_path: Path, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    header = written(tmp_path / "model.bin", legacy)
    loaded = torch.load(tmp_path / "model.bin", weights_only=True)
    assert [(name, tuple(t.shape)) for name, t in loaded.items()] == [
        (t.name, t.shape) for t in header.tensors
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("new", [False, True], ids=["legacy", "zip"])
def test_agrees_with_what_torch_saves(new: bool) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    for value in (
        {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3},
        module,
        {"net": module},
    ):
        stream = io.BytesIO()
        torch.save(value, stream, _use_new_zipfile_serialization=new)
        header = read(stream.getvalue())
        assert [(t.name, t.shape) for t in header.tensors] == [
            (name, tuple(t.shape)) for name, t in module.state_dict().items()
        ]
        assert header.parameter_count == 3 * 4 + 4 + 4 * 4
        assert header.expected_size == (None if new else len(stream.getvalue()))
        assert header.problems == []


@pytest.mark.filterwarnings("ignore")
def test_tied_weights_and_views_count_once() -> None:
    torch = pytest.importorskip("torch")
    weight = torch.randn(4, 4)
    stream = io.BytesIO()
    torch.save(
        {
            "a": weight,
            "b": weight,
            "c": weight.t(),
            "d": weight[:2],
            "e": torch.nn.Parameter(torch.ones(3)),
            "f": [weight.clone()],
        },
        stream,
    )
    header = read(stream.getvalue())
    assert [t.name for t in header.tensors] == ["a", "b", "c", "d", "e", "f.0"]
    assert header.parameter_count == 16 + 3 + 16


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_mentioned() -> None:
    torch = pytest.importorskip("torch")
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 4)), stream)
    header = read(stream.getvalue())
    assert [(p.code, p.severity) for p in header.problems] == [
        ("torchscript_code", Severity.WARNING)
    ]
    assert header.parameter_count == 16


def test_offsets_count_from_the_file_in_the_legacy_layout_and_from_the_member_in_an_archive(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.bin"
    assert [t.offset for t in written(path).tensors] == [0, 0, 0, 0]
    header = written(path, legacy=True)
    content = path.read_bytes()
    for tensor, (_, _, shape) in zip(header.tensors, TENSORS, strict=True):
        assert struct.unpack_from("<q", content, tensor.offset - 8)[0] == np.prod(shape, dtype=int)
    assert header.expected_size == len(content)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_numpy_are_tensors_too(protocol: int) -> None:
    value = {
        "model": {
            "w": np.zeros((30, 40), "f4"),
            "b": np.zeros(3, "f2"),
            "names": np.array(["a", None], object),
        },
        "author": "me",
    }
    header = read(pickle.dumps(value, protocol))
    assert [(t.name, t.dtype, t.shape, t.size) for t in header.tensors] == [
        ("w", "F32", (30, 40), 4800),
        ("b", "F16", (3,), 6),
    ]
    assert (header.parameter_count, header.metadata["author"], header.problems) == (1203, "me", [])


def joblib_array(data: bytes, dtype: str = "f8", padding: bytes = b"\x03\xff\xff\xff") -> bytes:
    state = pickle.dumps(
        {"shape": (2,), "order": "C", "allow_mmap": True, "numpy_array_alignment_bytes": 16}, 2
    )[2:-2]
    described = b"X\x05\0\0\0dtypecnumpy\ndtype\n(X\x02\0\0\0" + dtype.encode() + b"K\0K\x01tR"
    return (
        b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"
        + state
        + described
        + b"ub"
        + padding
        + data
        + b"."
    )


def test_arrays_of_joblib_are_counted_and_passed_over() -> None:
    header = read(joblib_array(bytes(16)))
    assert [(t.dtype, t.shape, t.size) for t in header.tensors] == [("F64", (2,), 16)]
    assert header.problems == []


@pytest.mark.parametrize(
    "content",
    [joblib_array(EVIL, padding=b""), joblib_array(EVIL, "O8", b"")],
    ids=["no padding", "objects"],
)
def test_nothing_can_hide_in_an_array_of_joblib(content: bytes) -> None:
    assert "unsafe_pickle" in codes(read(content))


def test_a_pickle_that_would_call_something_is_unsafe(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    write_pickle_with_import(path, "builtins", "print")
    header = read(path.read_bytes())
    assert [(p.code, p.severity) for p in header.problems] == [("unsafe_pickle", Severity.ERROR)]
    assert "builtins.print" in header.problems[0].message
    assert list(header.imports) == ["builtins.print"]


def test_a_foreign_class_is_a_warning_and_no_harm() -> None:
    header = read(
        archive(
            ("m/data.pkl", b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n)\x81."),
            ("m/version", b"3\n"),
        )
    )
    assert [(p.code, p.severity) for p in header.problems] == [("unknown_import", Severity.WARNING)]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (archive(("m/data.pkl", EVIL)), "unsafe_pickle"),
        (archive(("m/data.pkl", EVIL), packed=True), "unsafe_pickle"),
        (archive(("m/data.pkl", HARMLESS), ("m/extra.bin", EVIL)), "unsafe_pickle"),
        (archive(("m/data.pkl", HARMLESS), ("m/extra.bin", EVIL), packed=True), "unsafe_pickle"),
        (archive(("m/data.pkl", HARMLESS), ("m/extra.pkl", b"cos\nsystem\n.")), "unsafe_pickle"),
        (archive(("m/data.pkl", HARMLESS), ("m/other/data.pkl", EVIL)), "unsafe_pickle"),
        (archive(("m/data.pkl", bytes(40_000_000)), packed=True), "unsafe_pickle"),
        (archive(("m/data.pkl", bytes(4_000_000)), packed=True), "unsafe_pickle"),
        (archive(("m/data.pkl", HARMLESS), ("m/code/__torch__.py", b"import os")),
            "torchscript_code"),
        (archive(("m/data.pkl", HARMLESS), ("../../evil", b"x")), "archive_tampered"),
        (archive(("m/data.pkl", HARMLESS), ("C:\\evil", b"x")), "archive_tampered"),
        (b"JUNK" * 100 + archive(("m/data.pkl", HARMLESS)), "archive_tampered"),
        (EVIL + archive(("m/data.pkl", HARMLESS)), "unsafe_pickle"),
        (archive(("m/data.pkl", HARMLESS)) + b"more", "archive_tampered"),
        (HARMLESS + b"\xff\xff\xff", "trailing_data"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_readable_file_is_said(content: bytes, code: str) -> None:
    assert code in codes(read(content))


def patched(position: bytes, offset: int, value: bytes, content: bytes) -> bytes:
    at = content.index(position) + offset
    return content[:at] + value + content[at + len(value) :]


LOCAL, ENTRY = b"PK\x03\x04", b"PK\x01\x02"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (patched(ENTRY, 16, bytes(4), archive(("m/data.pkl", EVIL))), "checksum_mismatch"),
        (patched(LOCAL, 6, b"\x01", archive(("m/data.pkl", EVIL))), "archive_tampered"),
        (patched(ENTRY, 8, b"\x01", archive(("m/data.pkl", EVIL))), "archive_tampered"),
        (patched(LOCAL, 30, b"m/datb.pkl", archive(("m/data.pkl", EVIL))), "archive_tampered"),
        (patched(LOCAL, 8, b"\x08", archive(("m/data.pkl", EVIL))), "archive_tampered"),
    ],
    ids=["checksum", "local encryption bit", "encryption bit", "two names", "two methods"],
)
def test_tricks_that_stop_other_scanners_do_not_hide_a_payload(content: bytes, code: str) -> None:
    assert {"unsafe_pickle", code} <= codes(read(content))


def test_missing_and_short_storages_are_said(tmp_path: Path) -> None:
    written(tmp_path / "model.bin")
    with zipfile.ZipFile(tmp_path / "model.bin") as file:
        members = {name: file.read(name) for name in file.namelist()}
    assert codes(read(archive(*members.items()))) == set()
    for change in ({"archive/data/0": b"short"}, {"archive/data/0": b""}):
        assert codes(read(archive(*{**members, **change}.items()))) == {"truncated"}
    del members["archive/data/0"]
    assert codes(read(archive(*members.items()))) == {"truncated"}


@pytest.mark.parametrize(
    ("size", "stride", "offset", "count"),
    [
        (b"(K\x05t", b"(K\x01t", b"K\0", b"K\x04"),
        (b"(K\x02K\x02t", b"(K\x03K\x01t", b"K\0", b"K\x04"),
        (b"(K\x02t", b"(K\x01t", b"K\x03", b"K\x04"),
    ],
)
def test_a_tensor_that_is_longer_than_its_storage_is_said(
    size: bytes, stride: bytes, offset: bytes, count: bytes
) -> None:
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0aX\x03\0\0\0cpu" + count + b"tQ"
    content = (
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + offset
        + size
        + stride
        + b"\x89}tRs."
    )
    header = read(archive(("m/data.pkl", content), ("m/data/a", bytes(16))))
    assert codes(header) == {"tensor_bounds"}
    assert header.tensors[0].name == "w"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + b"a" * 64
        + b"\nsize 4976698672\n",
        b"GGUF\x03\0\0\0" + bytes(64),
        struct.pack("<Q", 2) + b"{}",
        b'{"model_type": "bert"}',
        b"<html>404</html>",
        b"I1\n.",
        bytes(64),
        archive(("config.json", b"{}"), ("metadata.json", b"{}")),
    ],
)
def test_other_files_are_not_checkpoints(content: bytes) -> None:
    with pytest.raises(NotThisFormat):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        archive(("m/data.pkl", HARMLESS), ("m/data/0", bytes(4096)))[:2000],
        archive(("m/data.pkl", b"\x80\x02\xff")),
        patched(ENTRY, 42, b"\xff\xff\xff\x7f", archive(("m/data.pkl", HARMLESS))),
        patched(b"PK\x05\x06", 8, b"\xff\x7f\xff\x7f", archive(("m/data.pkl", HARMLESS))),
        patched(b"PK\x05\x06", 12, b"\xff\xff\xff\x7f", archive(("m/data.pkl", HARMLESS))),
        b"\x80\x02}",
    ],
)
def test_broken_checkpoints_are_invalid(content: bytes) -> None:
    with pytest.raises(InvalidHeader):
        read(content)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_every_truncation_is_noticed(tmp_path: Path, legacy: bool) -> None:
    written(tmp_path / "model.bin", legacy)
    content = (tmp_path / "model.bin").read_bytes()
    for length in range(len(content)):
        try:
            header = read(content[:length])
        except (InvalidHeader, NotThisFormat):
            continue
        assert (header.expected_size or 0) > length or header.problems, (
            f"{length} of {len(content)} bytes pass for a checkpoint"
        )


def test_gigabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    write_torch_zip(path, [(f"layer.{number}.weight", "F32", (1 << 26,)) for number in range(40)])
    with path.open("rb") as stream:
        header = reader.read(stream, path.stat().st_size)
    assert path.stat().st_size > 10 << 30
    assert header.parameter_count == 40 << 26
    assert header.tensors[39] == Tensor("layer.39.weight", "F32", (1 << 26,), 0, 4 << 26)


@pytest.mark.parametrize("count", [0, 1, 7, 64, 1000, 1 << 20])
def test_the_writer_knows_the_checksum_of_zeros(count: int) -> None:
    assert crc_of_zeros(count) == crc32(bytes(count))
