"""Whether the current request only reads, so that nothing may be written.

What is noticed on the way is noted by the next job that meets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_only_reads: ContextVar[bool] = ContextVar("only_reads", default=False)


def only_reads() -> bool:
    return _only_reads.get()


@contextmanager
def reading() -> Iterator[None]:
    token = _only_reads.set(True)
    try:
        yield
    finally:
        _only_reads.reset(token)
