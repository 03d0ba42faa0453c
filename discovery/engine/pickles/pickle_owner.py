"""Whose object a pickle is: the library of the class that it builds, found by listing it.

Libraries of machine learning wrap each other, so the outermost object decides; in a plain dict or
list, the first that a library knows.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.vocabulary import ModelType
from discovery.engine.pickles.pickle_values import Global, Object, children

#: Objects that are looked at.
MAX_OBJECTS = 2_000

_TYPES = {
    "sklearn": ModelType.SKLEARN, "imblearn": ModelType.SKLEARN, "sklearn_crfsuite":
    ModelType.SKLEARN, "xgboost": ModelType.XGBOOST, "lightgbm": ModelType.LIGHTGBM,
    "catboost": ModelType.CATBOOST, "_catboost": ModelType.CATBOOST, "spacy": ModelType.SPACY,
    "paddle": ModelType.PADDLE,
}  # fmt: skip
#: What rebuilds other things, and says nothing of whose they are.
_NOBODYS = frozenset({"numpy", "copy_reg", "copyreg", "__main__", "?", "scipy", "pandas"})
_TORCH = ("torch", "__torch__")


@dataclass(frozen=True, slots=True)
class Owner:
    """``cls`` is the class of the object, where it is known; ``version`` its library's."""

    type: ModelType
    cls: Global | None = None
    version: str | None = None


def owner(root: Any, imports: Iterable[str]) -> Owner | None:
    """``None`` for what torch loads, and for what no library claims."""
    for made in _objects(root):
        cls = _class(made)
        if cls is not None and (kind := _TYPES.get(_library(cls.module))):
            return Owner(kind, cls, _version(made))
        if cls is not None and _is_foreign(cls.module):
            break
    libraries = list(dict.fromkeys(_library(name) for name in imports))
    if any(name in _TORCH for name in libraries):
        return None
    if kind := next((_TYPES[name] for name in libraries if name in _TYPES), None):
        return Owner(kind)
    if any(_is_foreign(name) for name in libraries):
        return Owner(ModelType.PYTHON, _class(root))
    arrays = any(name in ("joblib", "scipy", "pandas") for name in libraries)
    return Owner(ModelType.PYTHON) if arrays else None


def _library(reference: str) -> str:
    return reference.partition(".")[0]


def _is_foreign(module: str) -> bool:
    name = _library(module)
    return not (
        name in _NOBODYS
        or name == "joblib"
        or name in sys.stdlib_module_names
        or name in _TORCH
        or name in ("__builtin__", "exceptions")
    )


def _class(made: Any) -> Global | None:
    if type(made) is not Object:
        return None
    function = made.function
    if type(function) is Global and function.name in ("_reconstructor", "__newobj__"):
        first = made.arguments[0] if type(made.arguments) is tuple and made.arguments else None
        function = first
    return function if type(function) is Global else None


def _objects(root: Any) -> Iterator[Any]:
    """The parts, outermost first, each once."""
    waiting, seen = deque([root]), set[int]()
    while waiting and len(seen) < MAX_OBJECTS:
        value = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        waiting.extend(children(value))


def _version(made: Any) -> str | None:
    """What scikit-learn leaves in each of its objects."""
    for part in _objects(made):
        if type(part) is Object and type(version := part.get("_sklearn_version")) is str:
            return version[:40]
    return None
