"""Read the forms of the bulk page.

The result is an operation, or errors for the fields.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.http import QueryDict

from discovery.engine.core.fields import DESCRIPTION, FIELDS, HOW, Field, Kind
from discovery.engine.core.vocabulary import AXES
from discovery.models import Collection, Visibility
from discovery.services.bulk.operations import NothingToDo, Operation
from discovery.services.core import written
from discovery.services.metadata import metadata
from discovery.web.shared.changes import label
from discovery.web.shared.fields import FIELDS as WIDGETS
from discovery.web.shared.fields import Field as WidgetField
from discovery.web.shared.inputs import Control, FieldsForm

AUTOMATIC = "automatic"


def _part(of: Field) -> int:
    return 2 if of.kind is Kind.OBJECT else int(of.group != DESCRIPTION or of.known)


#: Parts of the metadata form: what many models share first, what files say about each themselves
#: last.
SHARED, FACTS, OBJECTS = (
    tuple(
        each.name
        for each in FIELDS.values()
        if each.editable and "bulk" not in each.not_in and part == _part(each)
    )
    for part in range(3)
)

#: Why a field is not among them → the fields.
LEFT_OUT = {
    reason: [each.label for each in FIELDS.values() if each.not_in.get("bulk") == reason]
    for field in FIELDS.values()
    if (reason := field.not_in.get("bulk"))
}

#: Kind of bulk edit → the fields of its form; visibility stands beside the catalogue.
_SPECS: Mapping[str, Sequence[WidgetField]] = {
    "metadata": [WIDGETS[name] for name in (*SHARED, *FACTS, *OBJECTS)],
    "category": [WIDGETS[name] for name in AXES],
    "visibility": [
        WidgetField(
            "visibility",
            label("visibility"),
            Kind.CHOICE,
            choices=(
                (AUTOMATIC, "Automatic"),
                *((value, str(said)) for value, said in Visibility.choices),
            ),
        )
    ],
}

_HELP: Mapping[str, str] = {
    "list": f"{HOW[Kind.LIST]} Replaces the whole list.",
    "object": (
        "One “name: value” on each line, merged into what stands. A name without a value goes."
    ),
}


class Pairs(forms.Field):
    """An object as ``name: value`` lines.

    Values that are valid JSON are read as JSON, others as text.
    """

    def to_python(self, value: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, line in enumerate(re.split(r"\r\n?|\n", value or ""), 1):
            name, colon, given = line.partition(":")
            if line.strip() and not (colon and name.strip()):
                raise forms.ValidationError(f"line {number} is not name: value")
            if line.strip():
                found[name.strip()] = _scalar(given.strip())
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((data or "").strip())


class BulkForm(FieldsForm):
    """The values to give to many models: ``f-NAME``."""

    def field_of(self, spec: WidgetField) -> forms.Field:
        if spec.kind is Kind.OBJECT:
            return Pairs(required=False)
        return super().field_of(spec)


@dataclass(slots=True)
class Entry(Control):
    """One field, and whether it is to be returned to automatic."""

    automatic: bool = False

    @property
    def id(self) -> str:
        return f"f-{self.field.name}"

    @property
    def is_used(self) -> bool:
        return bool(self.is_filled or self.automatic or self.error)

    @property
    def help(self) -> str:
        return _HELP.get(self.field.kind, "")

    def wanted(self, form: FieldsForm) -> dict[str, Any]:
        """The field and its value; nothing when it is to stay as it is. Raises ``ValueError``."""
        name = self.field.name
        if self.automatic and self.is_filled:
            raise ValueError("either a value or back to automatic, not both")
        if self.automatic:
            return {name: None}
        if reason := form.fault(name):
            raise ValueError(reason)
        value = form.cleaned_data[name]
        if value == AUTOMATIC and self.field.kind is Kind.CHOICE:
            return {name: None}
        return {name: value} if value else {}


@dataclass(slots=True)
class Form:
    """The forms of the bulk page.

    ``entries`` belong to the metadata and category forms; ``memberships`` maps a pseudo-field to
    (name, choice, id) of each collection or group.
    """

    kind: str
    fields: FieldsForm
    entries: dict[str, Entry] = field(default_factory=dict)
    memberships: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    mode: str = "change"
    add: str = ""
    remove: str = ""
    replacement: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    def operation(self) -> Operation:
        """Return the operation; raises ``metadata.InvalidMetadata``, ``NothingToDo``."""
        if self.kind == "tags":
            try:
                return self._tags()
            except ValueError as error:
                raise metadata.InvalidMetadata({"tags": str(error)}) from error
        values: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for entry in self.entries.values():
            try:
                values |= entry.wanted(self.fields)
            except ValueError as error:
                faults[entry.field.name] = str(error)
        # Together with what is wrong with the other values, so that all of it can be mended at
        # once.
        if faults:
            with contextlib.suppress(NothingToDo):
                faults = self._faults(values) | faults
            raise metadata.InvalidMetadata(faults)
        return Operation.read(
            self.kind, values=values, add=self._chosen("add"), remove=self._chosen("remove")
        )

    def _faults(self, values: dict[str, Any]) -> dict[str, str]:
        try:
            Operation.read(self.kind, values=values)
        except metadata.InvalidMetadata as error:
            return error.errors
        return {}

    @property
    def sections(self) -> list[tuple[str, list[Entry], bool]]:
        """The metadata form as (title, fields, whether it is open).

        The first section has no title and is always open.
        """
        parts = (
            ("", SHARED),
            ("What files usually say themselves", FACTS),
            ("Metrics, requirements, settings and other fields", OBJECTS),
        )
        shown = [(title, [self.entries[name] for name in names]) for title, names in parts]
        return [
            (title, entries, any(entry.is_used for entry in entries)) for title, entries in shown
        ]

    @property
    def how(self) -> str:
        """How its lists are written."""
        return HOW[Kind.LIST]

    @property
    def left_out(self) -> Mapping[str, list[str]]:
        """{reason: labels} of the fields that this form leaves out."""
        return LEFT_OUT

    @property
    def removed(self) -> list[str]:
        """The tags to remove, as far as they can be read."""
        with contextlib.suppress(ValueError):
            return written.entries(self.remove)
        return []

    def _chosen(self, how: str) -> dict[str, list[str]]:
        return {
            name: [each for each, choice, _ in rows if choice == how]
            for name, rows in self.memberships.items()
        }

    def _tags(self) -> Operation:
        if self.mode == "replace":
            return Operation.read("tags", values={"tags": written.entries(self.replacement)})
        if self.mode == AUTOMATIC:
            return Operation.read("tags", values={"tags": None})
        return Operation.read(
            "tags",
            add={"tags": written.entries(self.add)},
            remove={"tags": written.entries(self.remove)},
        )

    def blame(self, errors: Mapping[str, str]) -> None:
        """Put errors at their fields; those without a field stay in ``errors``."""
        for name, reason in errors.items():
            if name in self.entries:
                self.entries[name].error = reason
            else:
                self.errors[label(name)] = reason


def read(kind: str, sent: QueryDict) -> Form:
    """The form as it was sent; of the first visit, empty."""
    specs = _SPECS.get(kind, ())
    fields, automatic = BulkForm(specs, sent, prefix="f"), sent.getlist(AUTOMATIC)
    form = Form(kind, fields)
    form.entries = {
        spec.name: Entry(spec, fields[spec.name], automatic=spec.name in automatic)
        for spec in specs
    }
    if kind == "visibility":
        form.memberships = {
            "groups": _memberships(
                "groups", list(Group.objects.order_by("name").values_list("pk", "name")), sent
            )
        }
    elif kind == "collection":
        rows = Collection.objects.filter(query="").order_by("name").values_list("pk", "name")
        form.memberships = {"collections": _memberships("collections", list(rows), sent)}
    elif kind == "tags":
        form.mode = (
            sent.get("mode", "")
            if sent.get("mode") in ("change", "replace", AUTOMATIC)
            else "change"
        )
        form.add, form.replacement = sent.get("add", ""), sent.get("replacement", "")
        form.remove = sent.get("remove", "")
        if ticked := sent.getlist("remove-tag"):
            form.remove = written.listed(dict.fromkeys([*form.removed, *ticked]))
    return form


def _memberships(
    name: str, rows: list[tuple[int, str]], sent: QueryDict
) -> list[tuple[str, str, str]]:
    ids = [(f"{name}-{pk}", said) for pk, said in rows]
    return [
        (said, choice if (choice := sent.get(key, "")) in ("add", "remove") else "", key)
        for key, said in ids
    ]


def _scalar(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
    except RecursionError as error:
        raise forms.ValidationError("a value is nested too deep") from error
