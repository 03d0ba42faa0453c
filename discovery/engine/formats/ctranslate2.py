"""CTranslate2: ``model.bin``, the specification's name and a list of named variables.

Source: ``ModelSpec._serialize`` of https://github.com/OpenNMT/CTranslate2
(python/ctranslate2/specs/model_spec.py).
"""

from __future__ import annotations

from math import prod
from typing import BinaryIO

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.parameters import DTYPE_BITS, main_dtype
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType

NAME = "ctranslate2"

#: Version 4 brought the type of each variable; nobody has met an older file since 2020.
BINARY_VERSIONS = range(4, 32)
MAX_SPEC_NAME = 64
MAX_NAME = 512
MAX_VARIABLES = 50_000
MAX_DIMENSIONS = 16
DTYPES = ("F32", "I8", "I16", "I32", "F16", "BF16")
#: What models of a specification are for, as the Hub calls it.
_TASKS = {
    "TransformerSpec": "text2text-generation",
    "TransformerDecoderSpec": "text-generation",
    "TransformerEncoderSpec": "feature-extraction",
    "WhisperSpec": "automatic-speech-recognition",
    "Wav2Vec2Spec": "automatic-speech-recognition",
    "Wav2Vec2BertSpec": "automatic-speech-recognition",
}
_QUANTIZED = {"I8": "INT8", "I16": "INT16", "I32": "INT4"}


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``. Data are skipped by their length."""
    reader = _Variables(stream, size)
    version, name = _recognize(reader)
    revision = reader.u32("the revision")
    tensors = [reader.variable() for _ in range(reader.counted("variables"))]
    aliases = {
        reader.string("an alias"): reader.string("an aliased variable")
        for _ in range(reader.counted("aliases"))
    }
    if reader.left:
        raise InvalidHeader(f"{reader.left:,} bytes follow the last alias", reader.position)
    weights = [t for t in tensors if t.shape and not t.name.endswith(("_scale", "_zero"))]
    main = max(weights, key=lambda t: t.size, default=None)
    quantization = _QUANTIZED.get(main.dtype) if main else None
    return Header(
        format=NAME,
        tensors=tensors,
        metadata={
            "spec": name,
            "revision": revision,
            "binary_version": version,
            "alias_count": len(aliases),
        },
        parameter_count=sum(prod(t.shape) for t in weights) if weights else None,
        dtype=None if quantization else main_dtype(weights),
        quantization=quantization,
        expected_size=reader.position,
        task=_TASKS.get(name),
    )


def _recognize(reader: _Variables) -> tuple[int, str]:
    """No magic: a small version, then the name of a class that ends in ``Spec`` and in a zero
    byte.
    """
    head = reader.stream.read(6)
    version, length = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
    if len(head) < 6 or version not in BINARY_VERSIONS or not 6 <= length <= MAX_SPEC_NAME:
        raise NotThisFormat("it does not start with a version and the name of a specification")
    reader.position = 6
    name = reader.stream.read(length)
    reader.position += len(name)
    if len(name) < length or not name.endswith(b"Spec\0") or not name[:-1].isalnum():
        raise NotThisFormat("it names no CTranslate2 specification")
    return version, name[:-1].decode("ascii", "replace")


class _Variables(Reader):
    def counted(self, what: str) -> int:
        count = self.u32(f"the number of {what}")
        if count > MAX_VARIABLES or count * 6 > self.left:
            raise InvalidHeader(
                f"it claims {count:,} {what} in {self.left:,} bytes", self.position - 4
            )
        return count

    def string(self, what: str) -> str:
        length = int.from_bytes(self.exact(2, f"the length of {what}"), "little")
        if not 1 <= length <= MAX_NAME:
            raise InvalidHeader(f"{what} claims {length:,} bytes", self.position - 2)
        return self.exact(length, what)[:-1].decode("utf-8", "replace")

    def variable(self) -> Tensor:
        name = self.string("the name of a variable")
        rank = self.exact(1, f"the rank of {name!r}")[0]
        if rank > MAX_DIMENSIONS:
            raise InvalidHeader(f"{name!r} claims {rank} dimensions", self.position - 1)
        shape = tuple(self.u32(f"a dimension of {name!r}") for _ in range(rank))
        kind, size = self.exact(1, f"the type of {name!r}")[0], self.u32(f"the size of {name!r}")
        dtype = DTYPES[kind] if kind < len(DTYPES) else f"TYPE_{kind}"
        # The size is kept in 32 bits: a variable of 4 GB and more wraps around.
        wanted = prod(shape) * DTYPE_BITS.get(dtype, 0) // 8
        if dtype in DTYPE_BITS and wanted % (1 << 32) != size:
            raise InvalidHeader(
                f"{name!r} has {size:,} bytes, its shape needs {wanted:,}", self.position
            )
        offset, size = self.position, max(wanted, size)
        self.skip(size, f"the data of {name!r}")
        return Tensor(name, dtype, shape, offset, size)


FORMAT = Format(
    name=NAME,
    label="CTranslate2",
    rank=60,
    type=ModelType.CTRANSLATE2,
    tried_for=(".bin",),
    read=read,
)
