"""``GET /models/discovered``: the models that the caller may see and asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from django.http import HttpRequest, QueryDict
from ninja import Query, Router, Schema
from pydantic import Field, create_model, model_validator

from discovery.api import closed_lists, paging
from discovery.api.authentication import PUBLIC, caller_of
from discovery.api.errors import ApiError
from discovery.api.model_schemas import SUMMARY, Summary
from discovery.engine.core.fields import LISTED
from discovery.engine.core.text import MAX_INTEGER, plural
from discovery.engine.core.vocabulary import AXES
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.services.registry.records import values
from discovery.services.search import facets, model_filters, unknown_values
from discovery.services.search import model_search as search
from discovery.services.search.filters import BOUNDS, FACETS, FILTERS, NONE, NUMBERS, Filter
from discovery.services.search.model_filters import MAX_TEXT, MAX_VALUES

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

router = Router(tags=["Models"])

#: ``ordering`` → as the Models page says it.
ORDERINGS = {
    "name": "name",
    **{number.column: number.name for number in NUMBERS.values()},
    "modified_at": "modified",
    "added_at": "added",
}
if TYPE_CHECKING:
    Ordering = str
else:
    Ordering = Literal[tuple(f"{sign}{name}" for name in ORDERINGS for sign in ("", "-"))]

COLUMNS = (
    "model_id", "name", "path", "root", "status", "size_bytes", "file_count", "memory_bytes",
    "modified_at", "added_at", "visibility", "extracted", "curated",
    *(field.name for field in SUMMARY if field.column),
)  # fmt: skip


class _Asked(paging.Paged):
    """A filter that is repeated means "or", different ones "and".

    `none` stands for models without a value.
    """

    search: str = Field(
        "",
        max_length=MAX_TEXT,
        description=(
            "Words in names, paths, tags, descriptions, architectures, licenses, authors; terms"
            ' like `params:>7b -tag:old "exact words"`.'
        ),
    )
    ordering: Ordering = Field("name", description="Unknown values come last, whichever way.")
    facets: bool = Field(
        False, description="Count the values of each field, each under all other filters."
    )
    cursor: str | None = Field(
        None,
        max_length=200,
        description=(
            "Empty for the first page, then as `next` has it: each model comes once, in the order"
            " of registration, whatever changes."
        ),
    )

    @model_validator(mode="after")
    def _one_way(self) -> _Asked:
        if self.cursor is not None and (self.page != 1 or self.ordering != "name"):
            raise ValueError("a cursor has an order of its own: leave out page and ordering")
        return self


def _parameter(each: Filter) -> tuple[Any, Any]:
    """Type and field of a filter's parameter: its words where they are few, or else any text."""
    words = each.values and (each.values if each.always_known else (*each.values, NONE))
    value: Any = Literal.__getitem__(words) if words else str
    return list[value], Field([], max_length=MAX_VALUES, description=each.description)


_BOUND = Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None

#: Filters as the fields of a body, for ``create_model``.
FIELDS_OF_FILTERS: dict[str, Any] = {
    **{name: _parameter(each) for name, each in FILTERS.items()},
    **{
        name: (_BOUND, Field(None, description=number.description))
        for name, (number, _) in BOUNDS.items()
    },
}
#: The same with search and order.
PARAMETERS: dict[str, Any] = {
    "search": (str, _Asked.model_fields["search"]),
    "ordering": (Ordering, _Asked.model_fields["ordering"]),
    **FIELDS_OF_FILTERS,
}

if TYPE_CHECKING:
    Wanted = _Asked
else:
    Wanted = create_model(
        "Wanted",
        __base__=_Asked,
        __doc__=_Asked.__doc__,
        **FIELDS_OF_FILTERS,
    )


class FacetValue(Schema):
    value: str
    count: int


class Discovered(Schema):
    count: int
    next: str | None
    previous: str | None
    results: list[Summary]  # type: ignore[valid-type]
    facets: dict[str, list[FacetValue]] | None = None
    unknown: dict[str, list[str]] | None = Field(
        None,
        description="Where nothing is found: values of filters that no model has which you see.",
    )


@router.get(
    "/models/discovered",
    auth=PUBLIC,
    response=Discovered,
    operation_id="list_models",
    summary="List models",
    exclude_unset=True,
)
def discovered(request: HttpRequest, query: Query[Wanted]) -> dict[str, Any]:
    """Summaries of the models that you may see."""
    user = caller_of(request).user
    filters, shown = filters_of(query, user, "query"), Shown(user)
    more: dict[str, Any] = {}
    results = search.Results(user, filters, columns=COLUMNS)
    if query.facets:
        told = [
            name
            for name, each in FACETS.items()
            if user.is_authenticated or not each.signed_in_only
        ]
        counted = facets.count(user, filters, told)
        more["facets"] = {
            name: [{"value": value, "count": models} for value, models in counted.counts[name]]
            for name in told
        }
        results = search.Results(
            user, filters, columns=COLUMNS, total=counted.total, most=counted.most
        )
    if query.cursor is None:
        answer = paging.numbered(request, results, query, shown, **more)
    else:
        answer = paging.by_cursor(
            request,
            search.listed(user, filters),
            query.cursor,
            query.page_size,
            lambda found: [shown(row) for row in results.models(found)],
            **more,
        )
    if not answer["count"] and (unknown := unknown_values.without_models(user, filters)):
        answer["unknown"] = unknown
    return answer


def filters_of(query: Any, user: User | AnonymousUser, *place: str) -> model_filters.ModelFilters:
    """Filters as an address of the Models page says them; ``place`` is where they were sent.

    A search that is not understood is refused: a term left out would find too much.
    """
    ordering = getattr(query, "ordering", "name")
    params = QueryDict(mutable=True)
    params["q"] = query.search
    params["sort"] = ("-" if ordering.startswith("-") else "") + ORDERINGS[
        ordering.removeprefix("-")
    ]
    if getattr(query, "favorites", False):
        params["favourites"] = "1"
    for name in FILTERS:
        if chosen := getattr(query, name, None):
            params.setlist(name, chosen)
    for name in BOUNDS:
        if (bound := getattr(query, name, None)) is not None:
            params[name] = str(bound)
    filters = model_filters.ModelFilters.read(params)
    if filters.faults:
        raise ApiError(
            422,
            "The search is not understood.",
            errors=[
                ((*place, "search"), f"{fault.term}: {fault.reason}") for fault in filters.faults
            ],
        )
    if wrong := unknown_values.of_closed_lists(user, filters):
        raise ApiError(
            422,
            f"{plural(len(wrong), 'value')} of filters cannot be used.",
            errors=[
                ((*place, name), closed_lists.not_known(value, known))
                for name, value, known in wrong
            ],
        )
    return filters


class Shown:
    """Rows as summaries; their roots are looked up once."""

    def __init__(self, user: User | AnonymousUser) -> None:
        self.roots = Sight(user).roots

    def __call__(self, record: RegisteredModel) -> dict[str, Any]:
        return summary(record, self.roots[record.root_id])


def summary(record: RegisteredModel, root: str) -> dict[str, Any]:
    known = values(record)
    described = {
        field.name: getattr(record, field.name)
        if field.column
        else known.get(field.name) or ([] if field.kind in LISTED else None)
        for field in SUMMARY
    }
    return {
        "model_id": record.model_id,
        "name": record.name,
        "path": record.path,
        "root": root,
        "status": record.status,
        **described,
        "display_name": record.title,
        "category": {axis: described[axis] for axis in AXES},
        "size_bytes": record.size_bytes,
        "file_count": record.file_count,
        "memory_bytes": record.memory_bytes,
        "modified_at": record.modified_at,
        "added_at": record.added_at,
        "visibility": record.visibility,
    }
