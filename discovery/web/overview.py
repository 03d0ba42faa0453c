"""The Overview: totals, disk use, models that need attention, and new models.

Readers see what they may; the rest is for administrators.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from discovery.engine.core.text import plural, word
from discovery.engine.core.vocabulary import Status
from discovery.models import Right, Root
from discovery.services.access import permissions
from discovery.services.insight import overview
from discovery.services.insight.overview import Growth, Registry
from discovery.services.machine import resources, root_states
from discovery.services.search.filters import NONE
from discovery.templatetags.karen import category_class, status_word, type_name
from discovery.web import disk_map
from discovery.web.scans import STOP_POLLING, active_runs
from discovery.web.shared.bars import Bar, percent
from discovery.web.shared.context import base_context
from discovery.web.shared.shortcuts import is_fragment, needs, page_or_partial
from discovery.web.system import disk_bar

#: What the half for administrators tells of: the machine, its roots, scans and what is wrong with
#: any model.
ADMINISTRATION = (Right.VIEW_ALL, Right.SYSTEM, Right.VIEW_SCANS, Right.VIEW_FINDINGS)

MAX_RUNTIMES = 6
MAX_LISTED = 6


@dataclass(frozen=True, slots=True)
class Chart:
    """Growth as a line in a picture of 100 by 40.

    ``line`` are its points, ``days`` a strip for each day with its title.
    """

    points: tuple[Growth, ...]
    line: str
    days: tuple[tuple[float, float, Growth], ...]
    most: int


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    registry = overview.registry(request.user)
    if is_fragment(request):
        return page_or_partial(
            request, "discovery/overview.html", "disk", disk_map.context(request, registry)
        )
    return page_or_partial(request, "discovery/overview.html", "all", _context(request, registry))


@require_safe
@needs(*ADMINISTRATION)
def live(request: HttpRequest) -> HttpResponse:
    """Show the running scan.

    Once no scan runs, the whole page replaces it with the results, and polling ends.
    """
    if not is_fragment(request):
        return redirect("home")
    runs = active_runs()
    if runs:
        return page_or_partial(request, "discovery/overview.html", "live", {"active": runs})
    context = {
        **base_context(request),
        **_context(request, overview.registry(request.user)),
        "over": True,
    }
    response = page_or_partial(
        request, "discovery/overview.html", "all", context, status=STOP_POLLING
    )
    response["HX-Retarget"], response["HX-Reswap"] = "#overview", "outerHTML"
    return response


def _context(request: HttpRequest, registry: Registry) -> dict[str, Any]:
    user = request.user
    context: dict[str, Any] = {
        "registry": registry,
        "ready": registry.count(Status.READY, Status.REMOTE),
        "added_count": overview.added_this_week(user),
        "categories": _categories(registry),
        "runtimes": _runtimes(registry),
        "added": overview.recently_added(user, MAX_LISTED),
        "changed": overview.recently_changed(user, MAX_LISTED),
        **disk_map.context(request, registry),
    }
    if not permissions.may_all(user, ADMINISTRATION):
        return context
    return {**context, **_for_administrators(registry), "administers": True}


def _for_administrators(registry: Registry) -> dict[str, Any]:
    sizes = {int(share.value): share.size for share in registry.by("root")}
    counts = {int(share.value): share.models for share in registry.by("root")}
    roots = root_states.states(
        list(Root.objects.exclude(path=Root.REMOTE).filter(enabled=True).order_by("path")), counts
    )
    return {
        "roots": [state.root.path for state in roots] or [str(settings.MODELS_DIR)],
        "disks": [disk_bar(disk) for disk in resources.disks(roots, sizes)],
        "active": active_runs(),
        "attention": overview.attention(MAX_LISTED),
        "trouble": _trouble(registry),
        "reclaimable": overview.possible_duplicates(),
        "chart": _chart(overview.growth()),
    }


def _trouble(registry: Registry) -> str:
    """``3 unsafe · 8 incomplete · 12 without a license``."""
    told = [
        f"{count:,} {status_word(status).lower()}" for status, count in overview.troubled(registry)
    ]
    count = overview.unlicensed()
    return " · ".join([*told, f"{count:,} without a license"] if count else told)


def _categories(registry: Registry) -> list[Bar]:
    shares = sorted(registry.by("primary"), key=lambda share: (not share.value, -share.models))
    most = max((share.models for share in shares), default=0)
    return [
        Bar(
            word(share.value) or disk_map.UNSORTED,
            f"{share.models:,}",
            percent(share.models, most),
            _filtered(primary=share.value or NONE),
            category_class(share.value) or "cat-none",
        )
        for share in shares
    ]


def _runtimes(registry: Registry) -> list[Bar]:
    shares = registry.by("type")
    most = shares[0].models if shares else 0
    shown = shares if len(shares) <= MAX_RUNTIMES + 1 else shares[:MAX_RUNTIMES]
    bars = [
        Bar(
            type_name(share.value),
            f"{share.models:,}",
            percent(share.models, most),
            _filtered(type=share.value),
        )
        for share in shown
    ]
    rest = shares[len(shown) :]
    if rest:
        count = sum(share.models for share in rest)
        bars.append(
            Bar(
                plural(len(rest), "other"),
                f"{count:,}",
                percent(count, most),
                _filtered(type=[share.value for share in rest]),
            )
        )
    return bars


def _filtered(**chosen: str | list[str]) -> str:
    return f"{reverse('models')}?{urlencode(chosen, doseq=True)}"


def _chart(points: list[Growth]) -> Chart | None:
    """``None`` while there are not two days to draw a line between."""
    if len(points) < 2:
        return None
    most = max(point.found for point in points) or 1
    first, span = points[0].at, (points[-1].at - points[0].at).total_seconds() or 1

    def across(at: datetime) -> float:
        return round(100 * (at - first).total_seconds() / span, 2)

    places = [across(point.at) for point in points]
    line = " ".join(
        f"{x:g},{round(40 - 38 * point.found / most, 2):g}"
        for x, point in zip(places, points, strict=True)
    )
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(places)), 100.0]
    days = tuple(
        (edges[index], round(edges[index + 1] - edges[index], 2), point)
        for index, point in enumerate(points)
    )
    return Chart(tuple(points), line, days, most)
