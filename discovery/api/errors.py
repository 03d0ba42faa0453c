"""All errors have one shape.

It is ``{"detail": "one sentence", "errors": [{"loc": [...], "msg": "..."}]}``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import HttpError, ValidationError

from discovery.engine.core.text import plural
from discovery.models.registry import sees_all
from discovery.services.core import failures
from discovery.services.machine.root_probes import RootSilent
from discovery.services.metadata.metadata import InvalidMetadata

if TYPE_CHECKING:
    from ninja import NinjaAPI

logger = logging.getLogger(__name__)

Loc = tuple[str | int, ...]

#: What is said where nothing more is known.
SENTENCES = {
    400: "The request cannot be understood.",
    401: "Sign in, or send a token as Authorization: Bearer TOKEN.",
    403: "You may not do this.",
    404: "There is nothing here.",
    405: "This address does not take that method.",
    409: "This conflicts with what is there.",
    412: "It was changed since you read it.",
    413: "The body is larger than 5 MiB.",
    422: "The request is well-formed but wrong.",
    429: "Too many requests.",
    500: "The server failed to answer. The log of the server has the details.",
    503: "The server cannot answer now. Try again in a moment.",
}

RETRY = {"Retry-After": "1"}

#: Faults told at once; a body of 1,000 wrong items needs no longer answer than that.
MAX_TOLD = 100


class ApiError(Exception):
    """An answer other than success, raised where it becomes clear."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        errors: Sequence[tuple[Loc, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail or SENTENCES[status]
        self.errors = errors
        self.headers = dict(headers or {})


def shape(detail: str, errors: Sequence[tuple[Loc, str]] = ()) -> dict[str, Any]:
    return {
        "detail": detail,
        "errors": [{"loc": list(loc), "msg": msg} for loc, msg in errors[:MAX_TOLD]],
    }


def respond(
    status: int,
    detail: str = "",
    errors: Sequence[tuple[Loc, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    body = json.dumps(shape(detail or SENTENCES.get(status, SENTENCES[400]), errors))
    response = HttpResponse(
        body, status=status, content_type="application/json", headers=dict(headers or {})
    )
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def invalid(error: InvalidMetadata, *before: str | int) -> list[tuple[Loc, str]]:
    """The faults of curated values, each with its place in the body."""
    return [((*before, name), text) for name, text in error.errors.items()]


def add_handlers(api: NinjaAPI) -> None:
    handlers: dict[type[Exception], Any] = {
        ApiError: _api_error,
        HttpError: _http_error,
        Http404: _not_found,
        InvalidMetadata: _invalid_metadata,
        RootSilent: _silent,
        TooManyFieldsSent: _too_many,
        Exception: _unforeseen,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def _api_error(_request: HttpRequest, error: ApiError) -> HttpResponse:
    return respond(error.status, error.detail, error.errors, error.headers)


def _http_error(_request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == 400 and error.__cause__ is not None:
        return respond(400, "The body is not valid JSON.", [(("body",), _why(error.__cause__))])
    return respond(error.status_code, str(error))


def _why(cause: BaseException) -> str:
    if isinstance(cause, json.JSONDecodeError):
        return f"{cause.msg}, at line {cause.lineno} column {cause.colno}"
    if isinstance(cause, RecursionError):
        return "it is nested too deep"
    if isinstance(cause, UnicodeDecodeError):
        return f"it is not UTF-8, at byte {cause.start}"
    return str(cause)[:200]


def validation_error(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [
        (_loc(item["loc"]), str(item["msg"]).removeprefix("Value error, ")) for item in error.errors
    ]
    return respond(422, f"{plural(len(errors), 'value')} in the request cannot be used.", errors)


def _loc(told: Sequence[str | int]) -> Loc:
    """Without the name of the handler's own argument, which says nothing to the caller."""
    where = tuple(told)
    return (where[0], *where[2:]) if len(where) > 1 and where[1] in ("payload", "query") else where


def _not_found(_request: HttpRequest, error: Http404) -> HttpResponse:
    return respond(404, str(error))


def _invalid_metadata(_request: HttpRequest, error: InvalidMetadata) -> HttpResponse:
    return respond(
        422,
        f"{plural(len(error.errors), 'field')} cannot be set like that; nothing was changed.",
        invalid(error, "body"),
    )


def _silent(request: HttpRequest, error: RootSilent) -> HttpResponse:
    """Name the silent folder to people who see every model."""
    logger.warning("%s %s: %s", request.method, request.path, error)
    caller = getattr(getattr(request, "auth", None), "user", request.user)
    return respond(
        503, str(error) if sees_all(caller) else error.plain, headers={"Retry-After": "10"}
    )


def too_many() -> ApiError:
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    return ApiError(400, f"The request has more than {most:,} parameters: send fewer.")


def _too_many(request: HttpRequest, _error: TooManyFieldsSent) -> HttpResponse:
    return _api_error(request, too_many())


def _unforeseen(request: HttpRequest, error: Exception) -> HttpResponse:
    """Explain failures of the installation.

    The rest is a fault of ours: Django logs it and answers 500; the middleware gives that the
    shape.
    """
    failure = failures.explain(error)
    if failure is None and isinstance(error, (OperationalError, InterfaceError)):
        logger.error("%s %s: the database did not answer: %s", request.method, request.path, error)
        return respond(503, headers=RETRY)
    if failure is None or not failure.cause.meets_requests:
        raise error
    logger.error("%s %s: %s", request.method, request.path, failure)
    return respond(503, failure.cause.sentence, headers=RETRY)
