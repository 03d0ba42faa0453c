"""What to say of a word that a closed list does not have: the known ones, and the nearest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from discovery.engine.core.text import nearest

#: Words of a list that are named at most.
MAX_NAMED = 60
EMPTY = "it is empty: give it a value, or leave it out"


def not_known(value: Any, known: Iterable[str]) -> str:
    """``“GGUF” is not known; did you mean gguf? Known are ggml, gguf.``"""
    words = [word for word in known if word]
    more = f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else ""
    shown = f"Known are {', '.join(words[:MAX_NAMED])}{more}." if words else "None is known."
    meant = nearest(value, words) if isinstance(value, str) else ""
    return f"“{str(value)[:80]}” is not known{f'; did you mean {meant}?' if meant else '.'} {shown}"
