"""How much of what users of a model ask for is known about it, and how it should be named: the guide's best practices, 1 and 3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

#: What should be known → how that is said.
WANTED = {
    "description": "a description",
    "license": "a license",
    "capabilities": "its capabilities",
    "resource_requirements": "resource requirements",
    "performance_metrics": "performance characteristics",
    "language_support": "its languages",
}

_GOOD_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_SIZE = re.compile(r"(?:^|[-_.])\d+(?:\.\d+)?(?:x\d+)?[bmk](?=$|[-_.])", re.IGNORECASE)


class Completeness(NamedTuple):
    """``score`` runs from 0 to 100; ``missing`` names the fields nobody has filled."""

    score: int
    missing: list[str]


def completeness(values: Mapping[str, Any]) -> Completeness:
    """``values``: {field: resolved value}. Languages are asked of models that read or write text only."""
    wanted = [name for name in WANTED if name != "language_support" or "TEXT" in (values.get("modalities") or [])]
    missing = [name for name in wanted if not values.get(name)]
    return Completeness(round(100 * (len(wanted) - len(missing)) / len(wanted)), missing)


class NamingAdvice(NamedTuple):
    """What is unusual about a name, and a better one (``None`` where only a part is missing)."""

    reason: str
    better: str | None


def naming(name: str, parameters: int | None = None) -> NamingAdvice | None:
    """Advice on a folder's or file's name by the guide's ``{base-model}-{size}-{variant}``, lowercase with hyphens; ``None`` for a good one."""
    own = name.rpartition("/")[2]
    if not _GOOD_NAME.fullmatch(own):
        better = re.sub(r"[^a-z0-9.]+", "-", own.lower()).strip("-.")
        what = (
            "capital letters"
            if own != own.lower() and _GOOD_NAME.fullmatch(own.lower())
            else "other characters than letters, digits, dots and hyphens"
        )
        return NamingAdvice(f"{own} has {what}", better or None)
    if parameters and parameters >= 500_000_000 and not _SIZE.search(own):
        return NamingAdvice(f"{own} does not say its size ({_shown(parameters)})", None)
    return None


def _shown(parameters: int) -> str:
    return f"{parameters / 1e9:.3g}b"
