"""``/api/docs`` and ``/api/examples``: the OpenAPI document as pages, to read and to try.

Nothing on them comes from elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from discovery.api.app import api
from discovery.api.errors import respond
from discovery.api.examples import EXAMPLES


@dataclass(frozen=True, slots=True)
class Parameter:
    """``choices`` of a parameter that takes one of a few words; ``many`` may be repeated."""

    name: str
    place: str
    required: bool
    kind: str
    description: list[str]
    default: str
    choices: tuple[str, ...]
    many: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """``description`` are pieces of text, every second one code."""

    name: str
    method: str
    path: str
    summary: str
    description: list[str]
    parameters: list[Parameter]
    body: str
    responses: list[tuple[str, str]]


@require_safe
@login_not_required
def root(request: HttpRequest) -> HttpResponse:
    """What is there: where the documents are, and every call in a line."""
    if request.GET:
        place = (("query", next(iter(request.GET))[:80]), "unknown; none is known here")
        return respond(422, "There is no such query parameter.", [place])
    here = request.build_absolute_uri
    calls = [
        {
            "call": f"{method.upper()} {path}",
            "summary": details["summary"],
            "operation_id": details["operationId"],
        }
        for path, methods in api.document["paths"].items()
        for method, details in methods.items()
    ]
    told = {
        "name": api.title,
        "version": api.version,
        "openapi": here(reverse("api:openapi-json")),
        "docs": here(reverse("openapi-page")),
        "examples": here(reverse("openapi-examples")),
        "count": len(calls),
        "calls": calls,
    }
    return JsonResponse(told)


@require_safe
@login_not_required
def docs(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        "discovery/api_docs.html",
        {**_frame(request), "groups": _groups()},
    )


@require_safe
@login_not_required
def examples(request: HttpRequest) -> HttpResponse:
    here = request.build_absolute_uri("/").rstrip("/")
    return render(
        request,
        "discovery/api_examples.html",
        {**_frame(request), "examples": EXAMPLES, "here": here},
    )


def _frame(request: HttpRequest) -> dict[str, Any]:
    """Whoever is signed in keeps the pages' frame around it."""
    return {"frame": "base.html" if request.user.is_authenticated else "discovery/api_frame.html"}


def _groups() -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for path, methods in api.document["paths"].items():
        for method, details in methods.items():
            groups.setdefault(details["tags"][0], []).append(_operation(path, method, details))
    return groups


def _operation(path: str, method: str, details: dict[str, Any]) -> Operation:
    body = (
        details.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    )
    return Operation(
        name=details["operationId"],
        method=method.upper(),
        path=path,
        summary=details["summary"],
        description=details["description"].split("`"),
        parameters=[_parameter(item) for item in details["parameters"]],
        body=json.dumps(_sample(body), indent=2) if body else "",
        responses=sorted(
            (str(status), response["description"])
            for status, response in details["responses"].items()
        ),
    )


def _parameter(item: dict[str, Any]) -> Parameter:
    schema = item["schema"]
    many = schema.get("type") == "array"
    inner = schema.get("items", schema) if many else schema
    choices = [
        str(word)
        for part in (inner, *inner.get("anyOf", ()))
        for word in part.get("enum", [part["const"]] if "const" in part else [])
    ]
    default = schema.get("default")
    return Parameter(
        name=item["name"],
        place=item["in"],
        required=item["required"],
        kind="repeatable" if many else _kind(inner),
        description=item.get("description", "").split("`"),
        default="" if default in (None, [], "", False) else str(default),
        choices=("true", "false") if inner.get("type") == "boolean" else tuple(choices),
        many=many,
    )


def _kind(schema: dict[str, Any]) -> str:
    kinds = [part.get("type", "") for part in (schema, *schema.get("anyOf", ()))]
    return next((kind for kind in kinds if kind and kind != "null"), "string")


def _sample(schema: dict[str, Any], depth: int = 0) -> Any:
    """A body to begin with: required fields and a few others, as small as they may be."""
    if "$ref" in schema:
        schema = api.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return _sample(schema["anyOf"][0], depth)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        wanted = [name for name in fields if name in schema.get("required", ())] or list(fields)[
            : 3 if depth == 0 else 0
        ]
        return {name: _sample(fields[name], depth + 1) for name in wanted}
    if kind == "array":
        return [_sample(schema["items"], depth + 1)] if "items" in schema else []
    return {"integer": schema.get("minimum", 0), "number": 0, "boolean": False}.get(str(kind), "")
