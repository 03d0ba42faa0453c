"""What may be sent to change a model. The service has the last word, and words of its own, on every value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, create_model

from discovery.api.model_schemas import Modality, Primary, Secondary, Specialization, VisibilityName
from discovery.engine.describe import CAPABILITIES
from discovery.engine.document import LISTS, OBJECTS
from discovery.engine.sidecars import metadata_json
from discovery.engine.text import MAX_INTEGER, MAX_ITEM_TEXT, MAX_ITEMS
from discovery.engine.types import ModelType
from discovery.services.strictness import MAX_ADDRESS

MAX_UPDATES = 1_000

Item = Annotated[str, Field(min_length=1, max_length=MAX_ITEM_TEXT)]
_WORDS: dict[str, Any] = dict.fromkeys(
    ("modalities", "input_modalities", "output_modalities"), Modality
)
_WORDS["capabilities"] = Literal[CAPABILITIES]


def _optional(kind: Any, **limits: Any) -> Any:
    return (Annotated[kind, Field(**limits)] | None, Field(None))


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """What was sent, as it was sent: nested values are for the service to judge, however deep."""
        return {name: getattr(self, name) for name in self.model_fields_set}


_FIELDS: dict[str, Any] = {
    **{name: _optional(str, max_length=limit) for name, limit in metadata_json.TEXTS.items()},
    **{name: _optional(int, strict=True, ge=1, le=MAX_INTEGER) for name in metadata_json.NUMBERS},
    **{name: _optional(list[_WORDS.get(name, Item)], max_length=MAX_ITEMS) for name in LISTS},  # type: ignore[misc]
    **{name: _optional(dict[str, Any], max_length=MAX_ITEMS) for name in OBJECTS},
    "type": _optional(ModelType),
    "primary": _optional(Primary),
    "secondary": _optional(Secondary),
    "specialization": _optional(Specialization),
    "endpoint": _optional(str, max_length=MAX_ADDRESS, description="Of a hosted model."),
    "api_key_variable": _optional(
        str,
        max_length=100,
        description="Variable of the environment that holds the key of a hosted model.",
    ),
    "visibility": _optional(VisibilityName),
    "groups": _optional(
        list[Item],
        max_length=MAX_ITEMS,
        description="Names of the groups that see it while it is restricted.",
    ),
    "collections": _optional(
        list[Item], max_length=MAX_ITEMS, description="Names of the collections it is in."
    ),
}

Metadata: type[Strict] = create_model(
    "Metadata",
    __base__=Strict,
    __doc__="Objects merge key by key, lists replace, null gives back to automatic.",
    **_FIELDS,
)


class CategoryChange(Strict):
    """What is left out stays as it is; ``null`` is what the rules say."""

    primary: Primary | None = None
    secondary: Secondary | None = None
    specialization: Specialization | None = None


class BulkItem(Strict):
    """One model of a bulk update. What is wrong with its metadata is told in its own result."""

    model_id: str = Field(min_length=1, max_length=200)
    metadata: dict[str, Any]


class Bulk(Strict):
    updates: list[BulkItem] = Field(min_length=1, max_length=MAX_UPDATES)


class Fault(Schema):
    loc: list[str | int]
    msg: str


class BulkResult(Schema):
    model_id: str
    status: Literal["updated", "error"]
    errors: list[Fault] | None = None


class BulkAnswer(Schema):
    updated: int
    failed: int
    results: list[BulkResult]


class WantedBulk(Schema):
    atomic: bool = Field(
        False, description="All or nothing: 422 with the same body when any fails."
    )
