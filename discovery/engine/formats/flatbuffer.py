"""Flatbuffers, read through their offsets: tables, vectors and strings, a page at a time.

Source: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader

MAX_ITEMS = 20_000
MAX_STRING_BYTES = 1_024
PAGE = 1 << 14
MAX_PAGES = 256


class Flatbuffer:
    """Reads at any place, a page at a time.

    ``furthest`` is the last byte that was needed, plus one.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size
        self.furthest = 0
        self.pages: dict[int, bytes] = {}
        self.items_left = 4 * MAX_ITEMS

    def take(self, at: int, count: int) -> bytes:
        if at + count > self.size:
            raise InvalidHeader(
                f"{count:,} bytes at {at:,} lie outside the file of {self.size:,} bytes", at
            )
        self.furthest = max(self.furthest, at + count)
        page, start = divmod(at, PAGE)
        data = self._page(page)[start : start + count]
        while len(data) < count:
            page += 1
            more = self._page(page)[: count - len(data)]
            if not more:
                raise InvalidHeader("the file ends early", at)
            data += more
        return data

    def _page(self, number: int) -> bytes:
        if number not in self.pages:
            if len(self.pages) >= MAX_PAGES:
                self.pages.clear()
            self.stream.seek(number * PAGE)
            self.pages[number] = self.stream.read(PAGE)
        return self.pages[number]

    def unsigned(self, at: int, width: int) -> int:
        return int.from_bytes(self.take(at, width), "little")

    def indirect(self, at: int) -> int:
        return at + self.unsigned(at, 4)

    def table(self, at: int) -> dict[int, int]:
        """The fields that are set: number to place."""
        entries = at - int.from_bytes(self.take(at, 4), "little", signed=True)
        if entries < 0:
            raise InvalidHeader(f"the table at {at:,} is described outside the file", at)
        length = self.unsigned(entries, 2)
        if not 4 <= length <= 256:
            raise InvalidHeader(
                f"the table at {at:,} has an impossible description of {length} bytes", entries
            )
        described = self.take(entries, length)
        offsets = [
            int.from_bytes(described[start : start + 2], "little")
            for start in range(4, length - 1, 2)
        ]
        return {number: at + offset for number, offset in enumerate(offsets) if offset}

    def scalar(self, table: dict[int, int], field: int, width: int) -> int:
        return self.unsigned(table[field], width) if field in table else 0

    def count(self, table: dict[int, int], field: int) -> int:
        return self.unsigned(self.indirect(table[field]), 4) if field in table else 0

    def integers(self, table: dict[int, int], field: int, limit: int) -> list[int]:
        """A vector of int32."""
        count = self.count(table, field)
        if count > limit:
            raise InvalidHeader(f"a list claims {count:,} numbers, more than {limit:,}")
        if not count:
            return []
        data = self.take(self.indirect(table[field]) + 4, 4 * count)
        return [
            int.from_bytes(data[at : at + 4], "little", signed=True)
            for at in range(0, 4 * count, 4)
        ]

    def tables(self, table: dict[int, int], field: int) -> list[int]:
        """Where the tables of a vector start."""
        count = self.count(table, field)
        self.items_left -= count
        if count > MAX_ITEMS or self.items_left < 0:
            raise InvalidHeader(f"a list claims {count:,} entries, more than {MAX_ITEMS:,}")
        if not count:
            return []
        start = self.indirect(table[field]) + 4
        data = self.take(start, 4 * count)
        return [
            start + at + int.from_bytes(data[at : at + 4], "little")
            for at in range(0, 4 * count, 4)
        ]

    def string(self, table: dict[int, int], field: int) -> str:
        length = min(self.count(table, field), MAX_STRING_BYTES)
        return (
            self.take(self.indirect(table[field]) + 4, length).decode("utf-8", "replace")
            if length
            else ""
        )

    def texts(self, table: dict[int, int], field: int) -> list[str]:
        """The strings of a vector."""
        places = self.tables(table, field)
        return [
            self.take(at + 4, min(self.unsigned(at, 4), MAX_STRING_BYTES)).decode(
                "utf-8", "replace"
            )
            for at in places
        ]
