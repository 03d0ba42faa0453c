"""``/healthz``, ``/readyz`` and ``/metrics``, outside ``/api/``.

Programs that start, stop and monitor the server use them.
"""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from discovery.api.authentication import PUBLIC
from discovery.api.errors import ApiError, respond
from discovery.services.machine import metrics, readiness

logger = logging.getLogger(__name__)


@require_safe
@never_cache
@login_not_required
def healthz(_request: HttpRequest) -> JsonResponse:
    """The process answers. That alone: a database that is away must not have it restarted."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
@login_not_required
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when database, migrations and broker are ready, else 503.

    What exactly is wrong is for the log: it may name hosts.
    """
    faults = readiness.faults()
    checks = {name: "failed" if fault else "ok" for name, fault in faults.items()}
    if not any(faults.values()):
        return JsonResponse({"status": "ready", "checks": checks})
    logger.warning(
        "not ready: %s", "; ".join(f"{name}: {fault}" for name, fault in faults.items() if fault)
    )
    failed = ", ".join(name for name, fault in faults.items() if fault)
    told = "".join(
        f" {fault[0].upper()}{fault[1:]}."
        for fault in faults.values()
        if isinstance(fault, readiness.PublicFault)
    )
    return JsonResponse(
        {
            "status": "not ready",
            "checks": checks,
            "detail": f"Not ready: {failed}.{told}",
            "errors": [],
        },
        status=503,
    )


@require_safe
@never_cache
@login_not_required
def prometheus(request: HttpRequest) -> HttpResponse:
    """Return the metrics that the caller may see.

    An administrator's token gets everything, anonymous callers only the public models.
    """
    try:
        caller = PUBLIC(request)
    except ApiError as error:
        return respond(error.status, error.detail, error.errors, error.headers)
    return HttpResponse(metrics.text(caller.user), content_type=metrics.CONTENT_TYPE)
