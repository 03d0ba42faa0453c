"""The model document and its summary (contract, section 5), as the API promises them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import Field, create_model

from discovery.engine.core import fields
from discovery.engine.core.vocabulary import AXES, Fits, Severity, Status, Visibility


class Category(Schema):
    primary: str | None
    secondary: str | None
    specialization: str | None


class Memory(Schema):
    """What loading takes, in bytes.

    ``at_least`` names the terms that are not known and missing from the sum.
    """

    weights_bytes: int | None
    kv_cache_bytes: int | None
    overhead_bytes: int | None
    projector_bytes: int | None
    total_bytes: int | None
    at_least: list[str]
    context_length: int | None
    kv_type: str
    fits: Fits | None = Field(description="On this machine; null where that is not known.")


class Variant(Schema):
    """What a program loads."""

    name: str
    path: str | None
    format: str | None
    quantization: str | None
    bits_per_weight: float | None
    dtype: str | None
    size_bytes: int | None
    memory: Memory
    status: str | None


class Source(Schema):
    source: str
    curated: bool


class EvidenceItem(Schema):
    """Why a verdict was reached: the rule, what it matched, where, and how much it counts."""

    rule: str
    matched: str
    where: str
    weight: float


class Problem(Schema):
    code: str
    message: str
    path: str
    severity: Severity
    offset: int | None = None


def _type(field: fields.Field) -> Any:
    """The type of a field's value in a document."""
    kind: Any = _TYPES.get(field.kind, str)
    return kind | None if field.kind in fields.SINGLE and not field.known else kind


_TYPES: dict[fields.Kind, Any] = {
    fields.Kind.NUMBER: int,
    fields.Kind.FRACTION: float,
    fields.Kind.LIST: list[str],
    fields.Kind.WORDS: list[str],
    fields.Kind.OBJECT: dict[str, Any],
}


def _described(among: Iterable[fields.Field]) -> dict[str, Any]:
    """The fields of the catalogue in a document; those of the categories are one object."""
    return {
        **{each.name: (_type(each), ...) for each in among if each.name not in AXES},
        "category": (Category, ...),
    }


#: Fields of the catalogue that a row of the list has.
SUMMARY = tuple(each for each in fields.FIELDS.values() if each.summary)

_PLACE: dict[str, Any] = {
    "model_id": (str, ...),
    "name": (str, ...),
    "path": (str, ...),
    "root": (str, ...),
    "status": (Status, ...),
}
_FILES: dict[str, Any] = {
    "size_bytes": (int, ...),
    "file_count": (int, ...),
    "modified_at": (datetime | None, ...),
    "added_at": (datetime, ...),
    "visibility": (Visibility, ...),
}

Summary: type[Schema] = create_model(
    "Summary",
    __base__=Schema,
    __doc__="A row of the list. Unknown is `null` or an empty list.",
    **_PLACE,
    **_described(SUMMARY),
    **_FILES,
    memory_bytes=(
        int | None,
        Field(description="What loading the first variant takes at its own context length."),
    ),
)

#: Name of the variable that holds a server's key: written here, told nowhere.
_UNTOLD = "api_key_variable"

_MORE: dict[str, Any] = {
    "memory": (Memory, ...),
    "variants": (list[Variant], ...),
    "last_seen_at": (datetime | None, ...),
    "groups": (list[str], ...),
    "sources": (dict[str, Source], ...),
    "evidence": (dict[str, list[EvidenceItem]], ...),
    "problems": (list[Problem], ...),
}
ModelDocument: type[Schema] = create_model(
    "ModelDocument",
    __base__=Schema,
    __doc__="Everything that is known about a model, and where each value comes from.",
    **_PLACE,
    **_described(each for each in fields.FIELDS.values() if each.name != _UNTOLD),
    **_FILES,
    **_MORE,
)
