"""What a pickle's values become when nothing is imported or called.

Text, numbers, tuples and lists stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Global(NamedTuple):
    """An import that was not made."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


#: What could not be named.
UNKNOWN = Global("?", "?")


@dataclass(slots=True, eq=False)
class Import:
    """The first occurrence of an import and its use: it is instantiated without a call (``made``),
    or it is ``called``.

    ``by_value``: each call had one plain value as its argument, as in a lookup of an enumeration's
    member.
    """

    position: int
    made: bool = False
    called: bool = False
    by_value: bool = True

    def merge(self, other: Import) -> None:
        self.made, self.called, self.by_value = (
            self.made or other.made,
            self.called or other.called,
            self.by_value and other.by_value,
        )


class Blob(NamedTuple):
    """Bytes or text that were passed over."""

    offset: int
    length: int


class Persistent(NamedTuple):
    """What the program that wrote the pickle keeps elsewhere: torch's storages."""

    key: Any


@dataclass(slots=True, eq=False)
class Object:
    """A dict (``function`` is ``None``), or what a call would have returned.

    ``items`` are the pairs set one by one, ``state`` is what BUILD was given.
    """

    function: Any = None
    arguments: Any = ()
    items: list[tuple[Any, Any]] | None = None
    state: Any = None

    def get(self, key: str) -> Any:
        return next((value for name, value in reversed(self.items or ()) if name == key), None)


def children(value: Any) -> Iterable[Any]:
    """The parts of a value that may have parts themselves."""
    kind = type(value)
    if kind is tuple or kind is list:
        return value  # type: ignore[no-any-return]
    if kind is Object:
        parts = [value.function, value.arguments, value.state]
        for pair in value.items or ():
            parts += pair
        return parts
    return (value.key,) if kind is Persistent else ()
