"""So many requests in so much time, counted in each web process by itself."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.core.cache import cache

UNITS = {"s": 1, "min": 60, "h": 3600}


def parse(rate: str) -> tuple[int, int] | None:
    """``"600/min"`` → (600, 60); ``None`` for an empty one, which means no limit."""
    if not rate:
        return None
    count, _, unit = rate.partition("/")
    return int(count), UNITS[unit]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of so many requests in so much time, with the request that was just counted.

    ``seconds`` are left of the period; then all of ``limit`` may be made again.
    """

    limit: int
    remaining: int
    seconds: int
    is_spent: bool

    @property
    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-06 has them."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.seconds),
        }


def count(key: str, rate: str) -> Allowance | None:
    """Count one request; ``None`` where there is no limit."""
    limit = parse(rate)
    if limit is None:
        return None
    allowed, period = limit
    now = time.time()
    name = f"api-requests:{key}:{int(now // period)}"
    if cache.add(name, 1, period + 1):
        made = 1
    else:
        try:
            made = cache.incr(name)
        except ValueError:  # it was thrown out in between: the cache was full
            made = 1
    left = int(period - now % period) + 1
    return Allowance(allowed, max(allowed - made, 0), left, made > allowed)
