"""What every page shows beside its own content."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from discovery.models import Finding, Listing, Root, ScanRun
from discovery.services import configs
from discovery.web.pages import is_fragment


def sidebar(request: HttpRequest) -> dict[str, Any]:
    """Counts and notices of the frame; nothing for htmx fragments, which have no frame, nor for visitors."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or is_fragment(request):
        return {}
    if request.path.startswith("/admin/"):
        return {}
    return frame(request)


def frame(request: HttpRequest) -> dict[str, Any]:
    """The same for a fragment that refreshes parts of the frame as well."""
    runs = ScanRun.objects.all()
    staff = request.user.is_staff
    return {
        "model_count": Listing.objects.visible_to(
            request.user
        ).count,  # asked where it is shown and the page does not know it
        "active_scan": runs.filter(state__in=ScanRun.ACTIVE)
        .order_by("-state")
        .first(),  # running before queued
        "last_scan": runs.exclude(state__in=ScanRun.ACTIVE).first(),
        "rules_file": configs.RULES.name,
        "problem_count": Finding.objects.all().open().count() if staff else 0,
        "config_faults": configs.faults() if staff else (),
        "frozen_roots": list(Root.objects.exclude(frozen_reason="")) if staff else [],
    }
