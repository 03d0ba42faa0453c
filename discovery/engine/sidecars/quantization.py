"""What configs declare of a quantization: the method, the width, how many weights share a scale.

Sources: ``quantization_config`` of Transformers' quantizers, ``quantize_config.json`` of AutoGPTQ,
``quant_config.json`` of AWQ's authors,
``hf_quant_config.json`` of ModelOpt, ``quantization`` of MLX.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from discovery.engine.core.packings import NOTHING, Declared
from discovery.engine.core.text import clean, positive

#: Files beside a config that declare what it leaves out, and the key (or none) that they do it in.
FILES = (
    ("quantize_config.json", None),
    ("quant_config.json", None),
    ("hf_quant_config.json", "quantization"),
    ("quantization_config.json", None),
)

#: Single modules that may have a width of their own.
MAX_MODULES = 20_000

MAX_PAIRS = 32

#: Names and patterns of modules that one group may have, and how long one may be.
MAX_TARGETS = 64
MAX_TARGET = 200

_BIT_KEYS = ("bits", "w_bit", "weight_bits", "num_bits", "nbits")
#: Keys that only one method has, where none is named.
_TELLING = {"desc_act": "gptq", "q_group_size": "awq"}
_SMALL_FLOAT = re.compile(r"(?<![a-z0-9])(nvfp4|mxfp[468]|mxint8)(?![a-z0-9])")
#: Names of modules with stars between them.
_PLAIN = re.compile(r"[\w/*-]+")
_WIDTH = re.compile(r"(?:^|[a-z_])w?(?:u?int|fp|float)?(\d{1,2})(?![0-9])")


def read(declared: Any) -> Declared:
    """The quantization in a ``quantization_config`` or its equivalent."""
    if not isinstance(declared, dict) or not declared:
        return NOTHING
    method = next(
        (
            word
            for key in ("quant_method", "quant_algo", "quantization_method")
            if (word := _word(declared.get(key)))
        ),
        None,
    )
    bits = _bits(declared)
    group = positive(declared.get("group_size")) or positive(declared.get("q_group_size"))
    if method is None and group and bits:
        method = next((name for key, name in _TELLING.items() if key in declared), "mlx")
    for key, loaded in (("load_in_4bit", 4), ("load_in_8bit", 8)):
        if declared.get(key) is True:
            return Declared(method or "bitsandbytes", loaded)
    element = _element(declared)
    parts = [*_parts(declared)]
    widths = {width for part in parts if (width := _bits(part))}
    lengths = {length for part in parts if (length := positive(part.get("group_size")))}
    if bits is None and len(widths) == 1:
        bits = next(iter(widths))
    elif bits is None and len(widths) > 1:
        element = element or "mixed"
    if group is None and len(lengths) == 1:
        group = next(iter(lengths))
    pairs = [
        (width, positive(part.get("group_size")))
        for part in parts
        if (width := _bits(part)) and part.get("type") != "float"  # those are not packed
    ]
    return Declared(
        method,
        bits,
        group,
        element,
        _groups(declared),
        tuple(dict.fromkeys(pairs))[:MAX_PAIRS],
        tuple(_targets(declared)),
        _weights(declared),
    )


def _bits(part: Mapping[str, Any]) -> int | None:
    bits = next((n for key in _BIT_KEYS if (n := positive(part.get(key)))), None)
    if bits is None:
        kinds = (part.get(key) for key in ("weights", "quant_type", "dtype", "quant_algo"))
        words = [_word(kind.get("default") if isinstance(kind, dict) else kind) for kind in kinds]
        inner = part.get("quant_type")
        if isinstance(inner, dict) and isinstance(default := inner.get("default"), dict):
            words.append(_word(default.get("_type")))
        bits = next((int(found[1]) for w in words if w and (found := _WIDTH.search(w))), None)
    return bits if bits and bits <= 16 else None


def _parts(declared: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The groups of modules that have settings of their own: those of their weights."""
    groups = declared.get("config_groups")
    for group in [*groups.values()][:100] if isinstance(groups, dict) else []:
        if isinstance(group, dict) and isinstance(group.get("weights"), dict):
            yield group["weights"]
    for outer, inner in (
        ("global_quant_config", "weight"),
        ("quant_config", "weight_quant_params"),
    ):
        whole = declared.get(outer)
        part = whole.get(inner) if isinstance(whole, dict) else None
        for each in part[:4] if isinstance(part, list) else [part]:
            if isinstance(each, dict):
                yield each


def _targets(declared: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """(glob, bits) of each group: those that name modules, then those that name their classes.

    A pattern is taken where it is a glob in other words: nobody's expression is executed.
    """
    groups = declared.get("config_groups")
    others: list[tuple[str, int]] = []
    for group in [*groups.values()][:MAX_PAIRS] if isinstance(groups, dict) else []:
        if not isinstance(group, dict) or not isinstance(group.get("weights"), dict):
            continue
        bits, told = _bits(group["weights"]), group.get("targets")
        if bits is None or not isinstance(told, list):
            continue
        for target in told[:MAX_TARGETS]:
            if not isinstance(target, str) or len(target) > MAX_TARGET:
                continue
            if glob := _glob(target):
                yield glob, bits
            else:
                others.append(("*", bits))
    yield from others[:1]


def _glob(target: str) -> str | None:
    """A module's name, or an expression of nothing but names and ``.*``, as a glob."""
    pattern = target.removeprefix("re:")
    if pattern == target:
        return target if "." in target else None
    start = "" if pattern.startswith(("^", ".*")) else "*"
    end = "" if pattern.endswith("$") else "*"
    plain = pattern.removeprefix("^").removesuffix("$").replace("\\.", "/").replace(".*", "*")
    if not _PLAIN.fullmatch(plain):
        return None
    return f"{start}{plain.replace('/', '.')}{end}"


def _weights(declared: Mapping[str, Any]) -> dict[str, int]:
    """VPTQ: how many weights a module has, by its name."""
    told = declared.get("config_for_layers")
    found: dict[str, int] = {}
    for name, part in [*told.items()][:MAX_MODULES] if isinstance(told, dict) else []:
        sides = [
            positive(part.get(f"{side}_features")) if isinstance(part, dict) else None
            for side in ("in", "out")
        ]
        if sides[0] and sides[1]:
            found[name] = sides[0] * sides[1]
    return found


def _element(declared: Mapping[str, Any]) -> str | None:
    """The small float by its name, or as a four-bit float and how many share a scale."""
    for key in ("format", "quant_algo", "forward_dtype", "quant_method", "mode"):
        if (word := _word(declared.get(key))) and (found := _SMALL_FLOAT.search(word)):
            return found[1]
        if word and "mixed" in word:
            return "mixed"
    for part in _parts(declared):
        if _word(part.get("dtype")) == "fp4":
            return {16: "nvfp4", 32: "mxfp4"}.get(positive(part.get("group_size")) or 0, "fp4")
    return None


def _groups(declared: Mapping[str, Any]) -> dict[str, int]:
    """MLX: modules with a group length of their own, by name."""
    found: dict[str, int] = {}
    for name, part in declared.items():
        if isinstance(part, dict) and (length := positive(part.get("group_size"))):
            found[name] = length
        if len(found) >= MAX_MODULES:
            break
    return found


def _word(value: Any) -> str | None:
    return clean(value, 200).lower() or None if isinstance(value, str) else None
