"""Writes GGUF files: metadata, tensor table, a hole for the data.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from struct import Struct, pack
from typing import TypeAlias

from discovery.demo.writers.sparse import write_sparse
from discovery.engine.formats.ggml_types import TENSOR_TYPES

#: Name, ggml type name, shape as frameworks show it.
GGUFTensor: TypeAlias = tuple[str, str, Sequence[int]]

TYPE_NUMBERS = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY, _U64, _I64 = 4, 5, 6, 7, 8, 9, 10, 11
_FORMATS = {_U32: "I", _I32: "i", _F32: "f", _BOOL: "?", _U64: "Q", _I64: "q"}


def write_gguf(
    path: Path,
    metadata: Mapping[str, object],
    tensors: Sequence[GGUFTensor],
    *,
    version: int = 3,
    big_endian: bool = False,
    vocabulary: int | None = None,
) -> None:
    """``vocabulary`` adds a tokenizer of that many made-up tokens.

    Metadata takes its GGUF types from Python's: str, bool, int (u32, u64; i32, i64 when negative),
    float (f32), and lists of one of these (ints as i32, i64).
    """
    pairs = {**metadata, **(tokenizer(vocabulary) if vocabulary else {})}
    encoder = _Encoder(version, big_endian)
    alignment = pairs.get("general.alignment", 32)
    if not isinstance(alignment, int):
        raise TypeError("general.alignment is a whole number")
    head = [
        b"GGUF",
        encoder.pack("I", version),
        encoder.length(len(tensors)),
        encoder.length(len(pairs)),
    ]
    for key, value in pairs.items():
        kind, data = encoder.value(value)
        head += [encoder.string(key), encoder.pack("I", kind), data]
    offset = 0
    for name, kind_name, shape in tensors:
        number = TYPE_NUMBERS[kind_name]
        head += [
            encoder.string(name),
            encoder.pack("I", len(shape)),
            *(encoder.length(n) for n in reversed(shape)),
        ]
        head.append(encoder.pack("I", number) + encoder.pack("Q", offset))
        offset = _aligned(offset + gguf_tensor_bytes(kind_name, shape), alignment)
    table = b"".join(head)
    data_start = _aligned(len(table), alignment) if tensors else len(table)
    write_sparse(path, table, data_start + offset)


def gguf_tensor_bytes(kind: str, shape: Sequence[int]) -> int:
    """Return the number of bytes of a GGUF tensor.

    Raises ``ValueError`` when a row is not a whole number of blocks, which llama.cpp refuses.
    """
    _, block, width = TENSOR_TYPES[TYPE_NUMBERS[kind]]
    if shape and shape[-1] % block:
        raise ValueError(f"rows of {shape[-1]} are not made of {kind} blocks of {block}")
    return prod(shape) // block * width


@lru_cache(maxsize=4)
def tokenizer(size: int) -> dict[str, object]:
    """A made-up SentencePiece vocabulary: three special tokens, the 256 bytes, then words."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens = (tokens + [f"▁w{number}" for number in range(max(size - len(tokens), 0))])[:size]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(number) for number in range(size)],
        "tokenizer.ggml.token_type": ([2, 3, 3] + [6] * 256 + [1] * size)[:size],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


class _Encoder:
    """Python values to GGUF's, in one byte order. Version 1 has lengths of 32 bits."""

    def __init__(self, version: int, big_endian: bool) -> None:
        self.order = ">" if big_endian else "<"
        self.length_struct = Struct(self.order + ("I" if version == 1 else "Q"))

    def pack(self, form: str, *values: object) -> bytes:
        return pack(self.order + form, *values)

    def length(self, count: int) -> bytes:
        return self.length_struct.pack(count)

    def string(self, text: str) -> bytes:
        data = text.encode()
        return self.length_struct.pack(len(data)) + data

    def value(self, value: object) -> tuple[int, bytes]:
        if isinstance(value, str):
            return _STRING, self.string(value)
        if isinstance(value, (list, tuple)):
            return _ARRAY, self.array(value)
        kind = _scalar_type(value)
        return kind, self.pack(_FORMATS[kind], value)

    def array(self, items: Sequence[object]) -> bytes:
        if not items or isinstance(items[0], str):
            return (
                self.pack("I", _STRING)
                + self.length(len(items))
                + b"".join([self.string(str(item)) for item in items])
            )
        kind = _scalar_type(items[0])
        if kind in (_U32, _I32, _U64, _I64):
            kind = (
                _I32
                if all(-(1 << 31) <= item < 1 << 31 for item in items if isinstance(item, int))
                else _I64
            )
        return (
            self.pack("I", kind)
            + self.length(len(items))
            + self.pack(f"{len(items)}{_FORMATS[kind]}", *items)
        )


def _scalar_type(value: object) -> int:
    if isinstance(value, bool):
        return _BOOL
    if isinstance(value, int):
        if value < 0:
            return _I32 if value >= -(1 << 31) else _I64
        return _U32 if value < 1 << 32 else _U64
    if isinstance(value, float):
        return _F32
    raise TypeError(f"GGUF has no type for {value!r}")
