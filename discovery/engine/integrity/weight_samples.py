"""The share of NaN and infinities among a file's floating-point weights, by samples spread evenly
over each tensor.

Values are sampled from the stream and classified by their exponent bits alone, as integers: all
ones is NaN or infinite (IEEE 754; for 8-bit types https://arxiv.org/abs/2209.05433 and the OCP
microscaling specification).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.types import Tensor
from discovery.engine.formats import gguf, safetensors

#: Values looked at.
MAX_PER_TENSOR = 4_096
MAX_PER_FILE = 1 << 20

#: Type → (bytes, letter of the integer of that size, bits that are all set in what is not finite).
_KINDS = {
    "F64": (8, "Q", 0x7FF0 << 48), "F32": (4, "I", 0x7F800000), "F16": (2, "H", 0x7C00),
    "BF16": (2, "H", 0x7F80),
    "F8_E5M2": (1, "B", 0x7C), "F8_E4M3": (1, "B", 0x7F), "F8_E4M3FN": (1, "B", 0x7F),
    "F8_E8M0": (1, "B", 0xFF),
}  # fmt: skip


class _Plan(NamedTuple):
    """Every ``step``-th value of the tensor at ``offset``."""

    offset: int
    end: int
    step: int
    width: int
    letter: str
    mask: int


class WeightSamples:
    """Takes its samples from the chunks of a file, which come in order."""

    def __init__(self, tensors: Iterable[Tensor] = (), *, byte_order: str = "little") -> None:
        self.sampled = 0
        self.nonfinite = 0
        self._plans = _plans([tensor for tensor in tensors if _counts(tensor)], byte_order)
        self._next = 0

    def take(self, chunk: memoryview, position: int) -> None:
        """``chunk`` is the bytes of the file from ``position`` on."""
        chunk_end = position + len(chunk)
        while self._next < len(self._plans):
            plan = self._plans[self._next]
            if plan.offset >= chunk_end:
                return
            stride = plan.step * plan.width
            start = plan.offset + max(-(-(position - plan.offset) // stride), 0) * stride - position
            # A value that two chunks share is left out.
            whole = (min(plan.end, chunk_end) - position - start) // plan.width * plan.width
            if whole > 0:
                mask = plan.mask
                part = chunk[start : start + whole]
                cast = part.cast(plan.letter)  # type: ignore[call-overload]
                values: list[int] = cast[:: plan.step].tolist()
                self.sampled += len(values)
                self.nonfinite += sum([value & mask == mask for value in values])
            if plan.end > chunk_end:
                return
            self._next += 1


def sampler(stream: BinaryIO, size: int) -> WeightSamples:
    """A sampler for the tensor table of the file, if its format stores tensors uncompressed.

    Other and broken files have no samples.
    """
    head = stream.read(9)
    stream.seek(0)
    try:
        if head[:4] == gguf.MAGIC:
            return WeightSamples(gguf.read(stream, size).tensors, byte_order=_gguf_order(head))
        if head[8:] == b"{":
            return WeightSamples(safetensors.read(stream, size).tensors)
    except (NotThisFormat, InvalidHeader):  # the checks of the header say so in full
        return WeightSamples()
    return WeightSamples()


def _gguf_order(head: bytes) -> str:
    """The version, a small number, is in the byte order of the whole file."""
    return "little" if int.from_bytes(head[4:8], "little") < 1 << 16 else "big"


def _counts(tensor: Tensor) -> bool:
    """Masks hold minus infinity by design."""
    return (
        tensor.dtype in _KINDS
        and tensor.offset >= 0
        and tensor.size > 0
        and "mask" not in tensor.name.rpartition(".")[2].lower()
    )


def _plans(tensors: Sequence[Tensor], byte_order: str) -> list[_Plan]:
    """Plans in the order of the file.

    Overlapping tensors are skipped, because a crafted table could cause endless work.
    """
    plans: list[_Plan] = []
    wanted = max(min(MAX_PER_TENSOR, MAX_PER_FILE // max(len(tensors), 1)), 1)
    reached = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
        if tensor.offset < reached:
            continue
        width, letter, mask = _KINDS[tensor.dtype]
        # Rows are mostly of even length: an odd step does not look at one column for ever.
        step = -(-tensor.size // width // wanted) | 1
        if byte_order != sys.byteorder:
            mask = int.from_bytes(mask.to_bytes(width, "little"), "big")
        reached = tensor.offset + tensor.size
        plans.append(_Plan(tensor.offset, reached, step, width, letter, mask))
    return plans
