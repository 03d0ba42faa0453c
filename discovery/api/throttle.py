"""So many requests in so much time, counted in each web process by itself."""

from __future__ import annotations

import time

from django.core.cache import cache

UNITS = {"s": 1, "min": 60, "h": 3600}


def parse(rate: str) -> tuple[int, int] | None:
    """``"600/min"`` → (600, 60); ``None`` for an empty one, which means no limit."""
    if not rate:
        return None
    count, _, unit = rate.partition("/")
    return int(count), UNITS[unit]


def wait(key: str, rate: str) -> int:
    """Count one request; return 0 when it may pass, else the seconds until the next one may."""
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
