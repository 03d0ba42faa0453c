"""NumPy's archives of arrays (``.npz``), where their names are those of layers: MLX's first models
and adapters, Marian's, and checkpoints of JAX.

An archive of arrays may be anything else: statistics, a data set. Nothing in one is unpickled.

Sources: ``numpy/lib/format.py`` of https://github.com/numpy/numpy; ``src/data/npz_converter.h`` of
https://github.com/marian-nmt/marian-dev.
"""

from __future__ import annotations

import re
from math import prod
from typing import BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.archives.torch_zip import LOCAL_MAGIC, Archive, Member
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.parameters import main_dtype
from discovery.engine.core.types import Header, Tensor

NAME = "numpy"

MAX_ARRAYS = 100_000
_SUFFIX = ".npy"
#: The settings of a Marian model, as text in an array of bytes.
_MARIAN = "special:model.yml.npy"
#: Parts of a layer's name: libraries separate them so.
_LAYER = re.compile(r"\w[./]\w")
_DESCRIPTION = re.compile(rb"'descr': '([<>|=]?\w{1,8})'")
_SHAPE = re.compile(rb"'shape': \(([\d, ]{0,400})\)")
DTYPES = {
    "f8": "F64", "f4": "F32", "f2": "F16", "V2": "BF16", "i8": "I64", "i4": "I32", "i2": "I16",
    "i1": "I8", "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL",
}  # fmt: skip


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    if stream.read(4) != LOCAL_MAGIC:
        raise NotThisFormat("it is not a zip archive")
    try:
        archive = Archive(stream, size)
    except InvalidHeader as error:
        raise NotThisFormat(f"it is an archive that cannot be read: {error}") from error
    arrays = [member for member in archive.members if member.name.endswith(_SUFFIX)]
    is_marian = any(member.name == _MARIAN for member in arrays)
    layers = sum(bool(_LAYER.search(member.name[: -len(_SUFFIX)])) for member in arrays)
    if len(arrays) < len(archive.members) or not (is_marian or layers * 2 > len(arrays)):
        raise NotThisFormat("its arrays are not called like the layers of a model")
    if len(arrays) > MAX_ARRAYS:
        raise InvalidHeader(f"it holds more than {MAX_ARRAYS:,} arrays")
    tensors = [
        _tensor(archive, member) for member in arrays if not member.name.startswith("special:")
    ]
    return Header(
        format=NAME,
        tensors=tensors,
        parameter_count=sum(prod(tensor.shape) for tensor in tensors) or None,
        dtype=main_dtype(tensors),
        problems=archive.problems,
        task="translation" if is_marian else None,
    )


def _tensor(archive: Archive, member: Member) -> Tensor:
    name = member.name[: -len(_SUFFIX)]
    try:
        dtype, shape = array(archive.head(member, decompression.HEAD_BYTES))
    except InvalidHeader as error:
        raise InvalidHeader(f"{name[:80]!r}: {error}") from error
    return Tensor(name[:512], dtype, shape, -1, member.size)


def array(head: bytes) -> tuple[str, tuple[int, ...]]:
    """Type and shape of the array that starts so. Raises ``InvalidHeader``."""
    if not head.startswith(decompression.NPY_MAGIC):
        raise InvalidHeader("it is not an array")
    header = head[: decompression.array_header(head)]
    shape, kind = _SHAPE.search(header), _DESCRIPTION.search(header)
    if shape is None:
        raise InvalidHeader("the array has no shape")
    sides = tuple(int(side) for side in shape[1].replace(b" ", b"").split(b",") if side)
    told = kind[1].decode("latin-1").lstrip("<>|=") if kind else "object"
    return DTYPES.get(told, told.upper()), sides


FORMAT = Format(
    name=NAME,
    label="NumPy",
    rank=265,
    names=((".npz", r"(?P<stem>.*?)(?:\.npz\.best-[\w-]+)?\.npz"),),
    is_archive=True,
    read=read,
    usage=Usage(
        "NumPy",
        "pip install numpy",
        "import numpy\n\n"
        "weights = numpy.load({path!r}, allow_pickle=False)\n"
        "print(weights.files[:5])",
    ),
)
