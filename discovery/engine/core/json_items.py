"""Reads a long JSON list item by item, with one item and a block of text in memory.

Not ijson: it bounds neither the length of an item (its time grows with the square of a long text)
nor its depth (40 kB of brackets took a gigabyte), refuses ``NaN`` and changes half characters
before the field they stand in could be named, and does not say which item is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

BLOCK = 1 << 20
#: Characters that one item may have.
MAX_ITEM = 16 << 20

_SPACE = re.compile(r"[ \t\n\r]*")


def items(stream: TextIO) -> Iterator[Any]:
    """The items of the list in ``stream``; a single object is a list of one.

    Raises ``ValueError`` (with the item and the reason) for invalid JSON, and whatever reading
    raises.
    """
    reader = _Reader(stream)
    if reader.peek() == "{":
        yield reader.value(1)
    else:
        reader.expect("[", "it is not a list of models")
        yield from _list(reader)
    if reader.peek():
        raise ValueError("text follows the end of the list")


def _list(reader: _Reader) -> Iterator[Any]:
    number = 0
    while reader.peek() != "]" or number:
        number += 1
        yield reader.value(number)
        if reader.peek() == "]":
            break
        reader.expect(",", f"item {number} is followed by neither a comma nor the end of the list")
    reader.expect("]", "the list has no end")


class _Reader:
    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.text = ""
        self.at = 0
        self.ended = False
        self.decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not a space; empty at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or not self.more(BLOCK):
                return self.text[self.at : self.at + 1]

    def expect(self, character: str, complaint: str) -> None:
        found = self.peek()
        if not found:
            raise ValueError(f"the file ends too early: {complaint}")
        if found != character:
            raise ValueError(complaint)
        self.at += 1

    def value(self, number: int) -> Any:
        if not self.peek():
            raise ValueError(f"the file ends too early, before item {number}")
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except RecursionError:
                raise ValueError(f"item {number} is nested too deep") from None
            except json.JSONDecodeError as error:
                if len(self.text) - self.at > MAX_ITEM:
                    raise ValueError(
                        f"item {number} is not JSON ({error.msg}), or longer than {MAX_ITEM >> 20}"
                        " million characters"
                    ) from None
                if not self.more(max(BLOCK, len(self.text) - self.at)):
                    raise ValueError(
                        f"item {number} is not complete JSON: {error.msg}, {error.pos - self.at}"
                        " characters after its beginning"
                    ) from None
            else:
                if end < len(self.text) or not self.more(BLOCK):
                    self.at = end
                    return value

    def more(self, count: int) -> bool:
        """Reads on, forgetting what is done with; ``False`` at the end."""
        block = "" if self.ended else self.stream.read(count)
        self.ended = not block
        self.text, self.at = self.text[self.at :] + block, 0
        return bool(block)
