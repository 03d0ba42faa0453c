"""How much is known about a model, and the name and folder that the guide recommends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from discovery.engine.core import names
from discovery.engine.core.fields import FIELDS, NAMING_BIT

_ASKED = sorted(
    ((wanted.bit, each.name, wanted) for each in FIELDS.values() if (wanted := each.wanted)),
)

#: What should be known → how that is said.
WANTED = {name: wanted.phrase for _, name, wanted in _ASKED}

#: What a report asks for → its bit: what nobody has filled in, and a name that breaks the
#: convention. The database keeps these bits.
REPORTED = {**{name: bit for bit, name, _ in _ASKED}, "naming": NAMING_BIT}

#: What a report finds lacking → how its filter is called.
LACKING = {**{name: wanted.filter for _, name, wanted in _ASKED}, "naming": "Unusual name"}

_GOOD_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_SIZE = re.compile(r"(?:^|[-_.])\d+(?:\.\d+)?(?:x\d+)?[bmk](?=$|[-_.])", re.IGNORECASE)

#: Words that say which variant of a base model a folder holds: the size comes before them.
_VARIANT = re.compile(
    r"-(?=(?:base|chat|instruct|instruction|it|code|coder|python|math|reasoning|thinking|vision|vl|"
    r"embed(?:ding)?|rerank(?:er)?|reward|tuned|sft|dpo|rlhf"
    r"|lora|adapter|merged|distill(?:ed)?|uncensored|hf|gguf|ggml|gptq|awq|mlx|onnx|int[48]|fp(?:8|"
    r"16|32)|bf16|i?q\d|\d+bit|v\d)(?=$|[-.\d]))"
)

#: Domains that have a shelf of their own in the guide's layout.
_SPECIALIZED = frozenset({"MEDICAL", "LEGAL", "SCIENTIFIC"})


class Completeness(NamedTuple):
    """``score`` runs from 0 to 100; ``missing`` names the fields nobody has filled."""

    score: int
    missing: list[str]


def completeness(values: Mapping[str, Any]) -> Completeness:
    """``values``: {field: resolved value}.

    Some are asked of models with a certain modality only.
    """
    wanted = [
        name
        for _, name, asked in _ASKED
        if not asked.modality or asked.modality in (values.get("modalities") or [])
    ]
    missing = [name for name in wanted if not values.get(name)]
    return Completeness(round(100 * (len(wanted) - len(missing)) / len(wanted)), missing)


def mask(missing: Iterable[str]) -> int:
    """Names of ``REPORTED`` as one number, a bit each."""
    return sum(REPORTED[name] for name in set(missing))


def masks_with(name: str) -> list[int]:
    """Every mask in which ``name`` is set: what an index can be asked for."""
    bit = REPORTED[name]
    return [number for number in range(sum(REPORTED.values()) + 1) if number & bit]


class NamingAdvice(NamedTuple):
    """What is unusual about a name, and a better name (``None`` if only people can choose one)."""

    reason: str
    better: str | None


def model_name(path: str) -> str | None:
    """The part of a model's path that people choose, without suffix and quantization.

    ``None`` if a store or a server chose the name.
    """
    own = path.rpartition("/")[2]
    if own in ("", ".") or "models--" in path or "manifests/" in path or "://" in path:
        return None
    text = names.stem(own)
    match = names.last_quantization(text) if text != own else None
    return (text[: match.start()] + text[match.end() :]).strip("-_. ") or text if match else text


def naming(name: str, parameters: int | None = None) -> NamingAdvice | None:
    """Advice on the name of a folder or file; ``None`` for a good name.

    The guide's pattern is ``{base-model}-{size}-{variant}``, lowercase with hyphens.
    """
    own = name.rpartition("/")[2]
    unsized = bool(parameters and parameters >= 500_000_000 and not _SIZE.search(own))
    if _GOOD_NAME.fullmatch(own) and not unsized:
        return None
    better = re.sub(r"[^a-z0-9.]+", "-", own.lower()).strip("-.")
    better = re.sub(r"[.-]*-[.-]*", "-", re.sub(r"\.{2,}", ".", better))
    if unsized and parameters and better:
        better = _sized(better, _shown(parameters))
    if not _GOOD_NAME.fullmatch(own):
        capitals = own != own.lower() and _GOOD_NAME.fullmatch(own.lower())
        what = (
            "capital letters"
            if capitals
            else "other characters than letters, digits, dots and hyphens"
        )
        more = (
            f", and does not say its size ({_shown(parameters)})" if unsized and parameters else ""
        )
        return NamingAdvice(f"{own} has {what}{more}", better or None)
    return NamingAdvice(f"{own} does not say its size ({_shown(parameters or 0)})", better)


def _sized(name: str, size: str) -> str:
    """The name with ``size`` after the base model, before the words for the variant."""
    match = _VARIANT.search(name)
    return f"{name[: match.start()]}-{size}{name[match.start() :]}" if match else f"{name}-{size}"


def _shown(parameters: int) -> str:
    return f"{parameters / 1e9:.2g}b" if parameters < 99.5e9 else f"{parameters / 1e9:.0f}b"


def suggested_folder(
    primary: str | None, secondary: str | None, specialization: str | None
) -> str | None:
    """The folder that the guide's layout has for such a model: ``language/chat``, ``vision``,
    ``specialized/medical``; ``None`` if there is none.
    """
    if specialization in _SPECIALIZED:
        return f"specialized/{specialization.lower()}"
    if primary == "LANGUAGE":
        return f"language/{secondary.lower()}" if secondary else "language"
    return primary.lower() if primary else None


def suggested_path(root: str, path: str, wanted: str | None) -> str | None:
    """The model's path in the folder ``wanted``, relative to its root.

    ``None`` if the model already is there, or if people should not move it.
    """
    if not wanted or model_name(path) is None:
        return None
    folders = [part.lower() for part in f"{root}/{path}".replace("\\", "/").split("/")[:-1]]
    parts = wanted.split("/")
    if any(folders[start : start + len(parts)] == parts for start in range(len(folders))):
        return None
    return f"{wanted}/{path.rpartition('/')[2]}"
