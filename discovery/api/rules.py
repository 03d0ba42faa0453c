"""``/rules``: the rules that decide categories: read, tried, saved and undone."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from discovery.api import transfer_schemas as schemas
from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.engine.core.service_words import TokenScope
from discovery.models import Right
from discovery.services.core import config_files
from discovery.services.scans import categorization

router = Router(tags=["Rules"])

READ = Access(TokenScope.READ, Right.RULES, Right.VIEW_ALL)
CHANGE = Access(TokenScope.ADMIN, Right.RULES, Right.VIEW_ALL)


@router.get(
    "/rules",
    auth=READ,
    response=schemas.RulesAnswer,
    operation_id="get_rules",
    summary="Rules of categories",
)
# Ninja passes it.
def read(request: HttpRequest, response: HttpResponse) -> dict[str, Any]:  # noqa: ARG001
    """The whole file, and how many models each category has. 409 while the file is broken."""
    return _answer(response)


def _answer(response: HttpResponse) -> dict[str, Any]:
    try:
        document = json.loads(_text())
    except ValueError as error:
        text = f"The rules file is broken: {error}. Fix it on the Rules page."
        raise ApiError(409, text) from None
    response["ETag"] = _tag()
    return {
        "rules": document,
        "shipped": not config_files.RULES.path.exists(),
        "can_undo": categorization.can_undo(),
        "results": [
            {"axis": axis, "category": category, "count": count}
            for (axis, category), count in categorization.counts().items()
        ],
    }


@router.post(
    "/rules/try",
    auth=READ,
    response=schemas.RulesTrial,
    operation_id="try_rules",
    summary="Try rules",
)
# Ninja passes it.
def try_out(request: HttpRequest, payload: schemas.RulesBody) -> dict[str, Any]:  # noqa: ARG001
    """What saving them would do. Nothing is written."""
    trial = categorization.try_out(_parsed(payload))
    return {
        "models": trial.models,
        "changed": trial.changed,
        "kept": trial.kept,
        "moves": [
            {"axis": axis, "before": before, "after": after, "count": count}
            for (axis, before, after), count in trial.moves.most_common()
        ],
        "changes": [
            {
                "model_id": each.model_id,
                "axis": each.axis,
                "before": each.before,
                "after": each.after,
                "why": each.why,
                "kept": each.kept,
            }
            for each in trial.changes
        ],
    }


@router.put(
    "/rules",
    auth=CHANGE,
    response=schemas.RulesAnswer,
    operation_id="save_rules",
    summary="Save rules",
)
def save(
    request: HttpRequest, payload: schemas.RulesBody, response: HttpResponse
) -> dict[str, Any]:
    """They take effect at once: a worker decides every model anew."""
    _parsed(payload)
    _as_seen(request)
    source = json.dumps(payload.rules, ensure_ascii=False)
    try:
        categorization.save(source, by=caller_of(request).person)
    except (OSError, UnicodeEncodeError) as error:
        raise _unwritable(error) from None
    return _answer(response)


@router.post(
    "/rules/undo",
    auth=CHANGE,
    response=schemas.RulesAnswer,
    operation_id="undo_rules",
    summary="Undo the last change of the rules",
)
def undo(request: HttpRequest, response: HttpResponse) -> dict[str, Any]:
    """The version before is in effect again; undoing once more takes that back."""
    _as_seen(request)
    try:
        categorization.undo(by=caller_of(request).person)
    except FileNotFoundError:
        raise ApiError(409, "There is no earlier version of the rules.") from None
    except categorization.InvalidRules as error:
        text = f"The earlier rules are not valid any more: {error.faults[0].reason}"
        raise ApiError(409, text) from None
    except OSError as error:
        raise _unwritable(error) from None
    return _answer(response)


def _parsed(payload: schemas.RulesBody) -> Any:
    try:
        return categorization.parse(json.dumps(payload.rules))
    except categorization.InvalidRules as error:
        raise ApiError(
            422,
            "These are not rules. Nothing changed.",
            errors=[(("body", "rules"), fault.reason) for fault in error.faults],
        ) from None


def _as_seen(request: HttpRequest) -> None:
    tag = request.headers.get("If-Match", "").strip()
    if tag not in ("", "*") and tag.removeprefix("W/") != _tag():
        raise ApiError(412, "The rules were changed since you read them: read them again.")


def _text() -> str:
    return categorization.text().removeprefix("\ufeff")


def _tag() -> str:
    return f'"{hashlib.sha256(_text().encode()).hexdigest()[:16]}"'


def _unwritable(error: Exception) -> ApiError:
    return ApiError(503, f"The rules cannot be written: {getattr(error, 'strerror', error)}.")
