"""Makes text from models storable and printable before anything else uses it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

MAX_TEXT = 4_000
MAX_ITEMS = 200
MAX_ITEM_TEXT = 200
MAX_DEPTH = 6
MAX_INTEGER = (1 << 63) - 1

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

#: The start of a page, or of a server's answer in XML.
_TAG = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?A-Za-z]")


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` cut to ``limit`` characters, without control characters and lone surrogates.

    Direction overrides are removed as well.
    """
    return _CONTROL.sub("", text[: limit + 64]).strip()[:limit]


def storable(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON that every database accepts.

    NaN and numbers past 64 bits become ``None``; deep nesting is cut.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -MAX_INTEGER <= value <= MAX_INTEGER else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {
            clean(str(key), MAX_ITEM_TEXT): storable(item, depth + 1)
            for key, item in list(value.items())[:MAX_ITEMS]
        }
    if isinstance(value, list | tuple):
        return [storable(item, depth + 1) for item in value[:MAX_ITEMS]]
    return clean(str(value))


def strings(value: Any) -> list[str]:
    """The distinct non-empty strings of a list (or of one string), in order.

    Each is cut to ``MAX_ITEM_TEXT`` characters.
    """
    items = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    texts = (clean(item, MAX_ITEM_TEXT) for item in items[: MAX_ITEMS * 5] if isinstance(item, str))
    return list(dict.fromkeys(text for text in texts if text))[:MAX_ITEMS]


def positive(value: Any) -> int | None:
    """``value`` when it is a whole number from 1 to 2^63-1, else ``None``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_INTEGER
        else None
    )


def plural(count: int, one: str, many: str | None = None) -> str:
    """``3 files``, ``1 file``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def human_bytes(size: int) -> str:
    """``26.4 GB``, in the decimal units that disks and model cards use."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1000
    raise AssertionError("unreachable")


def word(value: str | None) -> str:
    """``IMAGE_GENERATION`` → ``Image generation``."""
    return (value or "").replace("_", " ").capitalize()


def listed(items: Sequence[str], last: str = "and", limit: int = 0) -> str:
    """``a, b and c``; past ``limit`` the rest is counted: ``a, b and 23 more``."""
    if limit and len(items) > limit + 1:
        return f"{', '.join(items[:limit])} {last} {len(items) - limit:,} more"
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def is_web_page(head: bytes) -> bool:
    """Whether a file that starts so is a page or an answer of a server: a tag, and text around it.

    (The first byte of a binary file may be the same.)
    """
    return _TAG.match(head) is not None and b"\0" not in head[:512]


def nearest(value: str, known: Iterable[str]) -> str:
    """The word that somebody most likely meant, or an empty text."""
    folded: dict[str, str] = {}
    for word in known:
        folded.setdefault(word.casefold(), word)
    found = get_close_matches(value[:200].casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""
