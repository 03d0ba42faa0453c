"""So many requests in so much time, counted in each web process by itself."""

from __future__ import annotations

import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

UNITS = {"s": 1, "min": 60, "h": 3600}


def parse(rate: str) -> tuple[int, int] | None:
    """``"600/min"`` → (600, 60); ``None`` for an empty one, which means no limit."""
    if not rate:
        return None
    count, _, unit = rate.partition("/")
    return int(count), UNITS[unit]


def wait(key: str, rate: str) -> int:
    """Counts one request; 0 when it may pass, else the seconds until the next one may."""
    limit = parse(rate)
    if limit is None:
        return 0
    allowed, period = limit
    now = time.time()
    name = f"api-requests:{key}:{int(now // period)}"
    if cache.add(name, 1, period + 1):
        count = 1
    else:
        try:
            count = cache.incr(name)
        except ValueError:  # it was thrown out in between: the cache was full
            count = 1
    return 0 if count <= allowed else int(period - now % period) + 1


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
