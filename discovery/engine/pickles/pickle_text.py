"""Text and numbers as pickles of protocol 0 spell them, read as Python's two unpicklers read them:
what either takes is taken.

Source: CPython's ``Modules/_pickle.c`` (``load_int``, ``load_long``, ``load_float``,
``load_string``, ``load_get``) and ``Lib/pickle.py``. C's text ends at a NUL, whatever follows; its
``strtol`` knows octal numbers by their zero.
"""

from __future__ import annotations

import re

#: Longer numbers are not worked out: newer Pythons refuse what older ones read.
MAX_DIGITS = 1_000

_OCTAL = re.compile(rb"[ \t\n\v\f\r]*[+-]?0[0-7]*")
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|[\n\\'\"abfnrtv]|[^x])", re.DOTALL)
_ESCAPED = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\n": b"",
}


def integer(line: bytes, base: int = 0) -> int:
    """The number in ``line``, 0 if it is too long to convert.

    Raises ``ValueError`` where both unpicklers stop.
    """
    if len(line) > MAX_DIGITS:
        return 0
    seen = line.partition(b"\0")[0]
    for text in (line, seen):
        try:
            return int(text, base)
        except ValueError:
            continue
    if base == 0 and _OCTAL.fullmatch(seen):
        return int(seen, 8)
    if base == 0 and line[:1] == b"\0":
        return 0
    raise ValueError("it is not a number")


def memo_key(line: bytes) -> int | bytes:
    """A place in the memo, by its number. Raises ``ValueError``."""
    if len(line) > MAX_DIGITS:
        return line
    key = integer(line, 10)
    if key < 0:
        raise ValueError("there is no negative place")
    return key


def real(line: bytes) -> float:
    """The number in ``line``. Raises ``ValueError`` where both unpicklers stop."""
    if len(line) > MAX_DIGITS:
        return 0.0
    for text in (line, line.partition(b"\0")[0]):
        try:
            return float(text)
        except ValueError:
            continue
    raise ValueError("it is not a number")


def quoted(line: bytes) -> bytes:
    """The text between the quotes, with escapes resolved.

    Raises ``ValueError`` for missing quotes or an invalid escape.
    """
    line = line.rstrip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("the text is not quoted")
    inner = line[1:-1]
    if b"\\" not in inner:
        return inner
    if b"\\" in _ESCAPE.sub(b"", inner):
        raise ValueError("an escape is none")
    return _ESCAPE.sub(_unescaped, inner)


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1] == b"x":
        return bytes([int(code[1:], 16)])
    if code.isdigit() and code[0] < 0x38:
        return bytes([int(code, 8) & 0xFF])
    if code in _ESCAPED:
        return _ESCAPED[code]
    return code if code in (b"\\", b"'", b'"') else b"\\" + code
