"""Pickle streams to try: pieces that push something, written in every spelling an unpickler takes,
put together and mutated.
"""

from __future__ import annotations

import collections
import datetime
import pickle
import struct
from collections.abc import Callable
from random import Random

import numpy as np

from tests.fuzz.mutators import mutated

#: An import that is called, as a payload would.
SYSTEM = b"cposix\nsystem\n(S'true'\ntR"
NAMES = ("os", "posix", "system", "torch._utils", "a.b", "builtins", "getattr", "é", "", "x\ny")

_NUMBERS = (
    b"1", b"01", b"00", b"0x10", b"0o17", b"017", b"0b1", b" 7 ", b"+1", b"-1", b"1_0", b"08", b"",
    b" ", b"\0", b"1\0zz", b"\0x",
    b"9" * 30, b"9" * 30 + b"\0z",
    b"1.5", b"1e5", b"nan", b"inf", b"1e999", b"0" * 2000 + b"1", b"1" * 5000, b"\t3", b"3\r",
    b"0x", b"1L", b"1LL", b"L", b"-0", b"- 1",
    b"1\x0b", b"\xb2",
    b"010\0", b"0777777777777777777777777777", b".5", b"5.", b"1_0.5",
)  # fmt: skip
_STRINGS = (
    b"'a'", b'"a"', b"'posix'", b"'\\x70osix'", b"'\\160osix'", b"'a\\'b'", b"'a", b"a", b"''",
    b"'\\", b"'\\x4'", b"'\\q'", b"  'a'  ",
    b"'a'\r", b"'\xff'",
    b"'a\\\\'", b"'\\8'", b"'\\400'",
)  # fmt: skip
_UNICODE = (
    b"a",
    b"",
    b"posix",
    b"p\\u006fsix",
    b"\\u12",
    b"\\U00110000",
    b"\xff",
    b"a\0b",
    b"b" * 1500,
    b"\\ud800",
    b"a\\",
)


def _text(random: Random, value: bytes | None = None) -> bytes:
    data = random.choice(NAMES).encode() if value is None else value
    return random.choice(
        (
            lambda: b"X" + struct.pack("<I", len(data)) + data,
            lambda: b"\x8c" + bytes([len(data)]) + data,
            lambda: b"\x8d" + struct.pack("<Q", len(data)) + data,
            lambda: b"V" + data.replace(b"\n", b"") + b"\n",
            lambda: b"S'" + data.replace(b"\n", b"") + b"'\n",
            lambda: b"U" + bytes([len(data)]) + data,
            lambda: b"T" + struct.pack("<i", len(data)) + data,
        )
    )()


def _memo(random: Random) -> bytes:
    key = random.choice((0, 1, 2, 255))
    written = random.choice(
        (b"%d" % key, b" %d " % key, b"%d\0z" % key, b"0%d" % key, b"+%d" % key, b"-1", b"1_0", b"")
    )
    put = random.choice(
        (b"q" + bytes([key]), b"r" + struct.pack("<I", key), b"p" + written + b"\n", b"\x94")
    )
    get = random.choice(
        (b"h" + bytes([key]), b"j" + struct.pack("<I", key), b"g" + written + b"\n")
    )
    return random.choice((put, put + b"0" + get, get, put))


def _name(random: Random) -> bytes:
    module, name = random.choice(NAMES).encode(), random.choice(NAMES).encode()
    return random.choice(
        (
            lambda: b"c" + module + b"\n" + name + b"\n",
            lambda: _text(random, module) + _text(random, name) + b"\x93",
            lambda: _text(random) + _memo(random) + _text(random) + b"\x93",
            lambda: b"(" + _push(random) + b"i" + module + b"\n" + name + b"\n",
            lambda: b"(c" + module + b"\n" + name + b"\n" + _push(random) + b"o",
        )
    )()


def _push(random: Random) -> bytes:
    return random.choice(_PUSHES)(random)


def _use(random: Random) -> bytes:
    return random.choice(
        (
            lambda: _name(random) + b")R", lambda: _name(random) + b")\x81",
            lambda: _name(random) + b")}\x92",
            lambda: _name(random) + b"(" + _push(random) + b"tR",
            lambda: _name(random) + b"]R", lambda: _push(random) + _push(random) + b"b",
            lambda: _name(random) + _push(random) + b"b",
            lambda: _push(random) + b")R", lambda: _name(random) + b"NN\x86b",
            lambda: _name(random) + b")\x81}" + _push(random) + _push(random) + b"sb",
        )
    )()  # fmt: skip


_PUSHES: tuple[Callable[[Random], bytes], ...] = (
    lambda r: b"I" + r.choice(_NUMBERS) + b"\n", lambda r: b"L" + r.choice(_NUMBERS) + b"\n",
    lambda r: b"F" + r.choice(_NUMBERS) + b"\n",
    lambda r: b"S" + r.choice(_STRINGS) + b"\n", lambda r: b"V" + r.choice(_UNICODE) + b"\n", _text,
    _text, _name, _name, _memo, _use, _use,
    lambda r: b"N", lambda r: b")", lambda r: b"]", lambda r: b"}", lambda r: b"\x8f",
    lambda r: b"\x88", lambda r: b"K\x01", lambda r: b"M\1\0",
    lambda r: b"J\xff\xff\xff\xff", lambda r: b"\x8a" + r.choice((b"\0", b"\1\1", b"\2\1\1")),
    lambda r: b"\x8b" + r.choice((bytes(4), b"\1\0\0\0\1", b"\xff" * 4)),
    lambda r: b"G" + bytes(8), lambda r: b"B\1\0\0\0a", lambda r: b"C\1a",
    lambda r: b"\x8e\1" + bytes(7) + b"a",
    lambda r: b"\x96\1" + bytes(7) + b"a",
    lambda r: b"P" + r.choice((b"1", b"", b"\xff")) + b"\n", lambda r: _push(r) + b"Q",
    lambda r: b"(" + _push(r) + _push(r) + r.choice((b"t", b"l", b"d", b"\x91")),
    lambda r: b"(" + _push(r) + b"1", lambda r: _push(r) + b"2",
    lambda r: _push(r) + r.choice((b"\x85", b"\x86", b"\x87")),
    lambda r: b"](" + _push(r) + b"e",
    lambda r: b"]" + _push(r) + b"a", lambda r: b"}(" + _push(r) + _push(r) + b"u",
    lambda r: b"}" + _push(r) + _push(r) + b"s", lambda r: b"}(u",
    lambda r: b"\x82" + r.choice((b"\0", b"\1")),
    lambda r: b"\x84" + r.choice((b"\xff" * 4, bytes(4), b"\1\0\0\0")), lambda r: b"\x97",
    lambda r: _push(r) + b"\x98",
    lambda r: b"\x95" + struct.pack("<Q", r.choice((0, 1, 3, 20, 1 << 40, 1 << 63))),
    lambda r: b"\x80" + bytes([r.randrange(7)]),
    lambda r: b"0", lambda r: b"(",
    lambda r: b"\x8f(" + _push(r) + b"\x90", lambda r: b".",
)  # fmt: skip


def made(random: Random) -> bytes:
    """A stream by grammar: some pieces, most of them thrown away again, then perhaps a payload."""
    protocol = random.choice((b"", b"\x80\2", b"\x80\4", b"\x80\5"))
    pieces = [
        _push(random) + random.choice((b"0", b"0", b"")) for _ in range(random.randrange(1, 6))
    ]
    end = random.choice(
        (SYSTEM + b".", SYSTEM + b".", SYSTEM, b".", b"cposix\nsystem", b"N." + SYSTEM + b".")
    )
    return protocol + b"".join(pieces) + end


def seeds() -> list[bytes]:
    """What Python's picklers write, and payloads in some spellings."""
    values = [
        {"a": [1, -2, 70_000, 1 << 40, -(1 << 70), 1.5, None, True], "b": ("x", ("y", ())),
            "ü": {1, 2}},
        collections.OrderedDict(a=datetime.date(2024, 1, 1)),
        [collections.deque([1]), frozenset({1}), 1j, b"bytes", bytearray(b"more"),
            datetime.timedelta(1)],
        {"w": np.zeros((2, 2), "f4"), "o": np.array(["a", None], object)},
        ["x" * 300, "y" * 70_000],
    ]  # fmt: skip
    written = [
        pickle.dumps(value, protocol)
        for value in values
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    return [*written, *(data[:-1] + b"0" + SYSTEM + b"." for data in written), SYSTEM + b"."]


def stream(random: Random, begin: list[bytes]) -> bytes:
    """One by grammar or by mutation, or both."""
    kind = random.random()
    if kind < 0.5:
        return made(random)
    if kind < 0.75:
        return mutated(random, begin)
    return mutated(random, [made(random), *begin[:3]])
