"""The formats that are recognized by structure: a whole file, and every kind of damage to one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from tests.engine.cases import CASES, MODULES, NOTICES, OPEN_ENDED, TENSORS, build, read


@pytest.mark.parametrize("case", CASES)
def test_a_whole_file_is_read_without_problems(case: str, tmp_path: Path) -> None:
    data = build(case, tmp_path)
    header = read(CASES[case][0], data)
    assert header.format == CASES[case][0].NAME
    assert {problem.code for problem in header.problems} == NOTICES.get(case, set())
    if case in OPEN_ENDED:
        assert (header.expected_size or 0) <= len(data)
    else:
        assert header.expected_size in (None, len(data))


@pytest.mark.parametrize("case", CASES)
def test_a_file_cut_at_any_byte_is_never_taken_for_whole(case: str, tmp_path: Path) -> None:
    data = build(case, tmp_path).rstrip(b"\n")
    step = max(len(data) // 4_000, 1)
    for length in range(0, len(data), step):
        try:
            header = read(CASES[case][0], data[:length])
        except (NotThisFormat, InvalidHeader):
            continue
        told = {problem.code for problem in header.problems} - NOTICES.get(case, set())
        assert told or (header.expected_size or 0) > length or case in OPEN_ENDED, (
            f"cut at {length} of {len(data)}"
        )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF])
def test_a_spoilt_byte_anywhere_is_refused_or_read_never_a_crash(
    case: str, byte: int, tmp_path: Path
) -> None:
    data = build(case, tmp_path)
    for position in range(min(len(data), 1_500)):
        spoilt = bytearray(data)
        spoilt[position] = byte
        with suppress(NotThisFormat, InvalidHeader):
            read(CASES[case][0], bytes(spoilt))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 64,
        b"hello world, just text",
        b"PK\x03\x04" + bytes(60),
        b"<!DOCTYPE html><html></html>",
        b"\x80\x02}q\x00.",
    ],
)
def test_something_else_is_not_this_format(module: ModuleType, data: bytes) -> None:
    with pytest.raises(NotThisFormat):
        read(module, data)


@pytest.mark.parametrize(
    "case", ["openvino", "variables", "tflite", "flax", "flax in chunks", "ctranslate2"]
)
def test_parameters_are_counted_from_the_shapes(case: str, tmp_path: Path) -> None:
    header = read(CASES[case][0], build(case, tmp_path))
    assert header.parameter_count == 24
    assert header.dtype == "F32"
    assert sorted((t.name, t.shape) for t in header.tensors) == sorted(
        (name, shape) for name, _, shape in TENSORS
    )


@pytest.mark.parametrize("case", ["openvino", "savedmodel", "tflite", "mlmodel"])
def test_inputs_and_outputs_are_named_with_type_and_shape(case: str, tmp_path: Path) -> None:
    metadata = read(CASES[case][0], build(case, tmp_path)).metadata
    assert metadata["inputs"] == [{"name": "x", "dtype": "F32", "shape": [1, 3]}]
    assert metadata["outputs"] == [{"name": "y", "dtype": "F32", "shape": [1, 2]}]
