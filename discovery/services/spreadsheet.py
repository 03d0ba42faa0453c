"""Values of model documents as cells of a spreadsheet, and back, exactly.

Lists are written ``a; b`` (as JSON where that would be ambiguous), objects as JSON. A text that a spreadsheet would take for a formula gets
an apostrophe in front, which is taken off again; texts that begin with apostrophes before such a sign get one more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from discovery.engine.document import LISTS, OBJECTS
from discovery.engine.sidecars.metadata_json import NUMBERS
from discovery.services.metadata import EDITABLE

_ORDER = (
    "display_name", "description", "type", "license", "author", "version", "tags", "language_support", "primary", "secondary", "specialization",
    "modalities", "input_modalities", "output_modalities", "capabilities", "use_cases", "specialized_domains", "architecture", "model_family",
    "base_model", "base_model_relation", "quantization", "parameter_count", "active_parameter_count", "context_length", "embedding_length",
    "layer_count", "vocab_size", "performance_metrics", "resource_requirements", "optimization_settings", "custom",
)  # fmt: skip
#: Fields that can be exported and imported, in the order of the columns.
FIELDS: tuple[str, ...] = (*_ORDER, *sorted(EDITABLE - set(_ORDER)), "visibility")

#: What spreadsheets take for the beginning of a formula, full-width signs included.
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
_STAMP = re.compile(r"[a-z_]+=[0-9a-f]{8}")
_WHOLE = re.compile(r"\d{1,19}(?:\.0+)?")


def escaped(text: str) -> str:
    """``text`` as no spreadsheet runs it."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: str) -> str:
    return cell[1:] if _ESCAPED.match(cell) else cell


def cell(field: str, value: Any) -> str:
    """``value`` of a document field as a cell; empty for what is unknown."""
    if value is None or value == [] or value == {}:
        return ""
    if field in LISTS and isinstance(value, list):
        return escaped(_list_cell(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return escaped(str(value))


def _list_cell(items: list[Any]) -> str:
    plain = all(
        isinstance(item, str)
        and item
        and item == item.strip()
        and ";" not in item
        and "\n" not in item
        for item in items
    )
    return (
        "; ".join(items)
        if plain and not items[0].startswith("[")
        else json.dumps(items, ensure_ascii=False)
    )


def value(field: str, cell: str) -> Any:
    """What a cell says, ``None`` for an empty one. Raises ``ValueError`` with what it should have been."""
    text = unescaped(cell)
    if not text.strip():
        return None
    if field in NUMBERS:
        if not _WHOLE.fullmatch(text.strip()):
            raise ValueError(
                "must be a whole number, in digits only: spreadsheets like to shorten long ones"
            )
        return int(text.strip().partition(".")[0])
    if field in OBJECTS:
        return _json(text, dict, 'an object like {"key": "value"}')
    if field in LISTS:
        return (
            _json(text, list, "a list: entries with semicolons between them")
            if text.startswith("[")
            else _split(text)
        )
    return text


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(";") if item.strip()]


def _json(text: str, kind: type, wanted: str) -> Any:
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"must be {wanted}; it is no JSON ({error})") from None
    if not isinstance(found, kind):
        raise ValueError(f"must be {wanted}")
    return found


def stamp(value: Any) -> str:
    """What an export remembers of a value, so that an import tells what was edited from what the files have changed since."""
    plain = value.replace("\r\n", "\n") if isinstance(value, str) else value
    return blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=4).hexdigest()


def stamps(values: Mapping[str, Any]) -> dict[str, str]:
    """{field: stamp} of those that have a value."""
    return {
        name: stamp(value)
        for name, value in values.items()
        if not (value is None or value == "" or value == [] or value == {})
    }


def stamps_cell(stamped: Mapping[str, str]) -> str:
    return " ".join(f"{name}={mark}" for name, mark in stamped.items())


def read_stamps(cell: str) -> dict[str, str]:
    """Raises ``ValueError`` for what no export has written."""
    parts: Iterable[str] = cell.split()
    if not all(_STAMP.fullmatch(part) for part in parts):
        raise ValueError(
            "is not as it was exported: leave the column as it is, or delete the whole column"
        )
    return dict(part.split("=") for part in parts)
