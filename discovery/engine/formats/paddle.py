"""PaddlePaddle: programs (``.pdmodel``, ``__model__``; ``inference.json`` since version 3), their
parameters (``.pdiparams``, ``__params__``), and pickled states (``.pdparams``).

Source: ``framework.proto`` and ``SerializeToStream`` (lod_tensor.cc, tensor_util.cc) of
https://github.com/PaddlePaddle/Paddle; its ``pir_serialize``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace
from math import prod
from typing import Any, BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.parameters import DTYPE_BITS, main_dtype
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats import pytorch
from discovery.engine.formats.protobuf_fields import BYTES, Field, ProtobufReader, signed

NAME = "paddle"

#: VarType.Type.
DTYPES = {
    0: "BOOL", 1: "I16", 2: "I32", 3: "I64", 4: "F16", 5: "F32", 6: "F64", 20: "U8", 21: "I8",
    22: "BF16", 32: "F8_E4M3", 33: "F8_E5M2",
}  # fmt: skip
MAX_TENSORS = 50_000
MAX_DIMENSIONS = 32
HEAD_BYTES = 4_096
MAX_PROGRAM = 32 << 20
#: A first block: its number 0, its parent -1.
_PROGRAM = re.compile(rb"\x0a[\x80-\xff]{0,4}[\x01-\x7f]\x08\0\x10\xff{9}\x01\x1a", re.DOTALL)
#: Version 0 without levels of detail, version 0 of the tensor, then its description.
_PARAMETERS = re.compile(rb"\0{4}\0{8}\0{4}[\x02-\xff]\0\0\0\x08[\0-\x21]", re.DOTALL)
_PIR = re.compile(rb'\s*\{\s*"base_code"\s*:\s*\{[^{}]{0,200}"magic"\s*:\s*"pir"')
_SKIPPED = ("feed", "fetch")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(HEAD_BYTES)
    if _PROGRAM.match(head):
        return _program(ProtobufReader(stream, size))
    if _PARAMETERS.match(head):
        stream.seek(0)
        return _parameters(Reader(stream, size))
    if _PIR.match(head):
        return _pir(stream, size)
    if decompression.looks_like_pickle(head):
        stream.seek(0)
        return replace(pytorch.read(stream, size), format=NAME, type=ModelType.PADDLE)
    raise NotThisFormat("it is neither a program of PaddlePaddle's nor its parameters")


def _program(reader: ProtobufReader) -> Header:
    """Inputs, and the number of parameters: these are in other files, which contain their shapes as
    well.
    """
    declared = 0
    inputs: list[dict[str, Any]] = []
    operators = 0
    for block in reader.fields(0, reader.size):
        if block.number != 1 or block.wire != BYTES:
            continue
        for field in reader.inside(block):
            if field.number == 4:
                operators += 1
            elif field.number == 3:
                name, _, shape, kept = _variable(reader, field)
                if shape is None or name in _SKIPPED:
                    continue
                if kept:
                    declared += prod(max(side, 0) for side in shape)
                elif not inputs:
                    inputs.append({"name": name, "shape": [n if n > 0 else None for n in shape]})
    return Header(
        format=NAME,
        metadata={
            "container": "program",
            "operator_count": operators,
            "declared_parameters": declared,
            "inputs": inputs,
        },
    )


def _variable(reader: ProtobufReader, variable: Field) -> tuple[str, str, list[int] | None, bool]:
    """(name, type, sides, whether it is kept)."""
    shape: list[int] | None = None
    name, dtype, kept = "", "", False
    for field in reader.inside(variable):
        if field.number == 1:
            name = reader.text(field, 512)
        elif field.number == 2:
            for kind in reader.inside(field):
                if kind.number == 3:
                    for tensor in reader.inside(kind):
                        if tensor.number == 1:
                            dtype, shape = _description(reader, tensor.start, tensor.end)
        elif field.number == 3:
            kept = field.value == 1
    return name, dtype, shape, kept


def _description(reader: ProtobufReader, start: int, end: int) -> tuple[str, list[int]]:
    """``TensorDesc``: the type and the sides."""
    shape: list[int] = []
    dtype = ""
    for field in reader.fields(start, end):
        if field.number == 1:
            dtype = DTYPES.get(field.value, f"TYPE_{field.value}")
        elif field.number == 2 and field.wire == BYTES:
            reader.seek(field.start)
            while reader.position < field.end and len(shape) <= MAX_DIMENSIONS:
                shape.append(signed(reader.varint()))
        elif field.number == 2:
            shape.append(signed(field.value))
        if len(shape) > MAX_DIMENSIONS:
            raise InvalidHeader(f"a tensor has more than {MAX_DIMENSIONS} dimensions", start)
    return dtype, shape


def _parameters(reader: Reader) -> Header:
    """Tensors one after the other, sorted by their names, which the file does not contain."""
    tensors: list[Tensor] = []
    end = 0
    while end < reader.size:
        if len(tensors) >= MAX_TENSORS:
            raise InvalidHeader(f"it holds more than {MAX_TENSORS:,} tensors", end)
        reader.seek(end)
        tensors.append(_parameter(reader, len(tensors)))
        end = tensors[-1].offset + tensors[-1].size
    return Header(
        format=NAME,
        tensors=tensors,
        metadata={"container": "parameters"},
        parameter_count=sum(prod(tensor.shape) for tensor in tensors),
        dtype=main_dtype(tensors),
        expected_size=end,
    )


def _parameter(reader: Reader, number: int) -> Tensor:
    start = reader.position
    if reader.u32("a version"):
        raise InvalidHeader("a tensor has an unknown version", start)
    levels = reader.u64("the levels of detail")
    if levels > MAX_DIMENSIONS:
        raise InvalidHeader(f"a tensor claims {levels:,} levels of detail", start + 4)
    for _ in range(levels):
        reader.skip(reader.u64("a level of detail"), "a level of detail")
    if reader.u32("a version"):
        raise InvalidHeader("a tensor has an unknown version", reader.position - 4)
    length = reader.u32("the length of a description")
    if length > HEAD_BYTES:
        raise InvalidHeader(f"a description claims {length:,} bytes", reader.position - 4)
    at = reader.position
    reader.skip(length, "a description")
    fields = ProtobufReader(reader.stream, at + length)
    dtype, shape = _description(fields, at, at + length)
    if dtype not in DTYPE_BITS or any(side < 0 for side in shape):
        raise InvalidHeader("a tensor has no type or shape that make sense", at)
    return Tensor(
        f"parameter {number}",
        dtype,
        tuple(shape),
        at + length,
        prod(shape) * DTYPE_BITS[dtype] // 8,
    )


def _pir(stream: BinaryIO, size: int) -> Header:
    """A program as JSON, without the weights."""
    if size > MAX_PROGRAM:
        raise InvalidHeader(f"the program has more than {MAX_PROGRAM:,} bytes")
    stream.seek(0)
    try:
        program = json.loads(stream.read(size))
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"the program is not JSON: {str(error)[:120]}") from error
    version = program["base_code"].get("version") if isinstance(program["base_code"], dict) else 0
    return Header(
        format=NAME,
        metadata={"container": "pir", "version": version if type(version) is int else None},
    )


def _is_folder(_folder: str, files: Collection[str], _folders: Collection[str]) -> bool:
    return "__model__" in files


FORMAT = Format(
    name=NAME,
    label="PaddlePaddle",
    rank=225,
    type=ModelType.PADDLE,
    suffixes=(".pdmodel", ".pdiparams", ".pdparams"),
    tried_for=(".json",),
    names=(
        ("", r"__(?P<stem>)(?:model|params)__"),
        (".json", r"(?P<stem>inference)\.json"),
    ),
    is_folder=_is_folder,
    knows_its_size=True,
    read=read,
    usage=Usage(
        "PaddlePaddle",
        "pip install paddlepaddle",
        "import os\nfrom paddle import inference\n\n"
        "stem = os.path.splitext({path!r})[0]\n"
        'program = stem + (".json" if os.path.exists(stem + ".json") else ".pdmodel")\n'
        'config = inference.Config(program, stem + ".pdiparams")\n'
        "print(inference.create_predictor(config).get_input_names())",
    ),
)
