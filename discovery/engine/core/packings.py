"""How quantizers pack weights into smaller elements: one table of packings.

A packed tensor is recognized by its suffix, its element type and the tensors next to it (scales,
codebooks, permutations), whatever a config says. Each row says how many weights of the matrix one
tensor represents; the tensors next to it describe the packing and are not parameters of the model.

Sources: the modules that Transformers' quantizers, vLLM, ExLlamaV2/V3, MLX, torchao, quanto,
Nunchaku and ComfyUI save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod
from operator import attrgetter
from typing import NamedTuple

from discovery.engine.core.types import Tensor

#: Element types that packed weights hide in, and their bits.
WIDTHS = {"I32": 32, "U32": 32, "I16": 16, "U16": 16, "U8": 8, "I8": 8}

_BYTES = frozenset({"U8", "I8"})
_I32 = frozenset({"I32"})
_I16 = frozenset({"I16", "U16"})
_E8M0 = frozenset({"U8", "F8_E8M0"})

#: Group lengths of MLX, by what is most usual, and the widths that it packs.
_MLX_GROUPS = (64, 32, 128, 16)
_MLX_WIDTHS = frozenset({2, 3, 4, 5, 6, 8})


@dataclass(frozen=True, slots=True)
class Declared:
    """What a config says about packed weights.

    ``group`` is how many weights share a scale, ``groups`` the same for single modules, ``element``
    the name of a small float (``nvfp4``). ``pairs`` are the (bits, group) of parts of the model,
    ``None`` where a row is one group; ``targets`` are globs of modules, each with its bits.
    ``weights`` are the numbers of weights of single modules, where nothing else gives them.
    """

    method: str | None = None
    bits: int | None = None
    group: int | None = None
    element: str | None = None
    groups: Mapping[str, int] = field(default_factory=dict)
    pairs: tuple[tuple[int, int | None], ...] = ()
    targets: tuple[tuple[str, int], ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """``gptq-4bit``, ``modelopt-nvfp4``, ``exl2``."""
        detail = self.element or (f"{self.bits}bit" if self.bits else None)
        if self.method and detail and detail != self.method:
            return f"{self.method}-{detail}"
        return self.method


NOTHING = Declared()


class Packed(NamedTuple):
    """A packed tensor, its helper tensors by suffix, and what a config declares."""

    module: str
    tensor: Tensor
    beside: Mapping[str, Tensor]
    declared: Declared

    @property
    def elements(self) -> int:
        return prod(self.tensor.shape)

    def shape(self, *suffixes: str) -> tuple[int, ...]:
        """Of the first that is there; empty when none is."""
        return next((self.beside[each].shape for each in suffixes if each in self.beside), ())

    def by_bits(self, otherwise: int) -> int:
        return self.elements * WIDTHS[self.tensor.dtype] // (self.declared.bits or otherwise)


class Packing(NamedTuple):
    """One way of packing weights.

    ``needs``: the weight must have one of these tensors next to it (empty: its suffix is
    unmistakable). ``weights`` is ``None`` when the shapes show another packing.
    """

    method: str
    weight: str
    dtypes: frozenset[str]
    needs: tuple[str, ...]
    beside: tuple[str, ...]
    weights: Callable[[Packed], int | None]


def _awq(packed: Packed) -> int | None:
    """Packed along the output side: the scales keep its real length."""
    scales, shape = packed.shape(".scales"), packed.tensor.shape
    return shape[0] * scales[-1] if scales and shape and scales[-1] > shape[-1] else None


def _gptq(packed: Packed) -> int:
    """Packed along the input side: ``g_idx`` keeps its real length."""
    order, shape = packed.shape(".g_idx"), packed.tensor.shape
    return order[0] * shape[-1] if order and shape else packed.by_bits(4)


def _compressed(packed: Packed) -> int:
    """Among several declared widths, choose the one that gives rows and scales equal lengths."""
    if packed.tensor.dtype in _BYTES:
        return packed.elements * 2
    rows, scales = packed.tensor.shape, packed.shape(".weight_scale")
    widths = [
        bits
        for bits, group in (packed.declared.pairs if rows and scales else ())
        if (scales[-1] == 1 if group is None else scales[-1] * group * bits == rows[-1] * 32)
    ]
    if widths:
        meant = _targeted(packed) if len(widths) > 1 else None
        return packed.elements * 32 // (meant if meant in widths else widths[0])
    grouped = prod(scales) * (packed.declared.group or 0)
    if grouped and 1 < packed.elements * 32 / grouped <= 16:
        return grouped
    return packed.by_bits(4)


def _targeted(packed: Packed) -> int | None:
    """The bits of the first group of a config that names the module."""
    return next(
        (bits for glob, bits in packed.declared.targets if fnmatchcase(packed.module, glob)), None
    )


def _mlx(packed: Packed) -> int:
    scales, elements = prod(packed.shape(".scales")), packed.elements
    stated = packed.declared.groups.get(packed.module) or packed.declared.group
    for group in (stated, *_MLX_GROUPS) if stated else _MLX_GROUPS:
        weights = scales * (group or 0)
        if weights and elements * 32 % weights == 0 and elements * 32 // weights in _MLX_WIDTHS:
            return weights
    return packed.by_bits(4)


def _hqq(packed: Packed) -> int:
    scale, shape = packed.shape(".scale"), packed.tensor.shape
    if len(scale) == 2 and scale[-1] == 1 and shape:  # a row of the matrix of groups is a group
        return prod(scale) * shape[-1]
    if packed.tensor.dtype == "I32" and packed.declared.bits == 3:
        return packed.elements * 10
    return packed.by_bits(4)


def _aqlm(packed: Packed) -> int | None:
    """A code represents ``out × in`` weights; several codebooks represent the same weights."""
    codes, books = packed.tensor.shape, packed.shape(".codebooks")
    return prod(codes[:-1]) * books[2] * books[3] if len(books) == 4 and codes else None


def _exl2(packed: Packed) -> int | None:
    order, shape = packed.shape(".q_invperm", ".q_perm"), packed.tensor.shape
    return order[0] * shape[-1] if order and shape else None


def _exl3(packed: Packed) -> int | None:
    """Tiles of 16 × 16 weights."""
    tiles = packed.tensor.shape
    return tiles[0] * tiles[1] * 256 if len(tiles) == 3 else None


def _blocks(packed: Packed, kinds: frozenset[str], length: int) -> int | None:
    """``length`` weights share a small float: the number of bytes that share it gives their width.

    Scales may be padded to whole tiles, so the nearest width is used.
    """
    scale = packed.beside.get(".weight_scale") or packed.beside.get(".scale")
    if scale is None or scale.dtype not in kinds or prod(scale.shape) < 2:
        return None
    width = 8 * packed.elements / prod(scale.shape) / length
    bits = min((4, 6, 8), key=lambda each: abs(each - width))
    return packed.elements * 8 // bits


def _bitnet(packed: Packed) -> int | None:
    """Four ternary weights a byte, and one scale for all of them."""
    if packed.tensor.dtype != "U8" or prod(packed.shape(".weight_scale")) != 1:
        return None
    return packed.elements * 4 if packed.declared.method in ("bitnet", None) else None


def _integers(packed: Packed) -> int:
    return packed.by_bits(8) if packed.tensor.dtype == "U8" else packed.elements


def _torchao(packed: Packed) -> int:
    """An int8 also holds two values of four bits: then a group's scale has the row as its last
    axis, and there are twice as many groups as the bytes of a row would give.
    """
    if packed.tensor.dtype == "I8" and packed.declared.bits == 4:
        shape, scale = packed.tensor.shape, packed.shape("._weight_scale")
        return packed.elements * (2 if scale[-1:] == shape[:1] != scale[:1] else 1)
    return packed.elements * {"U8": 2, "I32": 8}.get(packed.tensor.dtype, 1)


def _vptq(packed: Packed) -> int | None:
    """Indices of vectors as wide as the codebooks: only the config gives the size of the matrix."""
    return packed.declared.weights.get(packed.module)


def _quanto(packed: Packed) -> int:
    return packed.by_bits(4) if packed.tensor.dtype == "U8" else packed.elements


def _times(number: int) -> Callable[[Packed], int]:
    return lambda packed: packed.elements * number


def _four_bits(packed: Packed) -> int:
    """Of elements of any type: bitsandbytes may store them as bfloat16."""
    return packed.tensor.size * 2 or packed.elements * 2


#: Before the name of the small float that it describes.
_STATE = ".quant_state.bitsandbytes__"
_QUANT_STATE = (
    ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", f"{_STATE}nf4", f"{_STATE}fp4",
)  # fmt: skip
_LOW_RANK = (".proj_down", ".proj_up", ".lora_down", ".lora_up")
_ANY = frozenset({*WIDTHS, "F16", "BF16", "F32"})
_SCALES = (
    ".weight_scale", ".weight_scale_2", ".scale", ".input_scale", ".comfy_quant",
    ".pre_quant_scale", ".weight_zero_point",
)  # fmt: skip
_HQQ = tuple(
    f".{part}"
    for part in (
        "scale", "zero", "nbits", "group_size", "shape", "axis", "packing", "view_as_float",
        "unpack_view_dtype", "compute_dtype", "channel_wise", "stores_quant_config", "optimize",
        "round_zero", "offload_meta", "quant_scale", "quant_zero", "encoded_state_dict",
    )
)  # fmt: skip
_VPTQ = (
    ".centroids.weight", ".res_centroids.weight", ".outlier_centroids.weight", ".outlier_indices",
    ".res_indices", ".perm", ".weight_scale", ".weight_bias",
)  # fmt: skip
_EXL2 = tuple(f".q_{p}" for p in ("invperm", "perm", "scale", "scale_max", "groups", "group_map"))

#: The last is for weights of any name.
PACKINGS: tuple[Packing, ...] = (
    Packing("gptq", ".qweight", _I32, (".g_idx",), (".g_idx", ".scales", ".qzeros"), _gptq),
    Packing("awq", ".qweight", _I32, (".scales",), (".scales", ".qzeros"), _awq),
    Packing("gptq", ".qweight", _I32, (), (".scales", ".qzeros"), _gptq),
    Packing("svdquant", ".qweight", _BYTES, (".wscales",),
            (".wscales", ".wtscale", ".wcscales", ".smooth_factor", ".smooth_factor_orig",
             *_LOW_RANK), _times(2)),
    Packing("fp_quant", ".qweight", _BYTES, (".scales",), (".scales",), _times(2)),
    Packing("compressed-tensors", ".weight_packed", _I32 | _BYTES, (),
            (".weight_scale", ".weight_shape", ".weight_zero_point", ".weight_global_scale",
             ".input_global_scale", ".weight_g_idx", ".input_scale"), _compressed),
    Packing("mxfp4", "_blocks", frozenset({"U8"}), ("_scales",), ("_scales",), _times(2)),
    Packing("mxfp4", ".blocks", frozenset({"U8"}), (".scales",), (".scales",), _times(2)),
    Packing("mlx", ".weight", frozenset({"U32"}), (".scales",), (".scales", ".biases"), _mlx),
    Packing("hqq", ".W_q", _BYTES | _I32, (".scale",), _HQQ, _hqq),
    Packing("aqlm", ".codes", _BYTES | _I16 | _I32, (".codebooks",), (".codebooks", ".scales"),
            _aqlm),
    Packing("exl2", ".q_weight", _I32, (".q_invperm", ".q_perm"), _EXL2, _exl2),
    Packing("exl3", ".trellis", _I16, (".suh", ".svh", ".su", ".sv"),
            (".suh", ".svh", ".su", ".sv", ".mcg", ".mul1"), _exl3),
    Packing("quip", ".Qidxs", _I16, (".SU",), (".SU", ".SV", ".Wscale", ".codebook_id"),
            _times(8)),
    Packing("marlin", ".B", _I32, (".s",), (".s", ".workspace"), _times(8)),
    Packing("bitsandbytes", ".weight", frozenset({"I8"}), (".SCB",), (".SCB", ".weight_format"),
            _times(1)),
    Packing("bitnet", ".weight", _BYTES, (".weight_scale",), _SCALES, _bitnet),
    Packing("nvfp4", ".weight", _BYTES, (".weight_scale", ".scale"), _SCALES,
            lambda packed: _blocks(packed, frozenset({"F8_E4M3"}), 16)),
    Packing("mxfp4", ".weight", _BYTES, (".weight_scale", ".scale"), _SCALES,
            lambda packed: _blocks(packed, _E8M0, 32)),
    Packing("int8", ".weight", _BYTES, (".weight_scale", ".scale"), _SCALES, _integers),
    Packing("int4", ".weight", _I32, (".weight_scale",), _SCALES, lambda packed: packed.by_bits(4)),
    Packing("vptq", ".indices", _I16 | _I32, (".centroids.weight",), _VPTQ, _vptq),
    Packing("quanto", ".weight._data", _BYTES, (".weight._scale",),
            (".weight._scale", ".weight._shift", ".input_scale", ".output_scale"), _quanto),
    Packing("torchao", "._weight_qdata", _BYTES | _I32, ("._weight_scale",
            "._weight_scale_and_zero"), ("._weight_scale", "._weight_zero_point",
            "._weight_scale_and_zero", "._weight_per_tensor_scale",
            "._weight_act_per_tensor_scale"), _torchao),
    Packing("bitsandbytes", "", _ANY, (".absmax",), _QUANT_STATE, _four_bits),
)  # fmt: skip


def _end(name: str) -> str:
    """What a name's packing shows in: its last part, with the dot, or what experts' names end
    with.
    """
    return "_blocks" if name.endswith("_blocks") else name[name.rfind(".") :]


#: Rows by the type and the end of the weight's name, and that for weights of any name.
_ROWS: dict[tuple[str, str], list[Packing]] = {}
for _row in PACKINGS[:-1]:
    for _dtype in sorted(_row.dtypes):
        _ROWS.setdefault((_dtype, _end(_row.weight)), []).append(_row)
_ANYWHERE = PACKINGS[-1]


_dtype_of = attrgetter("dtype")


def packed(
    tensors: Sequence[Tensor], declared: Declared = NOTHING
) -> Iterator[tuple[Packing, Packed, int]]:
    """The packed tensors among ``tensors``, each with its packing and its number of weights."""
    # Even four bits stored as floats have a state beside them that is bytes.
    if WIDTHS.keys().isdisjoint(map(_dtype_of, tensors)):
        return
    named = {tensor.name: tensor for tensor in tensors}
    otherwise = (_ANYWHERE,) if any(name.endswith(".absmax") for name in named) else ()
    for tensor in tensors:
        if tensor.dtype not in WIDTHS and not otherwise:
            continue
        for row in (*_ROWS.get((tensor.dtype, _end(tensor.name)), ()), *otherwise):
            if tensor.dtype in row.dtypes and tensor.name.endswith(row.weight):
                module = tensor.name[: len(tensor.name) - len(row.weight)]
                found = _found(row, module, tensor, named, declared)
                if found is not None and (count := row.weights(found)) is not None:
                    yield row, found, count
                    break


def _found(
    row: Packing, module: str, tensor: Tensor, named: Mapping[str, Tensor], declared: Declared
) -> Packed | None:
    """``None`` if none of the tensors that the packing needs is next to the tensor."""
    beside = {each: other for each in row.beside if (other := named.get(module + each)) is not None}
    if row.needs and beside.keys().isdisjoint(row.needs):
        return None
    return Packed(module, tensor, beside, declared)


def method(tensors: Sequence[Tensor]) -> str | None:
    """How the first packed tensor is packed; ``None`` without one."""
    first = next(((row, found) for row, found, _ in packed(tensors)), None)
    if first is None:
        return None
    row, found = first
    state = next((each for each in found.beside if each.startswith(_STATE)), None)
    return f"{row.method}-{state.removeprefix(_STATE)}" if state else row.method
