"""Values as people write them, alike in every form and table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from discovery.engine.core.fields import LISTED, SEPARATORS, Kind

_DIGITS_APART = re.compile(r"(?<=\d)[ _\u202f\u00a0](?=\d{3})")
_WITH_COMMAS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
#: What a spreadsheet makes of a long number that does not fit its cell.
_SHORTENED = re.compile(r"-?\d(\.\d+)?E\+\d{2,3}", re.ASCII)
_WHOLE = "must be a whole number above zero"


def is_number(text: str) -> bool:
    """Whether :func:`number` reads it: a database may keep ``1e300`` as 301 digits."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def number(text: str) -> int | float:
    """``7000000``, ``7 000 000``, ``7,000,000``, ``7e6``, ``0.5``. Raises ``ValueError``.

    ``7.24E+09`` is none: its other digits are lost.
    """
    plain = _DIGITS_APART.sub("", text.strip())
    if _SHORTENED.fullmatch(plain):
        raise ValueError("must have all its digits: a spreadsheet has shortened this number")
    plain = plain.replace(",", "") if _WITH_COMMAS.fullmatch(plain) else plain
    if not _NUMBER.fullmatch(plain):
        raise ValueError("must be a number")
    return int(plain) if re.fullmatch(r"-?\d+", plain) else float(plain)


def whole(text: str) -> int:
    """Parse a whole number; raises ``ValueError`` for anything that is not above zero."""
    try:
        found = number(text)
    except ValueError as error:
        raise ValueError(str(error) if _SHORTENED.fullmatch(text.strip()) else _WHOLE) from None
    if found <= 0 or not float(found).is_integer():
        raise ValueError(_WHOLE)
    return int(found)


#: An entry in double quotes, those inside it doubled; or one without, up to the next separator.
_QUOTED = re.compile(r'"((?:[^"]|"")*+)"[^\S\r\n]*([,;\r\n]|\Z)')
_BARE = re.compile(r"([^,;\r\n]*)([,;\r\n]|\Z)")


def entries(text: str) -> list[str]:
    """``a, b``, ``a; b``, a line each, or a list of JSON: the same list, wherever it is written.

    An entry that holds one of the separators stands in double quotes. Raises ``ValueError``.
    """
    rest = text.strip()
    if rest.startswith("["):
        listed = _json_list(rest)
        if listed is not None:
            return listed
    found, at = [], 0
    while at < len(rest):
        while rest[at].isspace():
            at += 1
        quoted = rest.startswith('"', at)
        match = (_QUOTED if quoted else _BARE).match(rest, at)
        if match is None:
            raise ValueError(
                f"must close the quotes of {rest[at : at + 20]!r}…: an entry that begins with a"
                " double quote ends with one, and those inside it are doubled"
            )
        found.append(match[1].replace('""', '"') if quoted else match[1].strip())
        at = match.end()
    return [item for item in found if item.strip()]


def _json_list(text: str) -> list[str] | None:
    """``None`` for what only begins with a bracket, such as the tag ``[draft]``.

    Raises ``ValueError`` for a list that is broken.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except ValueError as error:
        if text.startswith('["'):
            raise ValueError(
                f"must be a list, its entries separated by {SEPARATORS}; it is not JSON ({error})"
            ) from None
        return None
    return found if isinstance(found, list) else None


def listed(items: Iterable[object], separator: str = ", ") -> str:
    """What ``entries`` reads as the same list."""
    return separator.join(_entry(str(item)) for item in items)


def _entry(item: str) -> str:
    plain = item == item.strip() and not re.search(r'^["[]|[,;\r\n]', item)
    return item if plain else '"' + item.replace('"', '""') + '"'


def value(kind: Kind, text: str) -> Any:
    """The value that somebody has written, ``None`` for nothing. Raises ``ValueError``."""
    if not text.strip():
        return None
    if kind is Kind.NUMBER:
        return whole(text)
    if kind is Kind.FRACTION:
        return float(number(text))
    if kind in LISTED:
        return entries(text) or None
    if kind is Kind.OBJECT:
        return json_object(text) or None
    return text.strip()


def text(kind: Kind, value: Any, separator: str = ", ") -> str:
    """What ``value`` reads as the same value. Line breaks in entries of a list become blanks."""
    if value is None:
        return ""
    if isinstance(value, list):
        return listed((re.sub(r"\r\n?|\n", " ", str(item)) for item in value), separator)
    return json.dumps(value, indent=2, ensure_ascii=False) if kind is Kind.OBJECT else str(value)


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; raises ``ValueError``."""
    found = json_value(text)
    if not isinstance(found, dict):
        raise ValueError('must be an object, written in braces: {"key": "value"}')
    return found


def json_value(text: str) -> Any:
    """Parse JSON strictly.

    Raises ``ValueError`` for invalid JSON, and for NaN and infinities, which JSON does not have.
    """

    def refuse(word: str) -> Any:
        raise ValueError(f"holds {word}, which is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise ValueError("is nested too deep") from error
