"""``GET /v1/models`` in the format of OpenAI-compatible servers.

Chat front ends use it to list what their token may see.

Source: https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from discovery.api.authentication import PUBLIC, Caller, own_path
from discovery.api.errors import ApiError, respond
from discovery.models import RegisteredModel
from discovery.services.registry import aliases

_COLUMNS = ("model_id", "added_at", "author")


@require_safe
@login_not_required
def listed(request: HttpRequest) -> HttpResponse:
    try:
        rows = _visible(PUBLIC(request)).order_by("model_id")
    except ApiError as error:
        return respond(error.status, error.detail, error.errors, error.headers)
    return JsonResponse(
        {"object": "list", "data": [_row(*row) for row in rows.values_list(*_COLUMNS).iterator()]}
    )


@require_safe
@login_not_required
def one(request: HttpRequest, model_id: str) -> HttpResponse:
    try:
        record = aliases.find(_visible(PUBLIC(request)).only(*_COLUMNS), model_id)
    except ApiError as error:
        return respond(error.status, error.detail, error.errors, error.headers)
    if record is None:
        return respond(404, f"There is no model {model_id[:200]}.")
    response = JsonResponse(_row(record.model_id, record.added_at, record.author))
    if record.model_id != model_id:
        response["Content-Location"] = own_path(request, record)
    return response


def _visible(caller: Caller) -> Any:
    return RegisteredModel.objects.visible_to(caller.user)


def _row(model_id: str, added_at: datetime, author: str | None) -> dict[str, Any]:
    return {
        "id": model_id,
        "object": "model",
        "created": int(added_at.timestamp()),
        "owned_by": author or "unknown",
    }
