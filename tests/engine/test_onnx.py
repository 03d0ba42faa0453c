"""The ONNX reader: the official library's answers, external data, nesting, and every truncation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest

from discovery.demo.writers.onnx import Node, Pieces, field, number_field, varint, write_onnx
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.types import External, Header
from discovery.engine.core.vocabulary import Severity
from discovery.engine.formats import onnx as reader
from tests.support.timing import at_most

TENSORS = [
    ("encoder.weight", "F32", (10, 20)),
    ("half", "F16", (300,)),
    ("step", "I64", ()),
    ("empty", "F32", (0, 4)),
]
INPUTS: list[tuple[str, str, Sequence[int | str]]] = [
    ("ids", "I64", ("batch", "sequence")),
    ("mask", "F32", (1, 8)),
]
OUTPUTS: list[tuple[str, str, Sequence[int | str]]] = [("logits", "F32", ("batch", 4))]


def join(pieces: Pieces) -> bytes:
    return b"".join(bytes(piece) if isinstance(piece, int) else piece for piece in pieces)


def model(graph: Pieces, *, ir_version: Pieces | None = None, opset: bool = True) -> bytes:
    ports = field(11, field(1, "x")) + field(12, field(1, "y"))
    body = (number_field(1, 8) if ir_version is None else ir_version) + field(7, graph + ports)
    return join(body + (field(8, number_field(2, 17)) if opset else []))


def tensor(
    *,
    dims: Sequence[int] = (4,),
    dtype: int = 1,
    data: int | None = 16,
    external: dict[str, str] | None = None,
) -> Pieces:
    pieces: Pieces = [piece for size in dims for piece in number_field(1, size)]
    pieces += number_field(2, dtype) + field(8, "w")
    for key, value in (external or {}).items():
        pieces += field(13, field(1, key) + field(2, value))
    if external is not None:
        return pieces + number_field(14, 1)
    return pieces + ([] if data is None else field(9, [data]))


def read(content: bytes) -> Header:
    return reader.read(io.BytesIO(content), len(content))


def written(path: Path, **options: object) -> Header:
    write_onnx(path, TENSORS, INPUTS, OUTPUTS, **options)  # type: ignore[arg-type]
    with path.open("rb") as stream:
        return reader.read(stream, path.stat().st_size)


def codes(header: Header) -> list[str]:
    return [problem.code for problem in header.problems]


def test_agrees_with_the_official_library(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    header = written(path, metadata={"author": "me"})
    onnx.checker.check_model(str(path), full_check=True)
    official = onnx.load(str(path))
    assert [(t.name, t.shape, t.size) for t in header.tensors] == [
        (t.name, tuple(t.dims), len(t.raw_data)) for t in official.graph.initializer
    ]
    assert header.metadata["operators"] == {"Constant": 2, "Cast": 1, "Expand": 1}
    assert header.metadata["opsets"] == {"ai.onnx": official.opset_import[0].version}
    assert header.metadata["properties"] == {"author": "me"}
    assert (header.metadata["ir_version"], header.metadata["producer"]) == (
        official.ir_version,
        official.producer_name,
    )
    assert header.problems == []


def test_inputs_and_outputs_keep_their_symbolic_dimensions(tmp_path: Path) -> None:
    header = written(tmp_path / "model.onnx")
    assert header.metadata["inputs"] == [
        {"name": "ids", "dtype": "I64", "shape": ["batch", "sequence"]},
        {"name": "mask", "dtype": "F32", "shape": [1, 8]},
    ]
    assert header.metadata["outputs"] == [{"name": "logits", "dtype": "F32", "shape": ["batch", 4]}]


def test_an_initializer_that_is_declared_as_input_is_no_input(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx(path, TENSORS, [*INPUTS, ("half", "F16", (300,))], OUTPUTS)
    assert [port["name"] for port in read(path.read_bytes()).metadata["inputs"]] == ["ids", "mask"]


def test_shapes_and_steps_are_no_parameters(tmp_path: Path) -> None:
    header = written(tmp_path / "model.onnx")
    assert (header.parameter_count, header.dtype, header.quantization) == (500, "F32", None)


def test_offsets_point_at_the_data(tmp_path: Path) -> None:
    header = written(tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    first = header.tensors[0]
    changed = content[: first.offset] + b"\x01" * first.size + content[first.offset + first.size :]
    assert onnx.load_from_string(changed).graph.initializer[0].raw_data == b"\x01" * first.size


def test_external_data_are_named_and_measured(tmp_path: Path) -> None:
    header = written(tmp_path / "model.onnx", external="model.onnx_data")
    assert header.externals == [External("model.onnx_data", 8200)]
    assert {t.offset for t in header.tensors} == {-1}
    assert header.parameter_count == 500
    onnx.checker.check_model(str(tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    "location",
    [
        "../../etc/passwd",
        "sub/../../x",
        "/etc/passwd",
        "..\\x",
        "a\0b",
        "",
        ".",
        "./",
        "..",
        "C:x",
        "http://host/x",
        "file:///x",
        "a/..",
    ],
)
def test_external_data_outside_the_folder_are_an_error(location: str) -> None:
    header = read(model(field(5, tensor(external={"location": location}))))
    assert codes(header) == ["external_data_outside"]
    assert header.externals == []
    assert not reader.safe_location(location)


@pytest.mark.parametrize(
    "location", ["w.bin", "sub/w.bin", "..w", "w..bin", "model.onnx_data", "./w.bin"]
)
def test_external_data_inside_the_folder_are_fine(location: str) -> None:
    assert read(model(field(5, tensor(external={"location": location})))).problems == []


@pytest.mark.parametrize(
    "entry",
    [
        {"offset": "-5"},
        {"offset": "abc"},
        {"offset": "9" * 30},
        {"offset": "1e3"},
        {"length": "99999999"},
        {"length": "²"},
    ],
)
def test_external_offsets_that_make_no_sense_are_an_error(entry: dict[str, str]) -> None:
    header = read(model(field(5, tensor(external={"location": "w.bin", **entry}))))
    assert codes(header) == ["external_data_invalid"]
    assert header.externals == []


@pytest.mark.parametrize(
    ("description", "code"),
    [
        (tensor(dims=(1 << 62, 1 << 62), data=0), "tensor_invalid"),
        (tensor(dims=(-4,), data=0), "tensor_invalid"),
        (tensor(dims=[1] * 70, data=4), "tensor_invalid"),
        (tensor(dtype=99), "dtype_unknown"),
        (tensor(data=12), "tensor_bounds"),
        (tensor(data=None), "tensor_bounds"),
    ],
)
def test_a_tensor_that_cannot_be_is_an_error(description: Pieces, code: str) -> None:
    assert codes(read(model(field(5, description)))) == [code]


def test_packed_and_typed_data_are_read_too() -> None:
    packed = field(1, [varint(2) + varint(3)]) + number_field(2, 1) + field(8, "w") + field(4, [24])
    header = read(model(field(5, packed)))
    assert header.tensors[0].shape == (2, 3)
    assert header.problems == []


def test_the_order_of_fields_is_free() -> None:
    body = (
        field(8, number_field(2, 17))
        + field(7, field(12, field(1, "y")) + field(5, tensor()) + field(11, field(1, "w")))
        + number_field(1, 8)
    )
    header = read(join(body))
    assert (header.parameter_count, header.metadata["inputs"], header.metadata["ir_version"]) == (
        4,
        [],
        8,
    )


def test_constants_and_nested_graphs_count_and_the_branches_of_an_if_count_once() -> None:
    constant = field(
        1,
        field(2, "c")
        + field(4, "Constant")
        + field(5, field(1, "value") + field(5, tensor(dims=(20,), data=80))),
    )
    branch = field(5, tensor(dims=(30,), data=120))
    condition = field(
        1,
        field(4, "If")
        + field(5, field(1, "then_branch") + field(6, branch))
        + field(5, field(1, "else_branch") + field(6, branch)),
    )
    header = read(model(constant + condition))
    assert [(t.name, t.shape) for t in header.tensors] == [("w", (20,)), ("w", (30,))]
    assert header.parameter_count == 50


def test_graphs_nested_without_end_are_refused_without_recursion() -> None:
    nested: Pieces = field(4, "Add")
    for _ in range(3000):
        nested = [join(field(4, "If") + field(5, field(6, field(1, nested))))]
    with pytest.raises(InvalidHeader, match="nested more than"):
        read(model(field(1, nested)))


def test_weights_of_eight_bits_are_int8(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    nodes = [
        Node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wf"]),
        Node("MatMul", ["x", "wf"], ["y"]),
    ]
    write_onnx(
        path,
        [("w", "I8", (64, 64)), ("w_scale", "F32", (64,)), ("w_zero", "I8", (64,))],
        [("x", "F32", (1, 64))],
        OUTPUTS,
        nodes=nodes,
    )
    header = read(path.read_bytes())
    assert (header.parameter_count, header.quantization, header.dtype) == (4096, "int8", None)


def test_weights_of_four_bits_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    node = Node(
        "MatMulNBits",
        ["x", "w_q4", "w_scales"],
        ["y"],
        "com.microsoft",
        {"K": 128, "N": 64, "bits": 4, "block_size": 32},
    )
    write_onnx(
        path,
        [("w_q4", "U8", (64, 4, 16)), ("w_scales", "F32", (256,))],
        [("x", "F32", (1, 128))],
        OUTPUTS,
        nodes=[node],
    )
    header = read(path.read_bytes())
    assert (header.parameter_count, header.quantization, header.bits_per_weight) == (
        8192,
        "int4",
        5.0,
    )
    assert header.problems == []


def test_foreign_operators_are_mentioned(tmp_path: Path) -> None:
    header = written(
        tmp_path / "model.onnx", nodes=[Node("PyOp", ["ids"], ["logits"], "ai.onnx.contrib")]
    )
    assert [(problem.code, problem.severity) for problem in header.problems] == [
        ("custom_operators", Severity.INFO)
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"<html>404</html>",
        b"\n\x05hello\x12\x05world",
        b"PK\x03\x04",
        b"GGUF" + bytes(20),
        bytes(100),
    ],
)
def test_other_files_are_not_onnx(content: bytes) -> None:
    with pytest.raises(NotThisFormat):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x08" + b"\xff" * 11,
        join(number_field(1, 9)) + b"\x3b\x3c",
        join(number_field(1, 9)) + varint(7 << 3 | 2) + varint(1 << 40) + b"xx",
        model(field(5, [varint(1 << 3 | 2) + varint(1 << 60)])),
        model(field(5, field(1, [b"\xff" * 3]))),
        model(field(5, field(1, [b"\1" * 2000]))),
    ],
)
def test_broken_messages_are_invalid(content: bytes) -> None:
    with pytest.raises(InvalidHeader):
        read(content)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    written(tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    for length in range(len(content)):
        try:
            header = read(content[:length])
        except (InvalidHeader, NotThisFormat):
            continue
        assert header.problems, f"{length} of {len(content)} bytes pass for a model"


def test_ort_files_are_recognized() -> None:
    assert read(b"\x18\0\0\0ORTM" + bytes(40)).metadata == {"container": "ort"}


def test_two_hundred_thousand_nodes_are_skimmed_quickly() -> None:
    node = join(field(1, field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Add")))
    content = model([node * 200_000])
    with at_most(loops=60):
        assert read(content).metadata["operators"] == {"Add": 200_000}


def test_weights_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx(path, [(f"w{number}", "F32", (1 << 24,)) for number in range(16)], INPUTS, OUTPUTS)

    class Counting(io.FileIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(-1 if size is None else size)
            self.taken += len(data or b"")
            return data or b""

    with Counting(path) as stream:
        header = reader.read(stream, path.stat().st_size)  # type: ignore[arg-type]
        assert header.parameter_count == 16 << 24
        assert stream.taken < 4 << 20
