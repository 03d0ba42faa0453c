"""How many parameters a list of tensors holds, unpacked and unique, and which type most of them are stored in.

Quantizers pack several weights into one integer and add scales; what counts is the weight matrix they stand for:
GPTQ and AWQ (``qweight``), compressed-tensors (``weight_packed``), bitsandbytes (``quant_state``), MXFP4 (``_blocks``), MLX (``biases``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from discovery.engine.types import Tensor

#: Bits of one element, by safetensors' names for types.
DTYPE_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E4M3FN": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "I4": 4, "U4": 4,
}  # fmt: skip

#: Types that packed weights hide in.
_PACKED = frozenset({"I32", "U32", "U8", "I8"})
_INTEGERS = frozenset({"I64", "U64", "I32", "U32", "I16", "U16", "BOOL"})

#: Weights that only some tokens meet; experts that all share are not among them.
_EXPERT = re.compile(r"\.experts\.|_exps\.|\.moe\.experts")

#: Tensors that describe how others are packed, or count steps: no parameters of the model.
_HELPERS = (
    ".g_idx", ".qzeros", ".scales", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".SCB", ".weight_scale",
    ".weight_scale_inv", ".weight_shape", ".weight_g_idx", ".weight_zero_point", ".input_scale", ".position_ids",
    ".num_batches_tracked", ".weight_format", "_scales",
)  # fmt: skip


def main_dtype(tensors: Sequence[Tensor]) -> str | None:
    """The type that holds most bytes; integers only when there is nothing else."""
    held: dict[str, int] = {}
    for tensor in tensors:
        held[tensor.dtype] = held.get(tensor.dtype, 0) + tensor.size + 1
    floating = {
        dtype: size for dtype, size in held.items() if dtype not in _INTEGERS and dtype != "U8"
    }
    return max(floating or held, key=(floating or held).__getitem__, default=None)


def count_parameters(tensors: Sequence[Tensor], bits: int | None = None) -> int:
    """Parameters of the model. ``bits`` is the width a quantization config declares, used where the shapes do not tell."""
    if _PACKED.isdisjoint({tensor.dtype for tensor in tensors}):
        return sum([prod(t.shape) for t in tensors if not t.name.endswith(_HELPERS)])
    helpers = {tensor.name: tensor.shape for tensor in tensors if tensor.name.endswith(_HELPERS)}
    if not helpers:  # nothing is packed without scales beside it
        return sum([prod(tensor.shape) for tensor in tensors])
    return sum(_unpacked(tensor, helpers, bits) for tensor in tensors)


def active_parameters(tensors: Sequence[Tensor], total: int, experts: int, used: int) -> int | None:
    """Parameters that one token meets in a mixture of experts: all but the experts it is not sent to. ``None`` without expert tensors."""
    if not 0 < used < experts:
        return None
    routed = sum(
        prod(t.shape) for t in tensors if _EXPERT.search(t.name) and not t.name.endswith(_HELPERS)
    )
    everything = sum(prod(t.shape) for t in tensors if not t.name.endswith(_HELPERS))
    if not routed or not everything:
        return None
    # Packed tensors hold several weights in one element; the share of the experts is the same.
    return round(total * (1 - routed / everything * (1 - used / experts)))


def _unpacked(tensor: Tensor, helpers: dict[str, tuple[int, ...]], bits: int | None) -> int:
    name, count = tensor.name, prod(tensor.shape)
    if tensor.dtype == "I32" and name.endswith(".qweight"):
        return _qweight_count(tensor, count, helpers, bits)
    if tensor.dtype == "I32" and name.endswith(".weight_packed"):
        return count * 32 // (bits or 4)
    if tensor.dtype == "U32" and name.endswith(".weight"):
        return _mlx_count(tensor, count, helpers, bits)
    if tensor.dtype == "U8":
        if name.endswith("_blocks"):
            return count * 2
        if ".quant_state." in name or name.endswith(_HELPERS):
            return 0
        if f"{name}.absmax" in helpers:
            return count * 2
        if name.endswith(".weight_packed"):
            return count * 2
    if name.endswith(_HELPERS) or (name.endswith(".biases") and f"{name[:-7]}.scales" in helpers):
        return 0
    return count


def _qweight_count(
    tensor: Tensor, count: int, helpers: dict[str, tuple[int, ...]], bits: int | None
) -> int:
    """AWQ packs along the output side, GPTQ along the input side: the scales and ``g_idx`` keep the real lengths."""
    base, rows, columns = tensor.name[: -len(".qweight")], tensor.shape[0], tensor.shape[-1]
    scales = helpers.get(f"{base}.scales")
    if scales and scales[-1] > columns:
        return rows * scales[-1]
    groups = helpers.get(f"{base}.g_idx")
    return groups[0] * columns if groups else count * 32 // (bits or 4)


def _mlx_count(
    tensor: Tensor, count: int, helpers: dict[str, tuple[int, ...]], bits: int | None
) -> int:
    """Without a declared width: MLX's default group of 64 inputs shares one scale."""
    if bits:
        return count * 32 // bits
    scales = helpers.get(f"{tensor.name[: -len('.weight')]}.scales")
    return prod(scales) * 64 if scales else count
