"""``ETag``, ``If-Match`` and ``Idempotency-Key``.

They keep programs from overwriting each other's changes, and from making a change twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Schema
from ninja.responses import NinjaJSONEncoder

from discovery.api.authentication import caller_of
from discovery.api.errors import ApiError
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.services.integrations import idempotency
from discovery.services.registry import records

_TAG = re.compile(r'(?:W/)?("[^"]*")')
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


def with_etag(
    request: HttpRequest, record: RegisteredModel, response: HttpResponse
) -> dict[str, Any]:
    """Return the model document, and set its ``ETag`` in the response.

    The tag tells later whether the document has changed.
    """
    shown = records.document(record, Sight(caller_of(request).user))
    response["ETag"] = etag(shown)
    return shown


def etag(shown: dict[str, Any]) -> str:
    """Return the tag of a document.

    It changes with everything but ``last_seen_at``, which every scan updates although the model is
    unchanged.
    """
    shown = {name: value for name, value in shown.items() if name != "last_seen_at"}
    text = json.dumps(shown, sort_keys=True, cls=NinjaJSONEncoder)
    return f'"{blake2b(text.encode(), digest_size=16).hexdigest()}"'


def answered(shown: dict[str, Any], response: HttpResponse) -> dict[str, Any]:
    """Return a document, and set its ``ETag`` in the response."""
    response["ETag"] = etag(shown)
    return shown


def require_seen(request: HttpRequest, shown: dict[str, Any]) -> bool:
    """Raise 412 unless the document is the one that ``If-Match`` names.

    Returns whether the header was sent.
    """
    tags = named_tags(request)
    if tags is not None and etag(shown) not in tags:
        raise ApiError(412, "It was changed since you read it: read it again, and decide anew.")
    return tags is not None


def named_tags(request: HttpRequest) -> set[str] | None:
    """The tags of ``If-Match``; ``None`` where any document will do.

    Compression makes a tag weak on its way out (``W/``); it still names the same document.
    """
    given = request.headers.get("If-Match", "").strip()
    return None if not given or given == "*" else set(_TAG.findall(given))


def stale() -> ApiError:
    return ApiError(412, "The model was changed since you read it: read it again, and decide anew.")


def if_match(request: HttpRequest) -> Callable[[RegisteredModel], bool]:
    """Return a check whether the model still is the one that the caller has read.

    The caller sends its ``ETag`` as ``If-Match``; without the header the check always passes.
    """
    tags = named_tags(request)
    if tags is None:
        return lambda _: True
    sight = Sight(caller_of(request).user)
    return lambda record: etag(records.document(record, sight)) in tags


def once(
    request: HttpRequest, act: Callable[[], tuple[int, Any]], schema: type[Schema]
) -> HttpResponse:
    """Return the result of ``act`` in the shape of ``schema``.

    A repeated ``Idempotency-Key`` gets the result of the first request again.
    """

    def answer() -> tuple[int, Any]:
        status, body = act()
        return status, plain(body, schema)

    key = request.headers.get("Idempotency-Key", "")
    if not key:
        return _json(*answer())
    if not _KEY.fullmatch(key):
        raise ApiError(
            422,
            "The Idempotency-Key cannot be used.",
            errors=[(("header", "Idempotency-Key"), "1 to 200 visible ASCII characters")],
        )
    call = f"{request.method} {request.get_full_path()}\n".encode() + request.body
    try:
        (status, body), again = idempotency.once(caller_of(request).key, key, call, answer)
    except idempotency.KeyReused:
        raise ApiError(
            422,
            "This Idempotency-Key was used for another request.",
            errors=[(("header", "Idempotency-Key"), "take a new one for each request")],
        ) from None
    except idempotency.RequestInProgress:
        raise ApiError(
            409,
            "The first request with this Idempotency-Key is not answered yet.",
            headers={"Retry-After": "1"},
        ) from None
    response = _json(status, body)
    if again:
        response["Idempotency-Replayed"] = "true"
    return response


def as_json(status: int, body: Any, schema: type[Schema]) -> HttpResponse:
    """Return the response with ``body`` in the shape of ``schema``."""
    return _json(status, plain(body, schema))


def plain(body: Any, schema: type[Schema]) -> Any:
    """Return ``body`` as a program reads it in the shape of ``schema``."""
    return json.loads(json.dumps(schema.model_validate(body).model_dump(), cls=NinjaJSONEncoder))


def _json(status: int, body: Any) -> HttpResponse:
    return HttpResponse(
        json.dumps(body), status=status, content_type="application/json; charset=utf-8"
    )
