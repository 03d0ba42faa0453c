"""Counts the unpacked, unique parameters of a list of tensors, and finds their main type.

Quantizers pack several weights into one element and add scales; the count is that of the original
weight matrix (see ``packings``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod

from discovery.engine.core import packings
from discovery.engine.core.packings import NOTHING, Declared
from discovery.engine.core.types import Tensor

#: Bits of one element, by safetensors' names for types.
DTYPE_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16,
    "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E4M3FN": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8,
    "I8": 8, "U8": 8, "BOOL": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "I4": 4, "U4": 4,
}  # fmt: skip

_INTEGERS = frozenset({"I64", "U64", "I32", "U32", "I16", "U16", "BOOL"})

#: Types of models that nobody has made smaller: no weights hide in them, nor are there scales.
_PLAIN = frozenset({"F64", "F32", "F16", "BF16", "I64", "BOOL"})

#: Weights that only some tokens meet; experts that all share are not among them.
_EXPERT = re.compile(r"\.experts\.|_exps\.|\.moe\.experts")

#: Tensors that describe how others are packed, count steps, or are a tokenizer's file: no
#: parameters of the model.
_HELPERS = (
    ".g_idx", ".qzeros", ".scales", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map",
    ".SCB", ".weight_scale",
    ".weight_scale_inv", ".weight_shape", ".weight_g_idx", ".weight_zero_point", ".input_scale",
    ".position_ids",
    ".num_batches_tracked", ".weight_format", "_scales", ".scale_weight", ".scale_input",
    ".weight_scale_2", ".comfy_quant", "._weight_scale", ".input_global_scale",
    ".weight_global_scale", "scaled_fp8", "spiece_model", "tekken_model", ".input_scale_ub",
)  # fmt: skip

#: Scales of what flows through a layer, one number each; longer tensors of such names are learned.
_SINGLE = (".k_scale", ".v_scale", ".q_scale", ".kv_scale", ".prob_scale", ".output_scale")

#: Numbers that are nothing but an exponent are always scales.
_EXPONENT = "F8_E8M0"


def main_dtype(tensors: Sequence[Tensor]) -> str | None:
    """The type that holds most bytes; integers only when there is nothing else."""
    held: dict[str, int] = {}
    for tensor in tensors:
        held[tensor.dtype] = held.get(tensor.dtype, 0) + tensor.size + 1
    floating = {
        dtype: size for dtype, size in held.items() if dtype not in _INTEGERS and dtype != "U8"
    }
    return max(floating or held, key=(floating or held).__getitem__, default=None)


def count_parameters(tensors: Sequence[Tensor], declared: Declared = NOTHING) -> int:
    """Parameters of the model.

    ``declared`` comes from a quantization config and is used where the shapes are ambiguous.
    """
    if _PLAIN.issuperset({tensor.dtype for tensor in tensors}):
        return sum([prod(t.shape) for t in tensors if not t.name.endswith(_HELPERS)])
    return sum(count for _, count in _counts(tensors, declared))


def active_parameters(
    tensors: Sequence[Tensor], total: int, experts: int, used: int, declared: Declared = NOTHING
) -> int | None:
    """Parameters that one token passes through in a mixture of experts.

    ``None`` without expert tensors.
    """
    if not 0 < used < experts:
        return None
    routed = everything = 0
    for tensor, count in _counts(tensors, declared):
        everything += count
        routed += count if _EXPERT.search(tensor.name) else 0
    if not routed or not everything:
        return None
    return round(total * (1 - routed / everything * (1 - used / experts)))


def _counts(tensors: Sequence[Tensor], declared: Declared) -> Iterator[tuple[Tensor, int]]:
    """The tensors that are parameters, each with the number of weights in it."""
    counted: dict[str, int] = {}
    beside: set[str] = set()
    for _, found, count in packings.packed(tensors, declared):
        counted[found.tensor.name] = count
        beside.update(tensor.name for tensor in found.beside.values())
    for tensor in tensors:
        if tensor.name in beside:
            continue
        if tensor.name in counted:
            yield tensor, counted[tensor.name]
        elif tensor.dtype != _EXPONENT and not _helps(tensor):
            yield tensor, prod(tensor.shape)


def _helps(tensor: Tensor) -> bool:
    """Whether the tensor's name says that it is not a parameter of the model."""
    name = tensor.name
    return name.endswith(_HELPERS) or (name.endswith(_SINGLE) and prod(tensor.shape) == 1)
