"""Lists by page number and by cursor.

Cursors are for programs that read every row once while the registry changes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field, model_validator

from discovery.api.errors import ApiError
from discovery.services.activity.feed import Event, Feed, Mark
from discovery.services.activity.sources import SOURCES

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


def along(
    request: HttpRequest,
    feed: Feed,
    cursor: str,
    size: int,
    together: Callable[[list[Event]], list[dict[str, Any]]],
    **more: Any,
) -> dict[str, Any]:
    """Return events, the newest first, each once, however many are added in the meantime."""
    found = feed.after(_read_mark(cursor) if cursor else None, size + 1)
    following = _written_mark(found[size - 1].mark) if len(found) > size else None
    return {
        "count": len(feed),
        "next": _address(request, cursor=following) if following else None,
        "previous": None,
        "results": together(found[:size]),
        **more,
    }


def _written(pk: int) -> str:
    return _packed(f"after {pk}")


def _read(cursor: str) -> int:
    word, _, number = _unpacked(cursor).partition(" ")
    if word != "after" or not number.isdigit() or not 0 < int(number[:20]) < 1 << 63:
        raise _foreign()
    return int(number)


def _written_mark(mark: Mark) -> str:
    return _packed(f"{mark.at.isoformat()} {mark.kind} {mark.key}")


def _read_mark(cursor: str) -> Mark:
    at, kind, key = (*_unpacked(cursor).split(" "), "", "", "")[:3]
    try:
        mark = Mark(datetime.fromisoformat(at), kind, int(key))
    except ValueError:
        raise _foreign() from None
    if mark.at.tzinfo is None or kind not in SOURCES or not 0 < mark.key < 1 << 63:
        raise _foreign()
    return mark


def _packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(cursor: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return raw.decode("ascii")
    except ValueError:  # of base64 and of the characters
        raise _foreign() from None


def _foreign() -> ApiError:
    return ApiError(
        422,
        "The cursor is not one that this list gave.",
        errors=[(("query", "cursor"), "take it from next of the page before")],
    )


def _address(request: HttpRequest, **changes: Any) -> str:
    query = request.GET.copy()
    for name, value in changes.items():
        query[name] = str(value)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
