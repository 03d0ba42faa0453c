"""What every page shows around its own content."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from discovery.engine.core.service_words import Theme
from discovery.models import Finding, RegisteredModel, Right, Root, ScanRun
from discovery.models.registry import sees_all
from discovery.services.access import permissions, signed_in
from discovery.services.core import config_files
from discovery.services.machine import root_probes
from discovery.services.search import model_search
from discovery.services.search.model_filters import ModelFilters
from discovery.web.shared import navigation
from discovery.web.shared.shortcuts import is_fragment


def sidebar(request: HttpRequest) -> dict[str, Any]:
    """Return counts and notices of the frame.

    It is empty for htmx fragments, which have no frame, and for visitors.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or is_fragment(request):
        return {}
    if request.path.startswith("/admin/"):
        return {}
    return {**base_context(request), "navigation": navigation.of(request), "is_demo": settings.DEMO}


def theme(request: HttpRequest) -> dict[str, Any]:
    """Return the chosen theme, ``light`` or ``dark``, or ``light dark`` to follow the device."""
    chosen = signed_in.theme(getattr(request, "user", None))
    return {"theme": "light dark" if chosen == Theme.SYSTEM else chosen}


def base_context(request: HttpRequest) -> dict[str, Any]:
    """The same for a fragment that refreshes parts of the frame as well."""
    runs = ScanRun.objects.all()
    user = request.user
    scans, findings = (
        permissions.may(user, Right.VIEW_SCANS),
        permissions.may(user, Right.VIEW_FINDINGS),
    )
    troubled = (
        ~Q(frozen_reason="")
        | Q(silent_since__isnull=False)
        | Q(path__in=root_probes.remembered_here())
    )
    roots = list(Root.objects.filter(troubled)) if scans else []
    return {
        # Asked where it is shown and the page does not know it.
        "model_count": partial(model_search.count, user, ModelFilters()),
        # Running before queued.
        "active_scan": runs.filter(state__in=ScanRun.ACTIVE).order_by("-state").first(),
        "last_scan": runs.exclude(state__in=ScanRun.ACTIVE).first(),
        "rules_file": config_files.RULES.name,
        "problem_count": _open_findings(user) if findings else 0,
        "config_faults": config_files.faults() if permissions.may(user, Right.SYSTEM) else (),
        "frozen_roots": [root for root in roots if root.frozen_reason],
        "silent_roots": [root for root in roots if root_probes.is_remembered(root)],
    }


def _open_findings(user: Any) -> int:
    rows = Finding.objects.all().open()
    if not sees_all(user):
        rows = rows.filter(model__in=RegisteredModel.objects.visible_to(user).values("pk"))
    return rows.count()
