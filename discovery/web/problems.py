"""The Problems page: all problems of all models in one list, and administrators' decisions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import Finding, Right
from discovery.services.access import permissions
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.findings import listing, triage
from discovery.services.search import model_filters
from discovery.web.shared.shortcuts import needs, numbered, page_or_partial, require

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE_SIZE = 50

#: What one submission may decide about at once.
MAX_CHOSEN = 1_000

#: Severity → its label: nothing that is only told is a problem.
_SEVERITIES = {each.value: each.label for each in (Severity.ERROR, Severity.WARNING)}


class NotStarted(Exception):
    """The workers cannot be reached; the message says why."""


@require_safe
@needs(Right.VIEW_FINDINGS)
def index(request: HttpRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in listing.STATES else "open"
    severity = request.GET.get("severity", "")
    severity = severity if severity in _SEVERITIES else ""
    text = model_filters.normal_text(request.GET.get("q", ""))
    rows = listing.in_state(listing.seen_by(request.user), state)
    codes = list(rows.values("code").annotate(count=Count("pk")).order_by("-count", "code")[:40])
    code = request.GET.get("code", "")
    code = code if any(row["code"] == code for row in codes) else ""
    found = _narrowed(rows, severity, code, text).select_related("model", "accepted_by")
    found = found.defer(*listing.HEAVY).order_by("severity", "-first_seen_at", "-pk")
    context = {
        "page": numbered(request, found, PAGE_SIZE),
        "state": state,
        "states": listing.STATES,
        "severity": severity,
        "severities": _SEVERITIES,
        "code": code,
        "codes": codes,
        "text": text,
        "narrowed": bool(severity or code or text),
        "may_act": (
            permissions.may(request.user, Right.DECIDE)
            or permissions.may(request.user, Right.VALIDATE)
        ),
    }
    return page_or_partial(request, "discovery/problems.html", "results", context)


def _narrowed(rows: QuerySet[Finding], severity: str, code: str, text: str) -> QuerySet[Finding]:
    if severity:
        rows = rows.filter(severity=severity)
    if code:
        rows = rows.filter(code=code)
    return listing.containing(rows, text)


@require_POST
@needs(Right.VIEW_FINDINGS)
def decide(request: HttpRequest) -> HttpResponse:
    """``action`` accept, snooze, reopen or rescan, for the findings named in ``finding``."""
    user = cast("User", request.user)
    back = request.POST.get("next", "")
    back = (
        back
        if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
        else "problems"
    )
    rows = _chosen(request)
    if not rows:
        messages.warning(request, "Choose at least one problem first.")
        return redirect(back)
    action = request.POST.get("action", "")
    require(request, Right.VALIDATE if action == "rescan" else Right.DECIDE)
    try:
        if action != "rescan":
            triage.compare(
                rows,
                {
                    row.pk: request.POST[f"seen-{row.pk}"]
                    for row in rows
                    if f"seen-{row.pk}" in request.POST
                },
            )
        messages.success(request, _act(action, rows, user, request.POST))
    except (triage.ReasonRequired, triage.Decided, NotStarted) as error:
        messages.error(request, str(error))
    except KeyError:
        messages.error(request, "That is not something that can be done here.")
    return redirect(back)


def _chosen(request: HttpRequest) -> list[Finding]:
    keys = [
        int(key)
        for key in request.POST.getlist("finding")[:MAX_CHOSEN]
        if key.isascii() and key.isdigit() and len(key) < 19
    ]
    seen = listing.seen_by(request.user).filter(pk__in=keys)
    return list(seen.select_related("model", "accepted_by")) if keys else []


def _act(action: str, rows: list[Finding], user: User, sent: Any) -> str:
    """Do the action and return a message about it.

    Raises ``KeyError`` for an action that does not exist, ``ReasonRequired``, ``NotStarted``.
    """
    if action == "accept":
        return triage.summary(
            triage.accept(rows, by=user, reason=sent.get("reason", "")), "accepted"
        )
    if action == "reopen":
        return triage.summary(triage.reopen(rows, by=user), "open again")
    if action == "snooze":
        days = sent.get("days", "7")
        until = timezone.now() + timedelta(days=int(days) if days in ("1", "7", "30", "90") else 7)
        return triage.summary(
            triage.snooze(rows, until, by=user), f"snoozed until {until:%-d %b %Y}"
        )
    if action == "rescan":
        ids = tuple(dict.fromkeys(row.model.model_id for row in rows))
        edit = bulk_edits.request(Operation.read("validate"), Selection(ids), by=user)
        if edit.state == edit.State.FAILED:
            raise NotStarted(edit.message)
        return (
            f"{plural(len(ids), 'model is', 'models are')} being read again. What is mended"
            " disappears from the list."
        )
    raise KeyError(action)
