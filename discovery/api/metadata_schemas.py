"""What may be sent to change a model.

The service has the last word, and words of its own, on every value.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, create_model

from discovery.api.model_schemas import ModelDocument
from discovery.engine.core import fields
from discovery.engine.core.text import MAX_INTEGER, MAX_ITEM_TEXT, MAX_ITEMS
from discovery.engine.core.vocabulary import Primary, Secondary, Specialization, Visibility

MAX_UPDATES = 1_000

Item = Annotated[str, Field(min_length=1, max_length=MAX_ITEM_TEXT)]


def _optional(kind: Any, *, description: str | None = None, **limits: Any) -> Any:
    """Type and field of what may be left out, and given back by ``null`` or a blank string."""
    value: Any = Annotated[kind, Field(**limits)] | None
    if kind is str:
        return (value, Field(None, description=description))
    value = Annotated[value, BeforeValidator(_given_back)]
    return (value, Field(None, description=description, json_schema_extra=_or_blank))


def _given_back(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _or_blank(schema: dict[str, Any]) -> None:
    """The schema of a field takes a blank string beside its values."""
    schema.setdefault("anyOf", []).append({"type": "string", "pattern": r"^\s*$"})


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """Return the values that were sent, unchanged.

        The service checks nested values, however deep they are.
        """
        return {name: getattr(self, name) for name in self.model_fields_set}


def _sent(field: fields.Field) -> Any:
    """What may be sent for a field."""
    kind, told = field.kind, {"description": field.help} if field.hosted else {}
    if kind is fields.Kind.NUMBER:
        return _optional(int, strict=True, ge=1, le=MAX_INTEGER)
    if kind is fields.Kind.FRACTION:
        return _optional(float, gt=0)
    if kind is fields.Kind.CHOICE:
        return _optional(type(field.words[0]))
    if kind is fields.Kind.OBJECT:
        return _optional(dict[str, Any], max_length=MAX_ITEMS)
    if kind in fields.LISTED:
        item: Any = type(field.words[0]) if field.words else Item
        return _optional(list[item], max_length=MAX_ITEMS)
    return _optional(str, max_length=field.limit, **told)


_FIELDS: dict[str, Any] = {
    **{each.name: _sent(each) for each in fields.FIELDS.values() if each.editable},
    "visibility": _optional(Visibility),
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
    __doc__="Objects are merged key by key, lists replaced, and null makes a field automatic.",
    **_FIELDS,
)


CategoryChange: type[Strict] = create_model(
    "CategoryChange",
    __base__=Strict,
    __doc__="What is left out stays as it is; ``null`` is what the rules say.",
    primary=_optional(Primary),
    secondary=_optional(Secondary),
    specialization=_optional(Specialization),
)

_NESTED: dict[str, Any] = {
    "category": (CategoryChange | None, Field(None, description="Any of the three axes."))
}
#: What documents have that nobody sets: accepted where it is as it was read.
_READ_ONLY: dict[str, Any] = {
    name: (Any, Field(None, json_schema_extra={"readOnly": True}))
    for name in ModelDocument.model_fields
    if name not in (*_FIELDS, "category")
}

MetadataChange: type[Strict] = create_model(
    "MetadataChange",
    __base__=Metadata,
    __doc__=(
        "Objects are merged key by key, lists replaced, and null or a blank string makes a field"
        " automatic. A whole model document is taken too: what is in it as it was read stays."
    ),
    **_NESTED,
    **_READ_ONLY,
)


class BulkItem(Strict):
    """One model of a bulk update. Errors in its metadata are reported in its own result."""

    model_id: str = Field(min_length=1, max_length=200)
    metadata: dict[str, Any]


class Bulk(Strict):
    updates: list[BulkItem] = Field(min_length=1, max_length=MAX_UPDATES)


class Fault(Schema):
    loc: list[str | int]
    msg: str


class BulkResult(Schema):
    model_id: str
    alias: str | None = Field(
        None, description="What the item called the model, where that is an alias of it."
    )
    status: Literal["updated", "error"]
    errors: list[Fault] | None = None


class BulkAnswer(Schema):
    updated: int
    failed: int
    results: list[BulkResult]


class BulkBody(Schema):
    atomic: bool = Field(
        False, description="All or nothing: 422 with the same body when any fails."
    )
