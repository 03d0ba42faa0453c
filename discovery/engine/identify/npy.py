"""The header of one array of NumPy's in a file of its own, that another file keeps there."""

from __future__ import annotations

from math import prod

from discovery.engine.archives import decompression
from discovery.engine.core.errors import InvalidHeader
from discovery.engine.core.files import read_file
from discovery.engine.core.parameters import DTYPE_BITS
from discovery.engine.core.types import FileEntry, Tensor
from discovery.engine.formats import numpy

SUFFIX = ".npy"


def tensor(root: str, entry: FileEntry) -> Tensor | None:
    """The array of a file; ``None`` if the file is not an array. Raises ``OSError``."""
    if not entry.name.endswith(SUFFIX):
        return None
    head = read_file(root, entry, decompression.HEAD_BYTES)
    try:
        dtype, shape = numpy.array(head)
    except InvalidHeader:
        return None
    size = prod(shape) * DTYPE_BITS.get(dtype, 0) // 8
    return Tensor(entry.name[: -len(SUFFIX)], dtype, shape, len(head), size)
