"""The names under which the server answers: ``KAREN_ALLOWED_HOSTS``.

Somebody who opens it under another one is told which name, and which setting allows it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from discovery.api.errors import respond
from discovery.api.middleware import is_api
from discovery.engine.core.text import clean

#: What watches the server asks it by an address of its own choice, and is told no names.
PROBES = ("/healthz", "/readyz", "/metrics")
VARIABLE = "KAREN_ALLOWED_HOSTS"


def known_host(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer 400 with one sentence for a name that is not allowed; probes have any."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        if request.path_info in PROBES:
            # They make no links; what comes after this asks for a name that is allowed.
            request.get_host = lambda: "localhost"  # type: ignore[method-assign]
            return get_response(request)
        try:
            request.get_host()
        except DisallowedHost:
            return _refusal(request)
        return get_response(request)

    return answered


def _refusal(request: HttpRequest) -> HttpResponse:
    name = clean(split_domain_port(request.META.get("HTTP_HOST", ""))[0], 255)
    if is_api(request):
        return respond(400, f"{told(name)} {advice(name)}")
    page = render_to_string(
        "host.html",
        {
            "told": told(name),
            "name": name,
            "variable": VARIABLE,
            "example": ",".join([*settings.ALLOWED_HOSTS, name]),
        },
    )
    return HttpResponse(page, status=400)


def told(name: str) -> str:
    if not name:
        return "The request names no valid host."
    return f"This server does not answer under the name {name}."


def advice(name: str) -> str:
    if not name:
        return "Send a Host header with a name or an address."
    return f"Add {name} to {VARIABLE} and start the server again."
