"""Lists by page number and by cursor.

Cursors are for programs that read every row once while the registry changes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field, model_validator

from discovery.api.errors import ApiError

DEFAULT_SIZE = 50
MAX_SIZE = 500
MAX_PAGE = 10**9

Row = TypeVar("Row")


class Paged(Schema):
    """What every list takes."""

    page: int = Field(
        1, ge=1, le=MAX_PAGE, description="Past the end there are no results.", examples=[1]
    )
    page_size: int = Field(
        DEFAULT_SIZE, ge=1, le=MAX_SIZE, description="Results on a page.", examples=[50]
    )


class Walked(Paged):
    """What a list takes that can also be walked by cursor."""

    cursor: str | None = Field(
        None,
        max_length=200,
        description=(
            "Empty for the first page, then as `next` has it: each row comes once, whatever is"
            " added meanwhile."
        ),
        examples=[""],
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.cursor is not None and self.page != 1:
            raise ValueError("a cursor has an order of its own: leave out page")
        return self


class Listed(Schema):
    """What every list answers; ``results`` are declared by each."""

    count: int = Field(description="Rows on all pages together.", examples=[1])
    next: str | None = Field(
        description="Address of the next page, if there is one.",
        examples=["http://127.0.0.1:8000/api/changes?page=2"],
    )
    previous: str | None = Field(
        description="Address of the page before, if there is one.", examples=[None]
    )


def numbered(
    request: HttpRequest,
    rows: QuerySet[Any] | Sequence[Any],
    query: Paged,
    shown: Callable[[Any], dict[str, Any]] | None = None,
    *,
    together: Callable[[list[Any]], list[dict[str, Any]]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """``{"count", "next", "previous", "results"}``.

    ``shown`` describes one row, ``together`` those of a page, where that takes fewer queries.
    """
    count = Paginator(rows, query.page_size).count
    first = (query.page - 1) * query.page_size
    found = rows[first : first + query.page_size] if first < count else []
    return {
        "count": count,
        "next": _address(request, page=query.page + 1) if first + query.page_size < count else None,
        "previous": (
            _address(request, page=min(query.page - 1, max(-(-count // query.page_size), 1)))
            if query.page > 1
            else None
        ),
        "results": (
            together(list(found)) if together else [shown(row) for row in found] if shown else []
        ),
        **more,
    }


def by_cursor(
    request: HttpRequest,
    keys: QuerySet[Any],
    cursor: str,
    size: int,
    shown: Callable[[list[int]], list[dict[str, Any]]],
    newest: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return rows in the order of registration, which never changes, or the ``newest`` first.

    Each row comes once, however many are added, edited or moved in the meantime.
    """
    last = _read(cursor) if cursor else None
    if last is not None:
        rest = keys.filter(pk__lt=last) if newest else keys.filter(pk__gt=last)
    else:
        rest = keys
    ordered = rest.order_by("-pk" if newest else "pk")
    found = list(ordered.values_list("pk", flat=True)[: size + 1])
    following = _address(request, cursor=_written(found[size - 1])) if len(found) > size else None
    return {
        "count": keys.count(),
        "next": following,
        "previous": None,
        "results": shown(found[:size]),
        **more,
    }


def _written(pk: int) -> str:
    return base64.urlsafe_b64encode(f"after {pk}".encode()).decode().rstrip("=")


def _read(cursor: str) -> int:
    try:
        word, number = (
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(" ")
        )
        pk = int(number)
    except (ValueError, binascii.Error):
        word, pk = "", 0
    if word != "after" or not 0 < pk < 1 << 63:
        raise ApiError(
            422,
            "The cursor is not one that this list gave.",
            errors=[(("query", "cursor"), "take it from next of the page before")],
        )
    return pk


def _address(request: HttpRequest, **changes: Any) -> str:
    query = request.GET.copy()
    for name, value in changes.items():
        query[name] = str(value)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
