"""What an expression of a chat template can be: could the template have built a name in it?

Texts that come with a conversation are the caller's; texts that a template joins, cuts or turns are
its author's, who may spell with them what no rule would let him write. Values only ever grow:
joining two of them forgets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

#: More different texts than that are "any text".
MAX_TEXTS = 64
#: Lists in lists deeper than that are one list.
MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Value:
    """All ``False`` and empty: data of the conversation.

    ``texts``: literals of the template that it may be. ``made``: a text that the template puts
    together. ``inner``: an object of Jinja's own or of Python. ``number``: a number, a truth value
    or nothing. ``reached``: found under a computed name. ``items``: what it holds, under ``keys``
    where it is a dictionary.
    """

    texts: frozenset[str] = frozenset()
    made: bool = False
    inner: bool = False
    number: bool = False
    reached: bool = False
    items: Self | None = None
    keys: frozenset[str] = frozenset()

    def __or__(self, other: Value) -> Value:
        return self._join(other, 0)

    def _join(self, other: Value, depth: int) -> Value:
        if self == other:
            return self
        texts = self.texts | other.texts
        return Value(
            texts=texts if len(texts) <= MAX_TEXTS else frozenset(),
            made=self.made or other.made or len(texts) > MAX_TEXTS,
            inner=self.inner or other.inner,
            number=self.number and other.number,
            reached=self.reached or other.reached,
            items=_joined(self.items, other.items, depth + 1),
            keys=self.keys | other.keys,
        )

    @property
    def is_authors(self) -> bool:
        """Whether a text taken from it is the template's rather than the conversation's."""
        held = self.items
        return (
            bool(self.texts or self.keys)
            or self.made
            or self.inner
            or (held is not None and held.is_authors)
        )

    @property
    def elements(self) -> Value:
        """What a subscript of it gives."""
        if self.items is not None:
            return replace(self.items, reached=self.items.reached or self.reached)
        return Value(made=bool(self.texts) or self.made or self.inner, reached=self.reached)

    @property
    def iterated(self) -> Value:
        """The values of a loop over it, and its first or last value."""
        return self.elements | Value(texts=self.keys) if self.keys else self.elements

    @property
    def unpacked(self) -> Value:
        """The value of each name when a loop unpacks it: ``for key, value in …``."""
        return self.items if self.items is not None else self


def _joined(one: Value | None, other: Value | None, depth: int) -> Value | None:
    if one is None or other is None:
        return one or other
    joined = one._join(other, depth)
    if depth < MAX_DEPTH or joined.items is None:
        return joined
    return replace(joined, items=None, made=joined.made or joined.items.is_authors)


DATA = Value()
MADE = Value(made=True)
NUMBER = Value(number=True)


def text(literal: str) -> Value:
    return Value(texts=frozenset((literal,)))


def container(items: Value, keys: frozenset[str] = frozenset()) -> Value:
    depth, held = 1, items
    while held.items is not None:
        depth, held = depth + 1, held.items
    if depth >= MAX_DEPTH:
        items = replace(items, items=None, made=items.is_authors)
    return Value(items=items, keys=keys)


def derived(*parts: Value) -> Value:
    """The text that an operation makes of ``parts``: the conversation's when all of them are."""
    return Value(
        made=any(part.is_authors for part in parts), reached=any(part.reached for part in parts)
    )
