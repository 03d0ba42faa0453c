"""Keep people from overwriting a change that they have not seen.

A form sends the stamp of each value that it showed. A value that still has this stamp was not
edited and is never written. An edited one is written only where the current value is still the one
that was shown, or the one that was entered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any


class Conflict(Exception):
    """Somebody else changed these fields since they were shown; nothing was written.

    ``theirs``: {field: value now}.
    """

    def __init__(self, theirs: Mapping[str, Any]) -> None:
        super().__init__(f"changed by somebody else meanwhile: {', '.join(theirs)}")
        self.theirs = dict(theirs)


def stamp(value: Any) -> str:
    """Return the stamp of a value, which is the same in every process."""
    return blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def touched(given: Mapping[str, Any], seen: Mapping[str, str]) -> dict[str, Any]:
    """Those values that are not what the form showed.

    A field without a stamp was not shown, so whoever sends it wants to change it.
    """
    return {
        name: value
        for name, value in given.items()
        if name not in seen or seen[name] != stamp(value)
    }


def agree(changes: Mapping[str, Any], now: Mapping[str, Any], seen: Mapping[str, str]) -> None:
    """Raise ``Conflict`` for each value that somebody else has changed in the meantime.

    A current value that equals the one entered is not a conflict.
    """
    theirs = {
        name: now[name]
        for name, value in changes.items()
        if name in seen and seen[name] != stamp(now[name]) and now[name] != value
    }
    if theirs:
        raise Conflict(theirs)
