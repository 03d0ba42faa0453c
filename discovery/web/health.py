"""A model's Health tab: checks, findings, checksums, test loads; and the buttons that start and stop them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from discovery.engine.text import plural
from discovery.models import DeepValidation, FileChecksum, LoadTest, RegisteredModel
from discovery.services import deep_validation, judgement, load_tests, validation
from discovery.web.model import frame
from discovery.web.pages import fetch, is_fragment, page_or_partial, staff_only
from discovery.web.scans import STOP_POLLING
from discovery.words import OUTCOMES

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_TESTS = 10
MAX_FILES = 50


@require_safe
def health(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    return page_or_partial(
        request,
        "discovery/model_health.html",
        "tab",
        {**frame(record, "health"), **_context(record)},
    )


@require_safe
def live(request: HttpRequest, model_id: str) -> HttpResponse:
    """The whole tab again while something is under way; once nothing is, for the last time."""
    record = fetch(request, model_id)
    if not is_fragment(request):
        return redirect("model-health", model_id)
    context = {**frame(record, "health"), **_context(record)}
    return page_or_partial(
        request,
        "discovery/model_health.html",
        "tab",
        context,
        status=200 if context["under_way"] else STOP_POLLING,
    )


def _context(record: RegisteredModel) -> dict[str, Any]:
    deep_validation.reap()
    load_tests.reap()
    deep = DeepValidation.objects.filter(model=record).select_related("requested_by").first()
    tests = list(LoadTest.objects.filter(model=record).select_related("requested_by")[:MAX_TESTS])
    report = validation.report(record)
    checksums = FileChecksum.objects.filter(model=record)
    return {
        "report": report,
        "checks": sorted(report.checks, key=lambda check: list(OUTCOMES).index(check["status"])),
        "outcomes": _counted(report.checks),
        "findings": list(
            record.findings.filter(resolved_at=None)
            .select_related("accepted_by", "model")
            .order_by("severity", "pk")
        ),
        "resolved": record.findings.exclude(resolved_at=None).count(),
        "deep": deep,
        "next_deep": _next_deep(record),
        "checksums": list(checksums[:MAX_FILES]),
        "checksum_count": checksums.count(),
        "tests": tests,
        "under_way": bool(deep and deep.is_active) or any(test.is_active for test in tests),
    }


def _next_deep(record: RegisteredModel) -> str:
    """``12 days``; empty when the schedule may take it at any moment, or never."""
    if not record.root.deep_every_days or record.deep_validated_at is None:
        return ""
    left = record.deep_validated_at + timedelta(days=record.root.deep_every_days) - timezone.now()
    return plural(left.days, "day") if left >= timedelta(days=1) else ""


def _counted(checks: list[dict[str, Any]]) -> str:
    """``1 failed, 3 warnings, 7 passed``."""
    counts = {outcome: sum(check["status"] == outcome for check in checks) for outcome in OUTCOMES}
    said = [
        plural(count, "warning") if outcome == "warning" else f"{count} {outcome}"
        for outcome, count in counts.items()
        if count
    ]
    return ", ".join(said)


@require_POST
@staff_only
def act(request: HttpRequest, model_id: str) -> HttpResponse:
    """One of the tab's buttons: ``action`` says which."""
    record = fetch(request, model_id)
    action = _ACTIONS.get(request.POST.get("action", ""))
    if action is None:
        messages.error(request, "That is not something that can be done here.")
    else:
        action(request, record)
    return redirect("model-health", model_id)


def _validate(request: HttpRequest, record: RegisteredModel) -> None:
    report = validation.validate(record)
    failed = sum(check["status"] == "failed" for check in report.checks)
    if failed:
        messages.warning(request, f"Read again: {failed} of {len(report.checks)} checks failed.")
    else:
        messages.success(request, "Read again: no check failed.")


def _deep(request: HttpRequest, record: RegisteredModel) -> None:
    _, created = deep_validation.request(record, user_id=request.user.pk)
    if created:
        messages.success(request, "All bytes of the model will be read and compared.")
    else:
        messages.warning(request, "That is under way already.")


def _stop_deep(request: HttpRequest, record: RegisteredModel) -> None:
    run = DeepValidation.objects.filter(model=record, state__in=DeepValidation.ACTIVE).first()
    if run and deep_validation.cancel(run):
        messages.success(
            request,
            "It stops. What was read so far is kept, and the next validation goes on from there.",
        )
    else:
        messages.warning(request, "It was over already.")


def _load(request: HttpRequest, record: RegisteredModel) -> None:
    variant = request.POST.get("variant", "")
    known = {item["name"] for item in record.variants}
    _, created = load_tests.request(
        record, variant if variant in known else "", user_id=request.user.pk
    )
    if created:
        messages.success(request, "The test load is on its way.")
    else:
        messages.warning(request, "A test load of this is under way already.")


def _stop_load(request: HttpRequest, record: RegisteredModel) -> None:
    number = request.POST.get("test", "")
    key = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
    if load_tests.cancel(get_object_or_404(LoadTest, pk=key, model=record)):
        messages.success(request, "The test load stops.")
    else:
        messages.warning(request, "It was over already.")


def _quarantine(request: HttpRequest, record: RegisteredModel) -> None:
    if judgement.quarantine(record, by=cast("User", request.user)):
        messages.success(
            request,
            "Quarantined: only administrators see the model now. Its files stay where they are.",
        )
    else:
        messages.warning(request, "It is in quarantine already.")


def _lift(request: HttpRequest, record: RegisteredModel) -> None:
    if judgement.lift_quarantine(record, by=cast("User", request.user)):
        messages.success(
            request,
            f"The quarantine is lifted: the model is {record.get_visibility_display().lower()} again.",
        )
    else:
        messages.warning(request, "It is in no quarantine.")


_ACTIONS = {
    "validate": _validate, "deep": _deep, "stop-deep": _stop_deep, "load": _load, "stop-load": _stop_load, "quarantine": _quarantine,
    "lift-quarantine": _lift,
}  # fmt: skip
