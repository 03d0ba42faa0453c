"""Bytes that are almost right: each mutation is a small change that real damage, or somebody with a
hex editor, would make.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

#: Longer inputs are cut: what readers are for are headers, and time is better spent on more of
#: them.
MAX_BYTES = 1 << 18

#: Numbers at the edges of what lengths, counts and types can be.
_EDGES = (
    0,
    1,
    2,
    7,
    8,
    31,
    127,
    128,
    255,
    256,
    65535,
    65536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
_TOKENS = (
    b"null", b"true", b"-1", b"0", b"1e400", b"NaN", b"[]", b"{}", b'""', b'"\\ud800"',
    b"99999999999999999999", b"\x00", b"\xff\xfe",
    b"\xef\xbb\xbf",     b"../../x", b"<script>", b"\r\n", b"---\n", b"&a [*a, *a]",
    b"!!python/object:os.system ", b"__class__", b"{{", b"%}",
)  # fmt: skip
_NUMBER = re.compile(rb"\d+")

Mutation = Callable[[Random, bytearray, Sequence[bytes]], None]


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to eight mutations, which may take parts of the other seeds."""
    data = bytearray(random.choice(seeds)[:MAX_BYTES])
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4, 8))):
        random.choice(_MUTATIONS)(random, data, seeds)
    return bytes(data[:MAX_BYTES])


def _place(random: Random, data: bytearray) -> int:
    """Anywhere, but rather near the start, where headers are."""
    return random.randrange(min(len(data), random.choice((16, 64, 512, MAX_BYTES))) + 1)


def _flip(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    if data:
        data[_place(random, data) % len(data)] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    if data:
        data[_place(random, data) % len(data)] = random.randrange(256)


def _edge(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    """A binary number of the usual widths becomes one at the edge."""
    width = random.choice((1, 2, 4, 4, 8, 8))
    at = _place(random, data)
    if random.random() < 0.5:
        at -= at % width
    value = (random.choice(_EDGES) + random.choice((0, 0, -1, 1))) % (1 << 8 * width)
    data[at : at + width] = value.to_bytes(width, random.choice(("little", "little", "big")))


def _count(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    """A binary number becomes a little more, or a little less, than it was."""
    width = random.choice((1, 2, 4, 8))
    at = _place(random, data)
    value = int.from_bytes(data[at : at + width], "little") + random.choice((-8, -1, 1, 8, 64))
    data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def _digits(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    """A number written out becomes another."""
    found = list(_NUMBER.finditer(data, 0, 1 << 14))
    if found:
        match = random.choice(found)
        data[match.start() : match.end()] = str(
            random.choice(_EDGES) * random.choice((1, -1, 1, 10**30))
        ).encode()


def _token(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    at = _place(random, data)
    data[at : at + random.choice((0, 0, 1, 4))] = random.choice(_TOKENS)


def _delete(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    at = _place(random, data)
    del data[at : at + random.choice((1, 2, 4, 8, 64))]


def _truncate(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _repeat(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    """A piece many times over: nesting, long lists, many members."""
    at, length = _place(random, data), random.choice((1, 2, 4, 8, 32, 200))
    piece = bytes(data[at : at + length])
    times = random.choice((2, 3, 50, 1_000, 20_000))
    data[at:at] = piece * min(times, MAX_BYTES // max(len(piece), 1))


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """A piece of another seed, in place of what was there or between."""
    other = random.choice(seeds)[:MAX_BYTES]
    start, length = random.randrange(len(other) + 1), random.choice((4, 16, 64, 1_024, MAX_BYTES))
    at = _place(random, data)
    piece = other[start : start + length]
    data[at : at + random.choice((0, len(piece)))] = piece


def _append(random: Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    data += (
        random.randbytes(random.choice((1, 8, 64)))
        if random.random() < 0.7
        else bytes(random.choice((16, 4_096)))
    )


_MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _byte, _byte, _edge, _edge, _edge, _count, _digits, _token, _delete, _truncate,
    _repeat, _splice, _append,
)  # fmt: skip
