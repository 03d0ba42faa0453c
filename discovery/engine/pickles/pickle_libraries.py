"""Lists of the names that known libraries need in a pickle, one file each in ``lists/``.

``calls`` may be called, ``classes`` are instantiated without a call, ``named`` are functions that
are stored and not called, ``enums`` are looked up by one plain value. A ``*`` matches part of a
name, ``**`` also any number of modules.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from discovery.engine.pickles.pickle_values import Import

_KINDS = ("calls", "classes", "named", "enums")


@dataclass(frozen=True, slots=True)
class Library:
    """``harmless``: what a weight file is made of, worth no finding."""

    name: str
    harmless: bool


class _Lists:
    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}
        self._exact: dict[str, dict[tuple[str, str], Library]] = {kind: {} for kind in _KINDS}
        self._patterns: dict[str, list[tuple[re.Pattern[str], re.Pattern[str], Library]]] = {
            kind: [] for kind in _KINDS
        }
        self._excepted: dict[str, tuple[str, ...]] = {}
        for told in _files():
            self._add(told)

    def _add(self, told: Mapping[str, Any]) -> None:
        library = Library(told["name"], told.get("harmless", False))
        self.aliases |= told.get("aliases", {})
        self._excepted[library.name] = tuple(
            f"{module}." for module in told.get("except", {}).get("modules", ())
        )
        for kind in _KINDS:
            for module, names in told.get(kind, {}).items():
                for name in names:
                    if _is_plain(module) and _is_plain(name):
                        self._exact[kind][module, name] = library
                    else:
                        self._patterns[kind].append((_pattern(module), _pattern(name), library))

    def find(self, kind: str, module: str, name: str) -> Library | None:
        """The library that lists ``name`` of ``module`` for this use.

        (The lists are short; answers are kept by ``library``.)
        """
        if (known := self._exact[kind].get((module, name))) is not None:
            return known
        for in_module, in_name, library in self._patterns[kind]:
            if (
                in_name.fullmatch(name)
                and in_module.fullmatch(module)
                and not f"{module}.".startswith(self._excepted[library.name])
            ):
                return library
        return None


def _files() -> Iterator[Mapping[str, Any]]:
    for path in sorted(
        resources.files(__package__).joinpath("lists").iterdir(), key=lambda path: path.name
    ):
        if path.name.endswith(".toml"):
            yield tomllib.loads(path.read_text(encoding="utf-8"))


def _is_plain(text: str) -> bool:
    return "*" not in text and "[" not in text


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\[A-Z\]|\[a-z\])", text)
    known = {"**": r"\w+(?:\.\w+)*", "*": r"\w*", "[A-Z]": "[A-Z]", "[a-z]": "[a-z]"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts), re.ASCII)


@cache
def _lists() -> _Lists:
    return _Lists()


def alias(module: str) -> str:
    """The module's usual name: others have it in older or newer versions."""
    return _lists().aliases.get(module, module)


def library(module: str, name: str, use: Import) -> Library | None:
    """The library that lists this use of ``name``."""
    if use.called:
        return _find("calls", module, name) or (
            _find("enums", module, name) if use.by_value else None
        )
    kinds = _KINDS[:2] if use.made else _KINDS
    return next((found for kind in kinds if (found := _find(kind, module, name))), None)


@lru_cache(maxsize=20_000)
def _cached(kind: str, module: str, name: str) -> Library | None:
    return _lists().find(kind, module, name)


def _find(kind: str, module: str, name: str) -> Library | None:
    return _cached(kind, module, name) if len(module) + len(name) < 300 else None
