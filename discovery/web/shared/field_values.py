"""The known values of a model, field by field, each with its source.

They are rows for the page; unknown values are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discovery.engine.core import fields
from discovery.engine.core.vocabulary import family_name
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.templatetags.karen import format_name, parameters
from discovery.web import evidence
from discovery.words import FIELD_LABELS

#: Objects are shown as tables of their own, under what they are called.
OBJECTS = {name: FIELD_LABELS[name] for name in fields.names(fields.Kind.OBJECT)}

#: Fields with a value of their own, in the order of the page.
SIMPLE = tuple(
    name for name, each in fields.FIELDS.items() if name not in OBJECTS and not each.hosted
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One row.

    ``value`` is text, or pairs of name and value for an object; ``note`` is shown next to it.
    """

    field: str
    label: str
    value: str | list[tuple[str, Any]]
    source: str
    edited: bool = False
    note: str = ""
    hint: str = ""

    @property
    def nested(self) -> bool:
        return isinstance(self.value, list)


def facts(record: RegisteredModel, sight: Sight) -> list[Fact]:
    """Rows for simple fields. Two say more in one row: active parameters, bits per weight."""
    shown = [
        _fact(record, field, FIELD_LABELS[field], sight)
        for field in SIMPLE
        if not _said_elsewhere(record, field)
    ]
    return [fact for fact in shown if fact]


def objects(record: RegisteredModel, sight: Sight) -> list[Fact]:
    """One entry for each object that holds something; its values are rows of their own."""
    return [
        fact for field, label in OBJECTS.items() if (fact := _fact(record, field, label, sight))
    ]


def _said_elsewhere(record: RegisteredModel, field: str) -> bool:
    if field == "active_parameter_count":
        return bool(record.value("parameter_count"))
    if field in ("input_modalities", "output_modalities"):
        return field not in record.curated and " → " in evidence.modalities(record)
    return field == "bits_per_weight" and bool(
        record.value("quantization") or record.value("dtype")
    )


def _fact(record: RegisteredModel, field: str, label: str, sight: Sight) -> Fact | None:
    entry = record.curated.get(field) or record.extracted.get(field)
    value = shown(field, entry["value"]) if entry else None
    if value and field == "modalities":
        value = _flow(record) or value
    if not entry or not value:
        return None
    if "by" in entry:
        read = record.extracted.get(field)
        hint = (
            f"The files say: {shown(field, read['value'])}"
            if read and isinstance(value, str)
            else "No value detected"
        )
        return Fact(
            field,
            label,
            value,
            sight.edited(entry["by"]),
            edited=True,
            note=_note(record, field),
            hint=hint,
        )
    return Fact(field, label, value, str(entry.get("source", "")), note=_note(record, field))


def _flow(record: RegisteredModel) -> str:
    """What goes in and what comes out, in one row."""
    shown = evidence.modalities(record)
    return f"{shown[0].upper()}{shown[1:]}" if " → " in shown else ""


def _note(record: RegisteredModel, field: str) -> str:
    active = record.value("active_parameter_count")
    if field == "parameter_count" and active:
        return f"{parameters(active)} active"
    bits = record.value("bits_per_weight")
    carrier = "quantization" if record.value("quantization") else "dtype"
    return f"{bits:g} bits/weight" if field == carrier and bits else ""


def shown(field: str, value: Any) -> str | list[tuple[str, Any]] | None:
    if isinstance(value, Mapping):
        return _pairs(value)
    if field in ("parameter_count", "active_parameter_count"):
        return parameters(value)
    if field == "format":
        return format_name(value)
    if field == "model_family":
        return family_name(str(value))
    of = fields.FIELDS.get(field)
    if of and (of.words or of.suggested):
        items = value if isinstance(value, list) else [value]
        return ", ".join(of.said(str(item)) for item in items)
    return plain(value)


def _pairs(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and values; an object inside becomes pairs again."""
    shown = [
        (str(name), _pairs(item) if isinstance(item, Mapping) else plain(item))
        for name, item in value.items()
    ]
    return [(name, item) for name, item in shown if item]


def plain(value: Any) -> str:
    """Format a JSON value for people; empty for an unknown value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return (
            f"{value:,.4f}".rstrip("0").rstrip(".") if 1e-4 <= abs(value) < 1e15 else f"{value:g}"
        )
    if isinstance(value, list):
        return ", ".join(text for item in value if (text := plain(item)))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {plain(item)}" for name, item in value.items())
    return str(value)
