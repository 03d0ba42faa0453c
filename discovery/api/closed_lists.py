"""What to say of a word that a closed list does not have: the known ones, and the nearest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
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


def nearest(value: str, known: Iterable[str]) -> str:
    """The word that somebody most likely meant, or an empty text."""
    folded: dict[str, str] = {}
    for word in known:
        folded.setdefault(word.casefold(), word)
    found = get_close_matches(value[:200].casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def of_validation(fault: dict[str, Any], model: Any) -> str | None:
    """The text for a fault of pydantic's about a name or a word that is not there, or is empty.

    ``model`` is what the input was held against.
    """
    value, kind = fault["input"], fault["type"]
    if kind == "string_too_short" and value == "":
        return EMPTY
    if kind == "extra_forbidden":
        return not_known(fault["loc"][-1], _names_at(model, fault["loc"][:-1]))
    if kind not in ("literal_error", "enum"):
        return None
    return not_known(value, _QUOTED.findall(str(fault.get("ctx", {}).get("expected", ""))))


def _names_at(model: Any, loc: Iterable[str | int]) -> list[str]:
    """The fields of the object at a place inside ``model``."""
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = _model_in(fields[part].annotation)
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    """The model that a type is, or has inside: that of ``list[Model] | None`` is ``Model``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
