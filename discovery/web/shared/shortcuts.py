"""Helpers that views share.

They fetch a requested model, render a page or its partial, number pages, and check permissions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails

from discovery.models import Alias, RegisteredModel, Right
from discovery.services.access import permissions
from discovery.services.registry import aliases

Row = TypeVar("Row")


class Renamed(Exception):
    """The address names a model by an alias; ``address`` is the model's own."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


def fetch(request: HttpRequest, model_id: str) -> RegisteredModel:
    """The model, if this person may see it; otherwise it does not exist.

    ``has_aliases`` says whether pages have any to show. Raises ``Renamed`` where a page is asked
    for at an address that has an alias in it.
    """
    visible = RegisteredModel.objects.visible_to(request.user).select_related("root")
    visible = visible.annotate(has_aliases=Exists(Alias.objects.filter(model=OuterRef("pk"))))
    record = aliases.find(visible, model_id)
    if record is None:
        raise Http404(f"no model {model_id}")
    if record.model_id != model_id and request.method in ("GET", "HEAD"):
        _follow(request, model_id, record)
    return record


def _follow(request: HttpRequest, alias: str, record: RegisteredModel) -> None:
    match = request.resolver_match
    if match is None or match.kwargs.get("model_id") != alias:
        return
    address = reverse(match.view_name, kwargs={**match.kwargs, "model_id": record.model_id})
    query = request.META.get("QUERY_STRING", "")
    raise Renamed(f"{address}?{query}" if query else address)


def known_models(request: HttpRequest, entries: Iterable[Any]) -> set[str]:
    """Return the ids in ``entries`` whose models are still registered and may get a link.

    ``model_id`` of an entry names its model.
    """
    ids = {entry.model_id for entry in entries if entry.model_id}
    visible = RegisteredModel.objects.visible_to(request.user).only("model_id")
    return set(aliases.find_many(visible, ids))


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of the page.

    Boosted links and a restored history want all of it.
    """
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return htmx is not None and bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def page_or_partial(
    request: HttpRequest, template: str, partial: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """``template``, or what its ``partial`` gives when htmx refreshes that part."""
    name = f"{template}#{partial}" if is_fragment(request) else template
    response = render(request, name, {**context, "fragment": is_fragment(request)}, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def numbered(request: HttpRequest, rows: QuerySet[Any] | Sequence[Row], size: int) -> Page[Any]:
    """The page that ``?page=`` asks for: the last one past the end, the first one for nonsense."""
    return Paginator(rows, size).get_page(request.GET.get("page", "1")[:20])


def in_utc(moment: datetime) -> datetime | None:
    """Convert a time that somebody entered to UTC.

    It is in their time zone where it names none. Returns ``None`` at the limits of the calendar.
    """
    try:
        return (moment if moment.tzinfo else timezone.make_aware(moment)).astimezone(UTC)
    except OverflowError:
        return None


def as_key(text: str) -> int | None:
    """A key of the database, as an address or a form names it; ``None`` for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def needs(*rights: Right) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A door that opens for who has all these permissions; the navigation asks it as well.

    Rows that the page is about are a question of their own.
    """

    def decorated(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            require(request, *rights)
            return view(request, *args, **kwargs)

        guarded.is_open_to = partial(permissions.may_all, rights=rights)  # type: ignore[attr-defined]
        return guarded

    return decorated


def needs_any(
    rights: Iterable[Right],
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Require one of these permissions for a view.

    The view itself checks which one the request needs.
    """
    choice = tuple(rights)

    def decorated(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not permissions.may_any(request.user, choice):
                require(request, choice[0])
            return view(request, *args, **kwargs)

        guarded.is_open_to = partial(permissions.may_any, rights=choice)  # type: ignore[attr-defined]
        return guarded

    return decorated


def require(request: HttpRequest, *rights: Right) -> None:
    """Raise ``PermissionDenied`` with the permission that is missing."""
    if reason := permissions.lacking(request.user, rights):
        raise PermissionDenied(reason)
