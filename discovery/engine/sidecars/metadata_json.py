"""``metadata.json``: the fields an administrator writes beside a model. Unknown ones are kept under ``custom``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.engine.rules import CATEGORIES
from discovery.engine.text import clean, positive, storable, strings
from discovery.engine.types import ModelType

TEXTS = {
    "display_name": 300, "description": 4_000, "license": 200, "author": 200, "version": 100, "architecture": 200,
    "model_family": 200, "base_model": 300, "base_model_relation": 40, "quantization": 40,
}  # fmt: skip
LISTS = ("use_cases", "specialized_domains", "language_support", "tags")
CHOICES = ("modalities", "input_modalities", "output_modalities", "capabilities")
OBJECTS = ("performance_metrics", "resource_requirements", "optimization_settings")
NUMBERS = (
    "parameter_count",
    "active_parameter_count",
    "context_length",
    "embedding_length",
    "layer_count",
    "vocab_size",
)

#: Fields with one of a few words. Other words under these names are somebody else's fields, and kept like them.
WORDS: Mapping[str, tuple[str, ...]] = {"type": tuple(ModelType), **CATEGORIES}

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


def fields(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(fields, complaints): each complaint names a key whose value has the wrong type and what it should be.

    ``custom`` holds unknown keys too; in the object ``custom`` itself, ``null`` says that there is no such field, whatever other files hold.
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
    """Puts a known key's value into ``found``; returns what it should have been when it is not that."""
    if key in TEXTS:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return "a text"
        if len(str(value)) > TEXTS[key]:
            return f"a text of at most {TEXTS[key]:,} characters"
        found[key] = clean(str(value), TEXTS[key])
    elif key in LISTS or key in CHOICES:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return "a list of texts"
        found[key] = [text.upper() for text in strings(value)] if key in CHOICES else strings(value)
    elif key in OBJECTS:
        if not isinstance(value, dict):
            return "an object"
        if key == "resource_requirements" and any(
            isinstance(n, int | float) and n < 0 for n in value.values()
        ):
            return "an object without negative numbers"
        found[key] = storable(value)
    elif key in WORDS and isinstance(value, str) and value.upper() in WORDS[key]:
        found[key] = value.upper()
    elif key in NUMBERS:
        if positive(value) is None:
            return "a whole number above zero"
        found[key] = positive(value)
    return None
