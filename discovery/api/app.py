"""The API itself: its parser, its OpenAPI document, and the routers of all resources."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, NoReturn, TypeVar

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.parser import Parser

from discovery.api import errors
from discovery.api.errors import ApiError
from discovery.api.openapi import Document


class StrictParser(Parser):
    """JSON as its standard has it: neither NaN nor Infinity."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(request.body, parse_constant=_refuse)
        return body


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


class KarenAPI(NinjaAPI):
    @cached_property
    def document(self) -> Document:
        """Made once: endpoints do not change while the server runs."""
        return Document(self, "api/")

    def get_openapi_schema(self, **_: Any) -> Document:
        return self.document


api = KarenAPI(
    title="Karen Admin",
    version="1",
    description=(
        "The registry of AI models on disk: read it, curate it, and ask for scans, validations and"
        " test loads."
    ),
    urls_namespace="api",
    parser=StrictParser(),
    docs_url=None,
)
errors.add_handlers(api)
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@api.add_decorator
def _no_unknown_query(endpoint: Endpoint) -> Endpoint:
    """Reject query parameters that the OpenAPI document does not name.

    An ignored parameter would seem to have worked.
    """

    @wraps(endpoint)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        route = (
            f"/{request.resolver_match.route}".replace("<", "{").replace(">", "}")
            if request.resolver_match
            else ""
        )
        known = api.document.queries[(route, str(request.method))]
        unknown = [name for name in request.GET if name not in known]
        if unknown:
            may_be = f"known are {', '.join(sorted(known))}" if known else "none is known here"
            raise ApiError(
                422,
                "There is no such query parameter.",
                errors=[(("query", name[:80]), f"unknown; {may_be}") for name in unknown],
            )
        return endpoint(request, *args, **kwargs)

    return checked  # type: ignore[return-value]
