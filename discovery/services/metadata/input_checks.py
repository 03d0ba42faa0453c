"""Reject input that cannot be stored completely, with a reason.

Values from files are cut instead; what people entered is never cut silently.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from discovery.engine.core.fields import FIELDS, LISTED, Field, Kind
from discovery.engine.core.text import MAX_DEPTH, MAX_INTEGER, MAX_ITEM_TEXT, MAX_ITEMS, MAX_TEXT
from discovery.services.core.endpoint_addresses import UNSTORABLE


def fault(name: str, value: Any) -> str | None:
    """Return what is wrong with ``value`` for the field ``name``, or ``None``.

    The text starts with the place inside the value. A name outside the catalogue, such as a path,
    is a text.
    """
    field = FIELDS.get(name)
    if field and field.kind in LISTED and isinstance(value, list):
        return _list_fault(field, value)
    if field and field.kind is Kind.OBJECT and not isinstance(value, dict):
        return "must be an object"
    if isinstance(value, str) and UNSTORABLE.search(value):
        return "has characters that cannot be stored (control characters, or halves of a character)"
    if isinstance(value, dict):
        return next(_object_faults(value, "", 1), None)
    return None


def _list_fault(field: Field, items: list[Any]) -> str | None:
    if len(items) > MAX_ITEMS:
        return f"has {len(items):,} entries, at most {MAX_ITEMS} are kept"
    words = field.words
    for number, item in enumerate(items, 1):
        if not isinstance(item, str):
            return f"entry {number} is not a text"
        if len(item) > MAX_ITEM_TEXT:
            return f"entry {number} has {len(item):,} characters, at most {MAX_ITEM_TEXT} are kept"
        if UNSTORABLE.search(item):
            return f"entry {number} has characters that cannot be stored"
        if not item.strip():
            return f"entry {number} is empty"
        if words and item.upper() not in words:
            return f"entry {number}, {item[:40]!r}, is none of {', '.join(words)}"
    return None


def _object_faults(value: Mapping[str, Any] | list[Any], where: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"{where} is nested more than {MAX_DEPTH} deep"
        return
    if len(value) > MAX_ITEMS:
        yield f"{where or 'it'} has {len(value):,} entries, at most {MAX_ITEMS} are kept"
        return
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        inside = f"{where}.{str(key)[:40]}" if where else str(key)[:40]
        if isinstance(key, str) and (
            UNSTORABLE.search(key) or not key.strip() or len(key) > MAX_ITEM_TEXT
        ):
            yield f"{inside!r} is not a name for a value"
        elif isinstance(item, Mapping | list):
            yield from _object_faults(item, inside, depth + 1)
        elif reason := _scalar_fault(item):
            yield f"{inside} {reason}"


def _scalar_fault(item: Any) -> str | None:
    if isinstance(item, str):
        if len(item) > MAX_TEXT:
            return f"has {len(item):,} characters, at most {MAX_TEXT:,} are kept"
        return "has characters that cannot be stored" if UNSTORABLE.search(item) else None
    if isinstance(item, bool) or item is None:
        return None
    if isinstance(item, int):
        return None if -MAX_INTEGER <= item <= MAX_INTEGER else "is a number beyond 64 bits"
    if isinstance(item, float):
        return None if math.isfinite(item) else "is not a finite number"
    return "is neither text, number, list nor object"
