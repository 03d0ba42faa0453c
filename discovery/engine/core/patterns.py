"""Glob patterns on names and on paths below a root, compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache

#: Names whose answer is kept: a hundred thousand folders share a few dozen.
MAX_KNOWN = 10_000


class Patterns:
    """Glob patterns that are matched against names, or against paths where they contain a ``/``.

    ``name(name)`` and ``path(path)`` say whether one matches; ``path`` is ``None`` when no pattern
    contains a ``/``.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        on_names = _any([pattern for pattern in patterns if "/" not in pattern.strip("/")])
        self.name: Callable[[str], bool] = lru_cache(MAX_KNOWN)(on_names or (lambda _name: False))
        self.path = _any([pattern for pattern in patterns if "/" in pattern.strip("/")])


def _any(patterns: Sequence[str]) -> Callable[[str], bool] | None:
    if not patterns:
        return None
    match = re.compile("|".join(translate(pattern.strip("/")) for pattern in patterns)).match
    return lambda text: match(text) is not None
