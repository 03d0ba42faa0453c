"""What somebody wants many models to have, as the forms of the bulk page send it: an operation, or faults beside the fields."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.models import Group
from django.http import QueryDict

from discovery.engine.describe import CAPABILITIES
from discovery.engine.document import LISTS, OBJECTS
from discovery.engine.sidecars import metadata_json
from discovery.engine.types import ModelType
from discovery.models import Collection, Visibility
from discovery.services import metadata
from discovery.services.operations import NothingToDo, Operation
from discovery.services.strictness import MODALITIES
from discovery.templatetags.karen import type_name, word
from discovery.web.changes import label

AUTOMATIC = "automatic"

#: Fields of the metadata form: what many models share first, what files say about each themselves last.
SHARED = (
    "license",
    "author",
    "version",
    "base_model",
    "language_support",
    "use_cases",
    "specialized_domains",
    "capabilities",
    "description",
)
FACTS = (
    "type", "modalities", "display_name", "model_family", "architecture", "quantization", "parameter_count", "active_parameter_count",
    "context_length",
)  # fmt: skip
AXES = ("primary", "secondary", "specialization")

_HELP = {
    "list": "Separated by commas. Replaces the whole list.",
    "object": "One “name: value” on each line, merged into what stands. A name without a value goes.",
}

_CHOICES = {"capabilities": CAPABILITIES, "modalities": MODALITIES}


@dataclass(frozen=True, slots=True)
class Entry:
    """One field as it was entered. ``kind`` is text, long, number, list, ticks, object, select; ``options`` are (value, word)."""

    name: str
    kind: str
    text: str = ""
    ticked: tuple[str, ...] = ()
    automatic: bool = False
    options: tuple[tuple[str, str], ...] = ()
    error: str = ""

    @property
    def id(self) -> str:
        return f"f-{self.name}"

    @property
    def is_used(self) -> bool:
        return bool(self.text or self.ticked or self.automatic or self.error)

    @property
    def label(self) -> str:
        return label(self.name)

    @property
    def help(self) -> str:
        return _HELP.get(self.kind, "")


@dataclass(slots=True)
class Form:
    """``entries`` of the metadata and category forms; ``memberships`` maps a pseudo-field to (name, choice, id) of each collection or group."""

    kind: str
    entries: dict[str, Entry] = field(default_factory=dict)
    memberships: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    mode: str = "change"
    add: str = ""
    remove: str = ""
    replacement: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    def operation(self) -> Operation:
        """Raises ``metadata.InvalidMetadata``, ``NothingToDo``."""
        if self.kind == "tags":
            return self._tags()
        values: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for entry in self.entries.values():
            try:
                values |= dict(_wanted(entry))
            except ValueError as error:
                faults[entry.name] = str(error)
        if faults:  # together with what is wrong with the other values, so that all of it can be mended at once
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
        """(title, fields, whether it is open) of the metadata form; the first has no title and is always open."""
        parts = (
            ("", SHARED),
            ("What files usually say themselves", FACTS),
            ("Metrics, requirements, settings and other fields", OBJECTS),
        )
        shown = [(title, [self.entries[name] for name in names]) for title, names in parts]
        return [
            (title, entries, any(entry.is_used for entry in entries)) for title, entries in shown
        ]

    def _chosen(self, how: str) -> dict[str, list[str]]:
        return {
            name: [each for each, choice, _ in rows if choice == how]
            for name, rows in self.memberships.items()
        }

    def _tags(self) -> Operation:
        if self.mode == "replace":
            return Operation.read("tags", values={"tags": split(self.replacement)})
        if self.mode == AUTOMATIC:
            return Operation.read("tags", values={"tags": None})
        return Operation.read(
            "tags", add={"tags": split(self.add)}, remove={"tags": split(self.remove)}
        )

    def blame(self, errors: Mapping[str, str]) -> None:
        """Puts faults beside their fields; what has no field of its own stays in ``errors``."""
        for name, reason in errors.items():
            if name in self.entries:
                self.entries[name] = replace(self.entries[name], error=reason)
            else:
                self.errors[label(name)] = reason


def read(kind: str, sent: QueryDict) -> Form:
    """The form as it was sent; of the first visit, empty."""
    form = Form(kind)
    if kind == "metadata":
        form.entries = {name: _entry(name, sent) for name in (*SHARED, *FACTS, *OBJECTS)}
    elif kind == "category":
        form.entries = {name: _entry(name, sent) for name in AXES}
    elif kind == "visibility":
        form.entries = {"visibility": _entry("visibility", sent)}
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
        form.remove = ", ".join(
            dict.fromkeys([*split(sent.get("remove", "")), *sent.getlist("remove-tag")])
        )
    return form


def split(text: str) -> list[str]:
    """``a, b`` or a line each."""
    return [item.strip() for item in text.replace("\n", ",").split(",") if item.strip()]


def _entry(name: str, sent: QueryDict) -> Entry:
    kind, options = _kind(name), _options(name)
    given = sent.getlist(f"f-{name}")
    if kind == "ticks":
        return Entry(
            name,
            kind,
            ticked=tuple(each for each in given if each),
            automatic=name in sent.getlist(AUTOMATIC),
            options=options,
        )
    text = given[0].replace("\r\n", "\n").strip() if given else ""
    return Entry(name, kind, text, automatic=name in sent.getlist(AUTOMATIC), options=options)


def _kind(name: str) -> str:
    if name in _CHOICES:
        return "ticks"
    if name == "type" or name in metadata.CHOICES:
        return "select"
    if name in OBJECTS:
        return "object"
    if name in LISTS:
        return "list"
    if name in metadata_json.NUMBERS:
        return "number"
    return "long" if name == "description" else "text"


def _options(name: str) -> tuple[tuple[str, str], ...]:
    if name in _CHOICES:
        return tuple((each, word(each)) for each in _CHOICES[name])
    if name == "type":
        return tuple((each.value, type_name(each.value)) for each in ModelType)
    if name == "visibility":
        return tuple((value, str(said)) for value, said in Visibility.choices)
    return tuple((each, word(each)) for each in metadata.CHOICES.get(name, ()))


def _memberships(
    name: str, rows: list[tuple[int, str]], sent: QueryDict
) -> list[tuple[str, str, str]]:
    ids = [(f"{name}-{pk}", said) for pk, said in rows]
    return [
        (said, choice if (choice := sent.get(key, "")) in ("add", "remove") else "", key)
        for key, said in ids
    ]


def _wanted(entry: Entry) -> Iterator[tuple[str, Any]]:
    """The field and its value, or nothing when it is to stay as it is. Raises ``ValueError``."""
    has_value = bool(entry.text or entry.ticked)
    if entry.automatic or (entry.text == AUTOMATIC and entry.kind == "select"):
        if entry.automatic and has_value:
            raise ValueError("either a value or back to automatic, not both")
        yield entry.name, None
    elif has_value:
        yield entry.name, _value(entry)


def _value(entry: Entry) -> Any:
    if entry.kind == "ticks":
        return list(entry.ticked)
    if entry.kind == "list":
        return split(entry.text)
    if entry.kind == "object":
        return dict(_pairs(entry.text))
    if entry.kind == "number":
        digits = entry.text.replace(",", "").replace(" ", "")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
            raise ValueError("must be a whole number above zero")
        return int(digits)
    return entry.text


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    """``name: value`` of each line; values are JSON where they can be read as such, else text."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        name, colon, given = line.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"line {number} is not name: value")
        yield name.strip(), _scalar(given.strip())


def _scalar(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
    except RecursionError as error:
        raise ValueError("a value is nested too deep") from error
