"""Parse a table or a list of documents, a row at a time.

Each row gives a model, its values, and its errors.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from discovery.engine.core import json_items
from discovery.engine.core.text import clean, nearest, plural
from discovery.engine.identify.document import CATEGORIES
from discovery.services.transfer import cells as spreadsheet
from discovery.services.transfer import exports
from discovery.services.transfer.cells import FIELDS

#: Parts of a model document that tell and are not read back.
TOLD = frozenset(
    {
        *exports.COLUMNS, "category", "dtype", "bits_per_weight", "memory", "variants",
        "last_seen_at", "groups", "sources", "evidence", "problems",
    }
)  # fmt: skip
_DELIMITERS = ",;\t"
MAX_CELL = 4 << 20


class UnreadableFile(Exception):
    """The file is not a table or a list of models; the text says where and what to do."""


@dataclass(slots=True)
class ImportRow:
    """``number`` is that of the spreadsheet, or of the item in the list.

    ``values`` are those the row gives; ``stamps`` those of the export.

    ``errors`` are (field, what is wrong); an empty field means the row itself.
    """

    number: int
    model_id: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, str] | None = None
    errors: list[tuple[str, str]] = field(default_factory=list)


def rows(file: IO[bytes]) -> Iterator[ImportRow]:
    """The rows of an open file, from its beginning. Raises ``UnreadableFile``."""
    file.seek(0)
    start = file.read(4_096)
    file.seek(0)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile("The file is UTF-16. Save it as “CSV UTF-8”, then try again.")
    if not start.strip():
        raise UnreadableFile("The file is empty.")
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    number = 0
    try:
        reading = (
            _json_rows(text)
            if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{")
            else _csv_rows(text)
        )
        for row in reading:
            number = row.number
            yield row
    except UnicodeDecodeError:
        raise UnreadableFile(
            f"The file is not UTF-8, somewhere after row {number}. Save it as “CSV UTF-8”, then try"
            " again."
        ) from None
    finally:
        text.detach()


def _csv_rows(text: io.TextIOWrapper) -> Iterator[ImportRow]:
    csv.field_size_limit(MAX_CELL)
    first = text.readline()
    text.seek(0)
    delimiter = next(
        (
            mark
            for mark in _DELIMITERS
            if "model_id" in next(csv.reader([first], delimiter=mark), [])
        ),
        None,
    )
    if delimiter is None:
        raise UnreadableFile(
            "The first row must name the columns, model_id among them. Begin with an export: it has"
            " them all."
        )
    table = csv.reader(text, delimiter=delimiter)
    number = 0
    try:
        header = [name.strip() for name in next(table)]
        _check(header)
        for number, cells in enumerate(table, 2):
            if any(cells):
                yield _csv_row(number, header, cells)
    except csv.Error as error:
        raise UnreadableFile(
            f"The table cannot be read after row {max(number, 1)}: {error}."
        ) from error


def _check(header: list[str]) -> None:
    for name in header:
        if name not in TOLD:
            near = nearest(name, exports.COLUMNS)
            hint = (
                f" Did you mean {near}?"
                if near
                else " Remove the column, or give it the name of a field."
            )
            raise UnreadableFile(f"There is no field for the column {clean(name, 60)!r}.{hint}")
        if header.count(name) > 1:
            raise UnreadableFile(f"The column {name} stands there twice.")


def _csv_row(number: int, header: list[str], cells: list[str]) -> ImportRow:
    row = ImportRow(number)
    if len(cells) != len(header):
        row.errors.append(
            (
                "",
                (
                    f"has {plural(len(cells), 'cell')} where the first row has {len(header)}: is"
                    " the file cut off, or a quote missing?"
                ),
            )
        )
    given = dict(zip(header, cells, strict=False))
    row.model_id = spreadsheet.unescaped(given.get("model_id", "")).strip()
    for name in sorted(given, key=lambda each: each != "stamps"):
        try:
            if name == "stamps":
                row.stamps = spreadsheet.read_stamps(given[name])
            elif name in FIELDS:
                exported = (row.stamps or {}).get(name)
                row.values[name] = spreadsheet.value(name, given[name], exported)
        except ValueError as error:
            row.errors.append((name, str(error)))
    return row


def _json_rows(text: io.TextIOWrapper) -> Iterator[ImportRow]:
    number = 0
    try:
        for number, item in enumerate(json_items.items(text), 1):
            yield _json_row(number, item)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise UnreadableFile(
            f"The file cannot be read as JSON: {clean(str(error), 300)}."
        ) from error


def _json_row(number: int, item: Any) -> ImportRow:
    row = ImportRow(number)
    if not isinstance(item, Mapping):
        row.errors.append(("", "is not an object with a model_id"))
        return row
    model_id = item.get("model_id")
    row.model_id = model_id if isinstance(model_id, str) else ""
    given = dict(item)
    category = given.pop("category", None)
    if isinstance(category, Mapping):
        given |= {name: category[name] for name in CATEGORIES if name in category}
        row.errors += [
            (f"category.{clean(str(name), 60)}", "is not a part of a category")
            for name in category
            if name not in CATEGORIES
        ]
    elif category is not None:
        row.errors.append(("category", f"must be an object with {', '.join(CATEGORIES)}"))
    stamps = given.pop("stamps", None)
    if isinstance(stamps, Mapping):
        row.stamps = {str(name): str(mark) for name, mark in stamps.items()}
    row.values = {name: given[name] for name in FIELDS if name in given}
    row.errors += [
        (clean(str(name), 60), "is not a field of a model") for name in given if name not in TOLD
    ]
    return row


def shown(value: Any) -> str:
    """A value as a report shows it, in one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clean(text, 300)
