"""Large arrays that gensim keeps out of the pickle of an object, in files called like its own.

Source: ``SaveLoad._save_specials`` of https://github.com/piskvorky/gensim (gensim/utils.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from discovery.engine.core.types import OWN_NAME
from discovery.engine.pickles.pickle_values import Object

#: Attributes that lists of such files are kept under: arrays, and objects with arrays of their own.
_ARRAYS, _OBJECTS = "__numpys", "__recursive_saveloads"
MAX_FILES = 100
MAX_DEPTH = 4


def arrays_beside(root: Any) -> list[str]:
    """Names of the files, made of ``OWN_NAME``."""
    return list(dict.fromkeys(_names(root, OWN_NAME, 0)))[:MAX_FILES]


def _names(made: Any, prefix: str, depth: int) -> Iterator[str]:
    state = made.state if type(made) is Object else None
    state = state[0] if type(state) is tuple and state else state
    if type(state) is not Object or depth > MAX_DEPTH:
        return
    for attribute in _listed(state, _ARRAYS):
        yield f"{prefix}.{attribute}.npy"
    for attribute in _listed(state, _OBJECTS):
        yield from _names(state.get(attribute), f"{prefix}.{attribute}", depth + 1)


def _listed(state: Object, key: str) -> list[str]:
    told = state.get(key)
    names = told[:MAX_FILES] if type(told) is list else []
    return [name for name in names if type(name) is str and name.isidentifier()]
