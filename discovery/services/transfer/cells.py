"""Values of model documents as cells of a spreadsheet, and back, exactly.

Lists are written ``a; b`` as everywhere (``services.core.written``), objects as JSON. A text that a
spreadsheet would take for a formula gets an apostrophe in front, which is taken off again; texts
that begin with apostrophes before such a sign get one more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from discovery.engine.core import fields as catalogue
from discovery.engine.core.fields import Kind, grouped
from discovery.engine.identify.document import LISTS
from discovery.services.core import written

#: Fields that can be exported and imported, in the order of the columns: that of the Metadata tab.
FIELDS: tuple[str, ...] = (
    *(field.name for fields in grouped().values() for field in fields if field.editable),
    "visibility",
)

#: What spreadsheets take for the beginning of a formula, full-width signs included.
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
_STAMP = re.compile(r"[a-z_]+=[0-9a-f]{8}")


def escaped(text: str) -> str:
    """``text`` as no spreadsheet runs it."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: str) -> str:
    return cell[1:] if _ESCAPED.match(cell) else cell


def cell(field: str, value: Any) -> str:
    """Format ``value`` of a document field as a cell; empty for an unknown value."""
    if value is None or value == [] or value == {}:
        return ""
    if field in LISTS and isinstance(value, list):
        return escaped(written.listed(value, "; "))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return escaped(str(value))


def value(field: str, cell: str, exported: str | None = None) -> Any:
    """Return the value of a cell, ``None`` for an empty one.

    ``exported`` is the stamp of its export. Raises ``ValueError`` with what it should have been.
    """
    text = unescaped(cell)
    # Earlier exports separated by semicolons alone; a list that nobody touched stays whole.
    if field in LISTS and exported:
        earlier = [item.strip() for item in text.split(";") if item.strip()]
        if exported == stamp(earlier):
            return earlier
    kind = catalogue.FIELDS[field].kind if field in catalogue.FIELDS else Kind.CHOICE
    if kind in _AS_IT_STANDS:
        return text if text.strip() else None
    return written.value(kind, text)


#: Kinds whose text is kept with its blanks.
_AS_IT_STANDS = frozenset({Kind.TEXT, Kind.LONG, Kind.CHOICE})


def stamp(value: Any) -> str:
    """Return the stamp of a value that an export stores.

    An import uses it to tell edited values from those that the files have changed since.
    """
    plain = value.replace("\r\n", "\n") if isinstance(value, str) else value
    return blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=4).hexdigest()


def stamps(values: Mapping[str, Any]) -> dict[str, str]:
    """Return {field: stamp} of the fields that have a value."""
    return {
        name: stamp(value)
        for name, value in values.items()
        if not (value is None or value == "" or value == [] or value == {})
    }


def stamps_cell(stamped: Mapping[str, str]) -> str:
    return " ".join(f"{name}={mark}" for name, mark in stamped.items())


def read_stamps(cell: str) -> dict[str, str]:
    """Parse the stamps; raises ``ValueError`` for what no export has written."""
    parts: Iterable[str] = cell.split()
    if not all(_STAMP.fullmatch(part) for part in parts):
        raise ValueError(
            "is not as it was exported: leave the column as it is, or delete the whole column"
        )
    return dict(part.split("=") for part in parts)
