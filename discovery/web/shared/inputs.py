"""Forms of metadata fields on pages: their current values, entered values and errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.http import QueryDict

from discovery.engine.core.fields import Kind
from discovery.field_forms import Words, form_field
from discovery.services.core import written
from discovery.services.core.form_stamps import stamp
from discovery.web.shared.fields import Field

#: Kinds of a value in an object's row, as the form names them.
KINDS = (
    ("text", "Text"),
    ("number", "Number"),
    ("boolean", "Yes or no"),
    ("list", "List"),
    ("json", "JSON"),
)

#: An object with more entries is written as one piece of JSON, as is one whose names do not fit
#: into a line: rows past that help nobody, and a request has room for 1,000 fields.
MAX_ROWS = 40

_YES, _NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})
_BREAKS = re.compile(r"\r\n?|\n")
_PARTS = ("key", "kind", "value")


@dataclass(slots=True)
class EntryRow:
    """One entry of an object, as it is written."""

    key: str = ""
    kind: str = "text"
    value: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.key.strip() and not self.value.strip()


@dataclass(slots=True)
class Shape:
    """An object as a form shows it: in rows, or as one piece of JSON."""

    rows: list[EntryRow] = field(default_factory=list)
    text: str = ""
    as_json: bool = False


class Rows(forms.Widget):
    """``NAME-key``, ``-kind`` and ``-value`` for each row, or all of it in ``NAME-json``."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[EntryRow] | str:
        if f"{name}-json" in data:
            return str(data[f"{name}-json"])
        columns = [data.getlist(f"{name}-{part}") for part in _PARTS]
        return [EntryRow(*parts) for parts in zip(*columns, strict=False)]


class ObjectField(forms.Field):
    """An object; ``None`` for an empty one."""

    widget = Rows

    def prepare_value(self, value: Any) -> Shape:
        if isinstance(value, str):
            return Shape(text=value, as_json=True)
        if isinstance(value, list):
            return Shape(rows=value)
        entries = value if isinstance(value, Mapping) else {}
        rows = [_row(str(key), item) for key, item in entries.items()]
        if len(entries) > MAX_ROWS or not _fit(rows):
            return Shape(text=written.text(Kind.OBJECT, entries), as_json=True)
        return Shape(rows=[*rows, EntryRow()])

    def to_python(self, value: Any) -> Any:
        try:
            if isinstance(value, str):
                return written.value(Kind.OBJECT, value)
            return (_entries(value) if isinstance(value, list) else value) or None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial) != self.to_python(data))
        except forms.ValidationError:
            return True


class FieldsForm(forms.Form):
    """The fields of ``specs``, filled with ``values`` or with what was sent.

    ``was-NAME`` goes out with each field that is shown filled: the stamp of what it shows, which
    tells when it comes back whether somebody has touched it.
    """

    def __init__(
        self,
        specs: Iterable[Field],
        data: QueryDict | None = None,
        values: Mapping[str, Any] | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(data, initial=dict(values or {}), prefix=prefix)
        for spec in specs:
            self.fields[spec.name] = self.field_of(spec)

    def field_of(self, spec: Field) -> forms.Field:
        if spec.kind is Kind.OBJECT:
            return ObjectField(required=False)
        return form_field(spec.kind, spec.choices, separator="\n")

    def was(self, name: str) -> str:
        """The stamp of what a field showed, or of what it shows now for the first time."""
        came_back = self.data.get(f"was-{name}")
        return self._stamp(name, self[name].value()) if came_back is None else str(came_back)

    def _stamp(self, name: str, value: Any) -> str:
        """Of a value as its field reads it; one that it cannot read is like none that it showed."""
        field = self.fields[name]
        if isinstance(value, Shape):
            value = value.text if value.as_json else value.rows
        try:
            read = field.to_python(value)
        except forms.ValidationError:
            return ""
        return stamp(sorted(read or ()) if isinstance(field, Words) else read)

    def fault(self, name: str) -> str:
        """Why a field cannot be read; empty for one that can."""
        return str(self.errors[name][0]) if name in self.errors else ""

    def touched(self) -> list[str]:
        """Names of the fields that went out with the form and came back changed."""
        return [
            name
            for name in self.fields
            if f"was-{name}" in self.data and self.was(name) != self._stamp(name, self[name].data)
        ]


@dataclass(slots=True)
class Control:
    """One field of a form on a page; ``error`` is shown next to it."""

    field: Field
    input: forms.BoundField | None = None
    error: str = ""

    @property
    def is_filled(self) -> bool:
        """Whether somebody has entered something."""
        bound = self.input
        return (
            bound is not None and bound.form.is_bound and self.field.name in bound.form.changed_data
        )

    @property
    def was(self) -> str:
        """The stamp of what the field showed originally."""
        bound = self.input
        assert bound is not None
        return cast("FieldsForm", bound.form).was(self.field.name)


def controls(form: FieldsForm, specs: Sequence[Field]) -> list[Control]:
    return [Control(spec, form[spec.name]) for spec in specs]


def with_a_row(data: QueryDict, name: str) -> QueryDict:
    """Return the submitted data with one more row of the object ``name``."""
    more = data.copy()
    for part, value in zip(_PARTS, ("", "text", ""), strict=True):
        more.appendlist(f"{name}-{part}", value)
    return more


def _entries(rows: Iterable[EntryRow]) -> dict[str, Any]:
    """Return the entries; raises ``ValueError`` with what is wrong."""
    entries: dict[str, Any] = {}
    for number, row in enumerate(rows, 1):
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


def _fit(rows: Sequence[EntryRow]) -> bool:
    """Return whether rows can hold these entries.

    A line of text loses line breaks, and spaces at its ends.
    """
    return all(_is_entry(row.key) for row in rows)


def _row(key: str, item: Any) -> EntryRow:
    if isinstance(item, bool):
        return EntryRow(key, "boolean", "yes" if item else "no")
    if isinstance(item, int | float) and written.is_number(text := json.dumps(item)):
        return EntryRow(key, "number", text)
    if isinstance(item, str):
        return EntryRow(key, "text", item)
    if isinstance(item, list) and item and all(_is_entry(each) for each in item):
        return EntryRow(key, "list", written.listed(item))
    return EntryRow(key, "json", json.dumps(item, ensure_ascii=False))


def _is_entry(item: Any) -> bool:
    """Whether it is an entry of a list that people write, and the same once they have."""
    return isinstance(item, str) and item == item.strip() != "" and not _BREAKS.search(item)


def _entry(row: EntryRow) -> Any:
    """Return the entry; raises ``ValueError`` with what the value should be."""
    text = _BREAKS.sub("\n", row.value).strip()
    if row.kind == "number":
        return written.number(text)
    if row.kind == "boolean":
        if text.lower() in _YES | _NO:
            return text.lower() in _YES
        raise ValueError("must be yes or no")
    if row.kind == "list":
        return written.entries(text)
    if row.kind == "json":
        return written.json_value(text)
    if row.kind == "text":
        return text
    raise ValueError("has a kind that is not offered")
