"""Lists by page number and by cursor.

Cursors are for programs that read every row once while the registry changes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Schema
from pydantic import Field

from discovery.api.errors import ApiError

DEFAULT_SIZE = 50
MAX_SIZE = 500
MAX_PAGE = 10**9

Row = TypeVar("Row")


class Paged(Schema):
    """What every list takes."""

    page: int = Field(1, ge=1, le=MAX_PAGE, description="Past the end there are no results.")
    page_size: int = Field(DEFAULT_SIZE, ge=1, le=MAX_SIZE)


def numbered(
    request: HttpRequest,
    rows: QuerySet[Any] | Sequence[Any],
    asked: Paged,
    shown: Callable[[Any], dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """``{"count", "next", "previous", "results"}``."""
    count = Paginator(rows, asked.page_size).count
    first = (asked.page - 1) * asked.page_size
    found = rows[first : first + asked.page_size] if first < count else []
    return {
        "count": count,
        "next": _address(request, page=asked.page + 1) if first + asked.page_size < count else None,
        "previous": (
            _address(request, page=min(asked.page - 1, max(-(-count // asked.page_size), 1)))
            if asked.page > 1
            else None
        ),
        "results": [shown(row) for row in found],
        **more,
    }


def by_cursor(
    request: HttpRequest,
    keys: QuerySet[Any],
    cursor: str,
    size: int,
    shown: Callable[[list[int]], list[dict[str, Any]]],
    **more: Any,
) -> dict[str, Any]:
    """Return rows in the order of registration, which never changes.

    Each row comes once, however many are added, edited or moved in the meantime.
    """
    after = _read(cursor) if cursor else 0
    found = list(keys.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[: size + 1])
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
