"""Changing many models in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints, create_model, model_validator
from pydantic.fields import FieldInfo

from discovery.api.changes_schemas import BulkEditDocument, Kept
from discovery.api.inputs import STORABLE, Name
from discovery.api.metadata_schemas import MetadataChange, Strict
from discovery.api.model_list import FIELDS_OF_FILTERS
from discovery.api.paging import Listed
from discovery.engine.core import fields
from discovery.engine.core.text import MAX_ITEMS
from discovery.services.search.model_filters import MAX_TEXT

MAX_MODELS = 10_000

_SEARCH = Annotated[str, StringConstraints(max_length=MAX_TEXT), STORABLE]

#: Fields that many models are given at once: not where each is, and not its links, which are added
#: and removed one by one.
_SETTABLE = (
    "visibility",
    "category",
    *(each.name for each in fields.FIELDS.values() if each.editable and not each.hosted),
)


def _with_example(kind: Any, info: Any) -> tuple[Any, Any]:
    """A filter of a body, with an example where its words are not a closed list."""
    if info.default == [] and get_args(kind) != (str,):
        return kind, info
    example = ["none"] if info.default == [] else 7_000_000_000
    return kind, FieldInfo.merge_field_infos(info, examples=[example])


if TYPE_CHECKING:

    class BulkFilter(Strict):
        """Filters as ``/models/discovered`` takes them."""

        search: str
        favorites: bool

    class BulkValues(Strict):
        """The fields to set."""

else:
    BulkFilter = create_model(
        "BulkFilter",
        __base__=Strict,
        __doc__=(
            "Filters as `/models/discovered` takes them; several values of one mean or, different"
            " filters and. An empty object means every model that you see."
        ),
        search=(_SEARCH, Field("", description="Words and terms.", examples=["params:>7b"])),
        favorites=(bool, Field(False, description="Your favorites alone.", examples=[False])),
        **{name: _with_example(*each) for name, each in FIELDS_OF_FILTERS.items()},
    )
    BulkValues = create_model(
        "BulkValues",
        __base__=Strict,
        __doc__=(
            "Fields with their new values: objects are merged key by key, lists replaced, null"
            " makes a field automatic."
        ),
        **{
            name: (info.annotation, info)
            for name, info in MetadataChange.model_fields.items()
            if name in _SETTABLE
        },
    )


class BulkLists(Strict):
    """Entries of lists; the others stay as they are."""

    tags: list[Name] = Field([], max_length=MAX_ITEMS, description="Tags.", examples=[["reviewed"]])
    collections: list[Name] = Field(
        [],
        max_length=MAX_ITEMS,
        description="Names of collections that are chosen by hand.",
        examples=[["Shortlist"]],
    )
    groups: list[Name] = Field(
        [],
        max_length=MAX_ITEMS,
        description="Names of groups that see the models while they are restricted.",
        examples=[["lab"]],
    )


class BulkRequest(Strict):
    """Which models, by `models` or by `filter`, and what to change in all of them."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "filter": {"format": ["gguf"], "max_params": 8_000_000_000},
                    "set": {"license": "apache-2.0"},
                    "add": {"tags": ["reviewed"]},
                    "atomic": False,
                }
            ]
        },
    )

    models: list[Name] | None = Field(
        None,
        max_length=MAX_MODELS,
        description="Ids of the models.",
        examples=[["llama-2-7b-chat", "mistral-7b-instruct"]],
    )
    filter: BulkFilter | None = Field(None, description="All models that these filters find.")
    action: Literal["change", "validate"] = Field(
        "change",
        description="`validate` reads their files again and runs the checks, and changes nothing.",
        examples=["change"],
    )
    set: BulkValues | None = Field(None, description="Fields with their new values.")
    add: BulkLists | None = Field(None, description="Entries that lists get.")
    remove: BulkLists | None = Field(None, description="Entries that lists lose.")
    atomic: bool = Field(
        True,
        strict=True,
        description="Change nothing where one model cannot be changed; otherwise leave it out.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if (self.models is None) == (self.filter is None):
            raise ValueError("name the models or a filter, one of the two")
        return self


class BulkEdits(Listed):
    results: list[BulkEditDocument] = Field(description="The newest first.")


class Stopped(BulkEditDocument):
    """The edit, and whether the call changed how it stands."""

    accepted: bool = Field(
        description="False when there was nothing to stop, or to resume.", examples=[True]
    )


class BulkExample(Schema):
    model_id: str = Field(description="A model that would change.", examples=["llama-2-7b-chat"])
    name: str = Field(description="Its name.", examples=["Llama 2 7B Chat"])
    before: Any = Field(description="What counts now.", examples=["mit"])
    after: Any = Field(description="What would count.", examples=["apache-2.0"])
    source: str = Field(description="Where its value comes from now.", examples=["README.md"])


class BulkEffect(Schema):
    field: str = Field(description="A field.", examples=["license"])
    models: int = Field(description="Models whose field would change.", examples=[11])
    examples: list[BulkExample] = Field(description="The first five of them.")


class BulkPreview(Schema):
    """What would change; nothing was written."""

    total: int = Field(description="Models that are chosen.", examples=[12])
    looked_at: int = Field(description="Models that were tried, at most 20,000.", examples=[12])
    changing: int = Field(description="Models that would change.", examples=[11])
    same: int = Field(description="Models that are like that already.", examples=[1])
    failing: int = Field(description="Models that cannot be changed.", examples=[0])
    fields: list[BulkEffect] = Field(description="What would change, field by field.")
    faults: list[Kept] = Field(description="The first 100 that cannot be changed, and why.")
    unknown: dict[str, list[str]] = Field(
        description="Where no model is found: values of filters that no model has which you see.",
        examples=[{}],
    )
