"""Where a request comes from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def address(request: HttpRequest) -> str:
    """Who asks. Behind proxies it is the address that the outermost trusted one saw."""
    direct = str(request.META.get("REMOTE_ADDR", ""))
    trusted = settings.API_PROXIES
    if not trusted:
        return direct
    seen = [
        part.strip()
        for part in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        if part.strip()
    ]
    return seen[-min(trusted, len(seen))] if seen else direct
