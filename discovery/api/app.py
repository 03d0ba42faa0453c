"""The API itself: its parser, its OpenAPI document, and the routers of all resources."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from typing import Any, NoReturn, TypeVar

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Router
from ninja.errors import ValidationError, ValidationErrorContext
from ninja.operation import Operation
from ninja.parser import Parser

from discovery.api import closed_lists, errors, fault_words
from discovery.api.errors import ApiError
from discovery.api.openapi import Document
from discovery.engine.core.text import nearest
from discovery.services.core.endpoint_addresses import UNSTORABLE


class StrictParser(Parser):
    """JSON as its standard has it: neither NaN nor Infinity."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(
            request.body, parse_constant=_refuse, object_pairs_hook=_object
        )
        return body


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each of whose names stands there once: the first one would be lost unseen."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has “{twice[:80]}” twice")
    return found


class KarenAPI(NinjaAPI):
    @cached_property
    def document(self) -> Document:
        """Made once: endpoints do not change while the server runs."""
        return Document(self, "api/")

    def validation_error_from_error_contexts(
        self, error_contexts: list[ValidationErrorContext[Any]]
    ) -> ValidationError:
        """Ninja's, with the nearest word where a value is not of its closed list.

        Values themselves are left out of errors: they may be secrets.
        """
        found = super().validation_error_from_error_contexts(error_contexts)
        faults = [
            (dict(fault), context.model)
            for context in error_contexts
            for fault in context.pydantic_validation_error.errors(include_url=False)
        ]
        for told, (fault, model) in zip(found.errors, faults, strict=True):
            told["msg"] = fault_words.of_validation(fault, model) or told["msg"]
        return found

    def get_operation_url_name(self, operation: Operation, router: Router) -> str:
        """Functions of two modules may have one name, operations never do."""
        return str(operation.operation_id)

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
def _only_known_query(endpoint: Endpoint) -> Endpoint:
    """Reject query parameters that the OpenAPI document does not name, or that come twice or empty.

    An ignored parameter would seem to have worked.
    """

    @wraps(endpoint)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if refused := _refused_query(request):
            raise refused
        return endpoint(request, *args, **kwargs)

    return checked  # type: ignore[return-value]


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Tell what is wrong with the query itself first: that is why its values cannot be read."""
    if refused := _refused_query(request):
        return api.on_exception(request, refused)
    return errors.validation_error(request, error)


def _refused_query(request: HttpRequest) -> ApiError | None:
    match = request.resolver_match
    route = f"/{match.route}".replace("<", "{").replace(">", "}") if match else ""
    known = api.document.queries[(route, str(request.method))]
    try:
        given = request.GET
    except TooManyFieldsSent:
        return errors.too_many()
    if unknown := [name for name in given if name not in known]:
        return ApiError(
            422,
            "There is no such query parameter.",
            errors=[(("query", name[:80]), _not_there(name, known)) for name in unknown],
        )
    faults = [(name, _fault(given.getlist(name), known[name])) for name in given]
    if wrong := [(("query", name), text) for name, text in faults if text]:
        return ApiError(422, "A query parameter cannot be used.", errors=wrong)
    return None


def _not_there(name: str, known: Mapping[str, Any]) -> str:
    if not known:
        return "unknown; none is known here"
    meant = nearest(name, known)
    meant = f"did you mean {meant}? " if meant else ""
    return f"unknown; {meant}known are {', '.join(sorted(known))}"


def _fault(values: list[str], parameter: Mapping[str, Any]) -> str:
    """What is wrong with how often, or how empty, a parameter comes, or with its characters."""
    if parameter["schema"].get("type") != "array" and len(values) > 1:
        return f"it comes {len(values)} times, and takes one value"
    if parameter["name"] != "cursor" and not all(map(str.strip, values)):
        return closed_lists.EMPTY
    if any(map(UNSTORABLE.search, values)):
        return "it has characters that cannot be stored, such as NUL"
    return ""
