"""``model_id``: short, readable, unique, and never changed once given."""

from __future__ import annotations

import re
from collections.abc import Callable
from unicodedata import normalize

from discovery.engine.core.paths import to_text

#: Words that stand in the same place of a URL.
RESERVED = frozenset({"discovered", "discovery", "register", "metadata"})

MAX_LENGTH = 120


def slug(text: str) -> str:
    """Lowercase words joined by hyphens.

    Dots stay (``deepseek-coder-6.7b``), as do letters of every script.
    """
    text = normalize("NFKC", to_text(text)).lower()
    return re.sub(r"[^\w.]+|_+", "-", text).strip("-._")[:MAX_LENGTH].strip("-._") or "model"


def options(name: str, path: str) -> list[str]:
    """Ids that would do, best first: the name alone, then with the folders above it."""
    parts = [part for part in path.split("/") if part != "."]
    base = slug(name.rpartition("/")[2] or name)
    longer = (
        slug("-".join([*parts[-depth:-1], base])) for depth in range(2, min(len(parts), 4) + 1)
    )
    return [option for option in dict.fromkeys([base, *longer]) if option not in RESERVED]


def new_id(name: str, path: str, taken: Callable[[str], bool]) -> str:
    """The first of ``options`` that is free, else a numbered one."""
    possible = options(name, path) or [f"{slug(name)}-1"]
    free = next((option for option in possible if not taken(option)), None)
    number = 2
    while free is None:
        numbered = f"{possible[0]}-{number}"
        free = None if taken(numbered) else numbered
        number += 1
    return free
