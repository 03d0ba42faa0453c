"""safetensors files by the official reader: ``safe_open``, then every tensor touched.

Source: https://huggingface.co/docs/safetensors/api/torch
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.types import Header, Tensor
from discovery.loading import weights
from discovery.loading.errors import LoadFailed
from discovery.loading.job import TRANSFORMERS_TYPES, Job
from discovery.loading.libraries import install_command, library, version

NAME = "safetensors"

#: Tensors up to this size are taken out by the library; larger ones are read a piece at a time, so
#: that memory stays flat.
MAX_WHOLE = 64 << 20
BLOCK = 8 << 20
#: What numpy has a type for. The bytes of the others (BF16, FP8, FP4) are read as they lie in the
#: file.
_NUMPY = frozenset(
    {"F64", "F32", "F16", "C64", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}
)


def load(job: Job) -> str:
    files = weights.each(job)
    safetensors = library("safetensors")
    told = (
        f"{version(safetensors)} opened {plural(len(files), 'file')} and read {touch_all(files)}."
    )
    if job.type in TRANSFORMERS_TYPES:
        told += (
            " To try config, tokenizer and model with Transformers as well:"
            f" {install_command('transformers')}"
        )
    return told


def touch_all(files: Sequence[tuple[str, Header]]) -> str:
    """Read all tensors of all files; return how many: ``all 103 tensors (90.9 MB)``.

    Raises ``LoadFailed``, ``Unsupported``.
    """
    count = size = 0
    for path, header in files:
        touch(path, header)
        count += len(header.tensors)
        size += sum(tensor.size for tensor in header.tensors)
    return f"all {plural(count, 'tensor')} ({human_bytes(size)})"


def touch(path: str, header: Header) -> None:
    """Every tensor of one file, one at a time.

    Raises ``LoadFailed`` with the name of the tensor that cannot be read.
    """
    safetensors = library("safetensors")
    tensors = {tensor.name: tensor for tensor in header.tensors}
    with safetensors.safe_open(path, framework="numpy") as opened, open(path, "rb") as raw:
        # No mapping: it has keys() and cannot be iterated.
        for name in opened.keys():  # noqa: SIM118
            tensor = tensors.get(name)
            if tensor is None or tuple(opened.get_slice(name).get_shape()) != tensor.shape:
                raise LoadFailed(
                    f"The library reads tensor {name[:80]!r} in another shape than its header"
                    " states."
                )
            if tensor.dtype in _NUMPY and tensor.size <= MAX_WHOLE:
                opened.get_tensor(name)
            else:
                _read(raw, tensor)


def _read(raw: BinaryIO, tensor: Tensor) -> None:
    raw.seek(tensor.offset)
    left = tensor.size
    while left:
        data = raw.read(min(BLOCK, left))
        if not data:
            raise LoadFailed(
                f"The file ends inside tensor {tensor.name[:80]!r}, {left:,} bytes early."
            )
        left -= len(data)
