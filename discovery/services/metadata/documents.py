"""Changes in the shape of a document that was just read.

A program reads a document, changes a few values and sends all of it back. What it did not change is
no change, and what it may not change is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from discovery.engine.core.vocabulary import AXES
from discovery.services.metadata.metadata import SETTABLE, InvalidMetadata

#: A scan writes it all the time; ETags leave it out too.
_MOVES = frozenset({"last_seen_at"})

#: Characters of a value that an error tells.
_TOLD = 120


def changes(
    given: Mapping[str, Any], document: Callable[[], Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return what is to change of what was sent; a nested ``category`` becomes its three fields.

    ``document`` gives the model's document as it is now; it is asked only where read-only fields
    were sent. Raises ``InvalidMetadata`` for those that are not what they were.
    """
    fixed = given.keys() - SETTABLE - {"category"}
    if not fixed:
        return _flat(given)
    now = document()
    errors = {
        name: f"is read-only. It is {json.dumps(now[name])[:_TOLD]}: leave it out"
        for name in sorted(fixed - _MOVES)
        if name in now and given[name] != now[name]
    }
    if errors:
        raise InvalidMetadata(errors)
    standing = _flat(now)
    return {
        name: value
        for name, value in _flat(given).items()
        if name not in fixed & now.keys() and not (name in standing and standing[name] == value)
    }


def _flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ``InvalidMetadata`` where the category cannot be read."""
    flat = {name: value for name, value in given.items() if name != "category"}
    category = given.get("category", {})
    if category is None:
        category = dict.fromkeys(AXES)
    if not isinstance(category, Mapping):
        raise InvalidMetadata({"category": f"must be an object with {', '.join(AXES)}"})
    if unknown := [str(name) for name in category if name not in AXES]:
        text = f"has no {unknown[0][:80]}: its names are {', '.join(AXES)}"
        raise InvalidMetadata({"category": text})
    if twice := [name for name in category if name in flat and flat[name] != category[name]]:
        raise InvalidMetadata({twice[0]: "is not what category says: send it once"})
    return flat | dict(category)
