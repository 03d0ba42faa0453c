"""Write formats that are a list of named arrays.

These are Flax, CTranslate2, and GGML's files from before GGUF.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from struct import pack
from typing import Any

from discovery.demo.writers.gguf import TYPE_NUMBERS, GGUFTensor, gguf_tensor_bytes
from discovery.demo.writers.shapes import Sizes
from discovery.demo.writers.sparse import TensorSpec, tensor_bytes, write_pieces

_NUMPY = {
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "I8": "int8",
    "U8": "uint8",
}
_CTRANSLATE2 = ("F32", "I8", "I16", "I32", "F16", "BF16")
#: Arrays larger than this are cut into chunks (flax/serialization.py).
FLAX_CHUNK_BYTES = 1 << 30


def write_flax(
    path: Path, tensors: Sequence[TensorSpec], *, chunk_bytes: int = FLAX_CHUNK_BYTES
) -> None:
    """``tensors`` are named by their path, joined with dots."""
    tree: dict[str, Any] = {}
    for name, dtype, shape in tensors:
        *folders, leaf = name.split(".")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[leaf] = (dtype, tuple(shape))
    write_pieces(path, _flax(tree, chunk_bytes))


def _flax(node: Any, chunk_bytes: int) -> Iterator[bytes | int]:
    if isinstance(node, dict):
        yield pack(">BH", 0xDE, len(node))
        for key, value in node.items():
            yield _text(key)
            yield from _flax(value, chunk_bytes)
    elif isinstance(node, int):
        yield b"\xc3" if node is True else pack(">BI", 0xCE, node)
    else:
        dtype, shape = node
        yield from _flax_array(dtype, shape, chunk_bytes)


def _flax_array(dtype: str, shape: tuple[int, ...], chunk_bytes: int) -> Iterator[bytes | int]:
    size, width = tensor_bytes(dtype, shape), tensor_bytes(dtype, ())
    if size > chunk_bytes:
        step = chunk_bytes // width
        lengths = [min(step, size // width - start) for start in range(0, size // width, step)]
        chunks = {str(number): (dtype, (length,)) for number, length in enumerate(lengths)}
        whole = {
            "__msgpack_chunked_array__": True,
            "shape": {str(axis): length for axis, length in enumerate(shape)},
            "chunks": chunks,
        }
        yield from _flax(whole, chunk_bytes)
        return
    dimensions = b"".join(pack(">BI", 0xCE, length) for length in shape)
    inner = (
        b"\x93"
        + bytes([0x90 | len(shape)])
        + dimensions
        + _text(_NUMPY[dtype])
        + pack(">BI", 0xC6, size)
    )
    yield pack(">BIB", 0xC9, len(inner) + size, 1) + inner
    yield size


def _text(text: str) -> bytes:
    return pack(">BB", 0xD9, len(text.encode())) + text.encode()


def write_ctranslate2(
    path: Path,
    tensors: Sequence[TensorSpec],
    *,
    spec: str = "TransformerSpec",
    aliases: Mapping[str, str] | None = None,
) -> None:
    """``path`` is the model.bin."""
    write_pieces(path, _ctranslate2(tensors, spec, aliases or {}))


def _ctranslate2(
    tensors: Sequence[TensorSpec], spec: str, aliases: Mapping[str, str]
) -> Iterator[bytes | int]:
    def string(text: str) -> bytes:
        return pack("<H", len(text) + 1) + text.encode() + b"\0"

    yield pack("<I", 6) + string(spec) + pack("<II", 7, len(tensors))
    for name, dtype, shape in sorted(tensors):
        size = tensor_bytes(dtype, shape)
        yield string(name) + pack(
            f"<B{len(shape)}IBI", len(shape), *shape, _CTRANSLATE2.index(dtype), size
        )
        yield size
    yield pack("<I", len(aliases))
    for alias, name in aliases.items():
        yield string(alias) + string(name)


def write_ggml_llama(
    path: Path,
    tensors: Sequence[GGUFTensor],
    sizes: Sizes,
    *,
    file_type: int = 2,
    container: str = "ggjt",
    version: int = 3,
) -> None:
    """llama.cpp's format of spring 2023; ``container`` is ggml, ggmf (version 1) or ggjt (1 to 3).

    Block sizes are those of version 3.
    """
    head = pack("<4s", {"ggml": b"lmgg", "ggmf": b"fmgg", "ggjt": b"tjgg"}[container]) + (
        b"" if container == "ggml" else pack("<I", version)
    )
    heads = sizes.attention_heads
    head += pack(
        "<7I", sizes.vocab, sizes.hidden, 256, heads, sizes.layers, sizes.hidden // heads, file_type
    )
    score = b"" if container == "ggml" else pack("<f", 0.0)
    head += b"".join(
        pack("<I", len(word)) + word + score
        for word in (b"w%d" % number for number in range(sizes.vocab))
    )
    write_pieces(path, _ggml(head, tensors, aligned=container == "ggjt"))


def write_ggml_whisper(
    path: Path, tensors: Sequence[GGUFTensor], sizes: Sizes, *, file_type: int = 1
) -> None:
    """whisper.cpp's format: its numbers, mel filters, words, tensors."""
    numbers = (
        sizes.vocab,
        1500,
        sizes.hidden,
        sizes.attention_heads,
        sizes.layers,
        448,
        sizes.hidden,
        sizes.attention_heads,
        sizes.layers,
    )
    head = (
        b"lmgg"
        + pack("<11I", *numbers, sizes.mels, file_type)
        + pack("<2I", sizes.mels, 201)
        + bytes(4 * sizes.mels * 201)
    )
    head += pack("<I", sizes.vocab) + b"".join(
        pack("<I", len(word)) + word for word in (b"w%d" % number for number in range(sizes.vocab))
    )
    write_pieces(path, _ggml(head, tensors, aligned=False))


def write_ggml_lora(
    path: Path, tensors: Sequence[GGUFTensor], *, rank: int = 8, alpha: int = 16
) -> None:
    write_pieces(path, _ggml(pack("<4s3I", b"algg", 1, rank, alpha), tensors, aligned=True))


def _ggml(head: bytes, tensors: Sequence[GGUFTensor], *, aligned: bool) -> Iterator[bytes | int]:
    yield head
    position = len(head)
    for name, kind, shape in tensors:
        described = (
            pack(f"<3I{len(shape)}I", len(shape), len(name), TYPE_NUMBERS[kind], *reversed(shape))
            + name.encode()
        )
        described += bytes(-(position + len(described)) % 32) if aligned else b""
        yield described
        yield gguf_tensor_bytes(kind, shape)
        position += len(described) + gguf_tensor_bytes(kind, shape)
