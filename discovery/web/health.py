"""A model's Health tab: checks, findings, checksums and test loads.

Its buttons start and stop validations and tests.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Outcome
from discovery.models import DeepValidation, FileChecksum, LoadTest, RegisteredModel, Right
from discovery.services.findings import triage
from discovery.services.health import deep_validation, test_loads, validation
from discovery.services.machine.root_probes import RootSilent
from discovery.web.model import tab_context
from discovery.web.scans import STOP_POLLING
from discovery.web.shared.shortcuts import fetch, is_fragment, page_or_partial, require

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_TESTS = 10
MAX_FILES = 50


@require_safe
def health(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    return page_or_partial(request, "discovery/model_health.html", "tab", _context(request, record))


@require_safe
def live(request: HttpRequest, model_id: str) -> HttpResponse:
    """Show the tab again while a job is running, and once more when none is."""
    record = fetch(request, model_id)
    if not is_fragment(request):
        return redirect("model-health", record.model_id)
    context = _context(request, record)
    return page_or_partial(
        request,
        "discovery/model_health.html",
        "tab",
        context,
        status=200 if context["under_way"] else STOP_POLLING,
    )


def _context(request: HttpRequest, record: RegisteredModel) -> dict[str, Any]:
    shared = tab_context(request, record, "health")
    deep = DeepValidation.objects.filter(model=record).select_related("requested_by").first()
    tests = list(LoadTest.objects.filter(model=record).select_related("requested_by")[:MAX_TESTS])
    report = validation.report(record, shared["sight"])
    checksums = FileChecksum.objects.filter(model=record)
    return {
        **shared,
        "report": report,
        "checks": sorted(report.checks, key=lambda check: Outcome.values.index(check["status"])),
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
    counts = {outcome: sum(check["status"] == outcome for check in checks) for outcome in Outcome}
    said = [
        plural(count, "warning") if outcome == "warning" else f"{count} {outcome}"
        for outcome, count in counts.items()
        if count
    ]
    return ", ".join(said)


@require_POST
def action(request: HttpRequest, model_id: str) -> HttpResponse:
    """One of the tab's buttons: ``action`` says which."""
    record = fetch(request, model_id)
    name = request.POST.get("action", "")
    action = _ACTIONS.get(name)
    require(request, Right.GRANT if name in _OF_ACCESS else Right.VALIDATE)
    if action is None:
        messages.error(request, "That is not something that can be done here.")
    else:
        action(request, record)
    return redirect("model-health", record.model_id)


def _validate(request: HttpRequest, record: RegisteredModel) -> None:
    try:
        report = validation.validate(record)
    except RootSilent as error:
        messages.error(request, f"Nothing was read. {error}")
        return
    failed = sum(check["status"] == "failed" for check in report.checks)
    if failed:
        messages.warning(request, f"Read again: {failed} of {len(report.checks)} checks failed.")
    else:
        messages.success(request, "Read again: no check failed.")


def _deep(request: HttpRequest, record: RegisteredModel) -> None:
    run, created = deep_validation.request(record, user_id=request.user.pk)
    if run.state == run.State.FAILED:
        messages.error(request, run.message)
    elif created:
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
        messages.warning(request, "It has already finished.")


def _load(request: HttpRequest, record: RegisteredModel) -> None:
    variant = request.POST.get("variant", "")
    known = {item["name"] for item in record.variants}
    test, created = test_loads.request(
        record, variant if variant in known else "", user_id=request.user.pk
    )
    if test.state == test.State.FAILED:
        messages.error(request, test.message)
    elif created:
        messages.success(request, "Test load started.")
    else:
        messages.warning(request, "A test load of this is under way already.")


def _stop_load(request: HttpRequest, record: RegisteredModel) -> None:
    number = request.POST.get("test", "")
    key = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
    if test_loads.cancel(get_object_or_404(LoadTest, pk=key, model=record)):
        messages.success(request, "The test load stops.")
    else:
        messages.warning(request, "It has already finished.")


def _quarantine(request: HttpRequest, record: RegisteredModel) -> None:
    if triage.quarantine(record, by=cast("User", request.user)):
        messages.success(
            request,
            "Quarantined: only administrators see the model now. Its files stay where they are.",
        )
    else:
        messages.warning(request, "It is in quarantine already.")


def _lift(request: HttpRequest, record: RegisteredModel) -> None:
    if triage.lift_quarantine(record, by=cast("User", request.user)):
        messages.success(
            request,
            f"The quarantine is lifted: the model is {record.get_visibility_display().lower()}"
            " again.",
        )
    else:
        messages.warning(request, "It is in no quarantine.")


#: These change who sees the model.
_OF_ACCESS = ("quarantine", "lift-quarantine")

_ACTIONS = {
    "validate": _validate, "deep": _deep, "stop-deep": _stop_deep, "load": _load,
    "stop-load": _stop_load, "quarantine": _quarantine,
    "lift-quarantine": _lift,
}  # fmt: skip
