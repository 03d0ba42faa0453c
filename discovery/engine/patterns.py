"""Glob patterns on names and on paths below a root, compiled once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate


class Patterns:
    """A pattern with a ``/`` is matched against the relative path, any other against the bare name. Case counts."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._name = _any([p for p in patterns if "/" not in p.strip("/")])
        self._path = _any([p for p in patterns if "/" in p.strip("/")])

    def match(self, name: str, prefix: str = "") -> bool:
        """Whether ``name``, in the folder ``prefix`` (empty, or ending in ``/``), is left out."""
        if self._name is not None and self._name.match(name):
            return True
        return self._path is not None and self._path.match(prefix + name) is not None


def _any(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(pattern.strip("/")) for pattern in patterns)) if patterns else None
