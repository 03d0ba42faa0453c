"""``metadata.json``: the fields that an administrator writes for a model.

Unknown ones are kept under ``custom``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from discovery.engine.core.fields import FIELDS, Field, Kind
from discovery.engine.core.text import clean, positive, storable, strings

NAME = "metadata.json"

#: What people may write; every other key is kept under ``custom``.
KEYS = frozenset(name for name, each in FIELDS.items() if each.editable and not each.hosted)

#: Fields that files of other tools have too: alone among many unknown ones they are theirs.
_SHARED = frozenset(
    {"name", "description", "license", "author", "version", "type", "tags", "architecture",
     "quantization", "base_model"}
)  # fmt: skip
_OWN = frozenset({*KEYS, "custom"}) - _SHARED

#: Facts of the files and the registry: nobody sets them here.
_RESERVED = frozenset(
    {
        "model_id",
        "id",
        "path",
        "root",
        "status",
        "size_bytes",
        "sources",
        "evidence",
        "__proto__",
        "constructor",
        "prototype",
    }
)


def is_ours(data: Mapping[str, Any]) -> bool:
    """Whether the file describes a model in our format: other tools use the name too."""
    shared = sum(key in _SHARED for key in data)
    unknown = sum(key not in _SHARED and key not in _RESERVED for key in data)
    return not _OWN.isdisjoint(data) or (shared > 0 and unknown <= shared)


def fields(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(fields, complaints): each complaint names a key whose value has the wrong type and what it
    should be.

    ``custom`` holds unknown keys too; in the object ``custom`` itself, ``null`` says that there is
    no such field, whatever other files hold.
    """
    found: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    complaints: list[str] = []
    for key, value in data.items():
        if value is None:
            continue
        if key in _RESERVED:
            complaints.append(f"{clean(key, 40)} cannot be set in metadata.json")
        elif (wanted := _take(key, value, found)) is not None:
            complaints.append(f"{key} must be {wanted}")
        elif key not in found:
            custom[clean(key, 80)] = storable(value)
    given = custom.pop("custom", None)
    if isinstance(given, dict):
        custom |= given
    if custom:
        found["custom"] = custom
    return found, complaints


def _take(key: str, value: Any, found: dict[str, Any]) -> str | None:
    """Puts a known key's value into ``found``; returns what it should have been when it is not
    that.

    Other words under the name of a choice are somebody else's field, and kept like one.
    """
    if key not in KEYS or key == "custom":
        return None
    field = FIELDS[key]
    if field.kind is Kind.CHOICE:
        if isinstance(value, str) and value.upper() in field.words:
            found[key] = value.upper()
        return None
    wanted, taken = _READERS[field.kind](field, value)
    if wanted is None:
        found[key] = taken
    return wanted


def _text(field: Field, value: Any) -> tuple[str | None, Any]:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return "a text", None
    if len(str(value)) > field.limit:
        return f"a text of at most {field.limit:,} characters", None
    return None, clean(str(value), field.limit)


def _list(field: Field, value: Any) -> tuple[str | None, Any]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "a list of texts", None
    items = strings(value)
    return None, [text.upper() for text in items] if field.kind is Kind.WORDS else items


def _object(field: Field, value: Any) -> tuple[str | None, Any]:
    if not isinstance(value, dict):
        return "an object", None
    numbers = (each for each in value.values() if isinstance(each, int | float))
    if not field.below_zero and any(each < 0 for each in numbers):
        return "an object without negative numbers", None
    return None, storable(value)


def _whole(_: Field, value: Any) -> tuple[str | None, Any]:
    number = positive(value)
    return ("a whole number above zero" if number is None else None), number


def _fraction(_: Field, value: Any) -> tuple[str | None, Any]:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15
    return (None, float(value)) if fits else ("a number above zero", None)


#: Kind → (what a value should have been or ``None``, the value as it is kept).
_READERS: Mapping[Kind, Callable[[Field, Any], tuple[str | None, Any]]] = {
    Kind.TEXT: _text,
    Kind.LONG: _text,
    Kind.LIST: _list,
    Kind.WORDS: _list,
    Kind.OBJECT: _object,
    Kind.NUMBER: _whole,
    Kind.FRACTION: _fraction,
}
