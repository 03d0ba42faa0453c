"""What a form holds of one field: filled from a value or from what was sent, and read back into a value."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django.http import QueryDict

from discovery.web.fields import Field

#: Kinds of a value in an object's row, as the form names them.
KINDS = (
    ("text", "Text"),
    ("number", "Number"),
    ("boolean", "Yes or no"),
    ("list", "List"),
    ("json", "JSON"),
)

#: An object with more entries is written as one piece of JSON: rows past that help nobody, and a request has room for 1,000 fields.
MAX_ROWS = 40
BLANK_ROWS = 1

_YES, _NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})
_BREAKS = re.compile(r"\r\n?|\n")


@dataclass(slots=True)
class Row:
    """One entry of an object, as it is written."""

    key: str = ""
    kind: str = "text"
    value: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.key.strip() and not self.value.strip()


@dataclass(slots=True)
class Input:
    """The widget of one field. ``as_json``: the object is written as one piece. ``error`` is said beside it."""

    field: Field
    text: str = ""
    ticked: list[str] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    as_json: bool = False
    error: str = ""

    @classmethod
    def of(cls, spec: Field, value: Any) -> Input:
        """Filled with a value; ``None`` leaves it empty."""
        if spec.kind == "object":
            entries = value if isinstance(value, Mapping) else {}
            if len(entries) > MAX_ROWS:
                return cls(
                    spec, text=json.dumps(entries, indent=2, ensure_ascii=False), as_json=True
                )
            return cls(
                spec,
                rows=[_row(str(key), item) for key, item in entries.items()] + [Row()] * BLANK_ROWS,
            )
        items = (
            [str(item) for item in value]
            if isinstance(value, list)
            else []
            if value is None
            else [str(value)]
        )
        if spec.kind == "words":
            return cls(spec, ticked=items)
        return cls(
            spec,
            text="\n".join(_BREAKS.sub(" ", item) for item in items)
            if spec.kind == "list"
            else "".join(items),
        )

    @classmethod
    def sent(cls, spec: Field, data: QueryDict) -> Input:
        """What somebody has entered, good or not."""
        if spec.kind == "words":
            return cls(spec, ticked=data.getlist(spec.name))
        if spec.kind == "object" and f"{spec.name}-json" in data:
            return cls(spec, text=data.get(f"{spec.name}-json", ""), as_json=True)
        if spec.kind == "object":
            columns = [data.getlist(f"{spec.name}-{part}") for part in ("key", "kind", "value")]
            return cls(spec, rows=[Row(*parts) for parts in zip(*columns, strict=False)])
        return cls(spec, text=_BREAKS.sub("\n", data.get(spec.name, "")))

    def value(self) -> Any:
        """The value as ``metadata.edit`` takes it; ``None`` for an empty field. Raises ``ValueError`` with what is wrong."""
        kind = self.field.kind
        if kind == "words":
            return self.ticked or None
        if kind == "object":
            return (_object(self.text) if self.as_json else self._entries()) or None
        text = self.text.strip()
        if kind == "list":
            return [line.strip() for line in text.split("\n") if line.strip()] or None
        if kind == "number":
            return _whole(text) if text else None
        return text or None

    def _entries(self) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for number, row in enumerate(self.rows, 1):
            if row.is_blank:
                continue
            key = row.key.strip()
            if not key:
                raise ValueError(f"row {number} has a value and no name")
            if key in entries:
                raise ValueError(f"{key[:40]} is there twice")
            try:
                entries[key] = _entry(row)
            except ValueError as error:
                raise ValueError(f"{key[:40]} {error}") from error
        return entries

    @property
    def mark(self) -> str:
        """Tells whether somebody has touched the field: it goes out with the form and comes back."""
        try:
            return blake2b(
                json.dumps(self.value(), sort_keys=True).encode(), digest_size=8
            ).hexdigest()
        except (ValueError, RecursionError):
            return "?"


def _row(key: str, item: Any) -> Row:
    if isinstance(item, bool):
        return Row(key, "boolean", "yes" if item else "no")
    if isinstance(item, int | float):
        return Row(key, "number", json.dumps(item))
    if isinstance(item, str):
        return Row(key, "text", item)
    if (
        isinstance(item, list)
        and item
        and all(
            isinstance(each, str) and each == each.strip() and each and "," not in each
            for each in item
        )
    ):
        return Row(key, "list", ", ".join(item))
    return Row(key, "json", json.dumps(item, ensure_ascii=False))


def _entry(row: Row) -> Any:
    """Raises ``ValueError`` with what the value should be."""
    text = _BREAKS.sub("\n", row.value).strip()
    if row.kind == "number":
        return _number(text)
    if row.kind == "boolean":
        if text.lower() in _YES | _NO:
            return text.lower() in _YES
        raise ValueError("must be yes or no")
    if row.kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if row.kind == "json":
        return _json(text)
    if row.kind == "text":
        return text
    raise ValueError("has a kind that is not offered")


def _number(text: str) -> int | float:
    plain = re.sub(r"(?<=\d)[ _\u202f\u00a0](?=\d{3})", "", text)
    plain = plain.replace(",", "") if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", plain) else plain
    if not re.fullmatch(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", plain, re.ASCII):
        raise ValueError("must be a number")
    return int(plain) if re.fullmatch(r"-?\d+", plain) else float(plain)


def _whole(text: str) -> int:
    try:
        number = _number(text)
    except ValueError:
        number = -1
    if not float(number).is_integer() or number <= 0:
        raise ValueError("must be a whole number above zero")
    return int(number)


def _object(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    value = _json(text)
    if not isinstance(value, dict):
        raise ValueError("must be an object, written in braces")
    return value


def _json(text: str) -> Any:
    def refuse(word: str) -> Any:
        raise ValueError(f"holds {word}, which is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise ValueError("is nested too deep") from error
