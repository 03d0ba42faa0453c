"""Make a change only once when a program requests it twice under one key.

Programs may repeat a request that got no response.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from discovery.models import IdempotentCall

KEPT = timedelta(hours=24)
#: A first call that was not answered in this time has died with its process: its key may be used
#: again.
DEAD = timedelta(minutes=5)

Answer = tuple[int, Any]


class KeyReused(Exception):
    """The key was used for something else before."""


class RequestInProgress(Exception):
    """The first call under this key has not been answered yet."""


def once(caller: str, key: str, request: bytes, act: Callable[[], Answer]) -> tuple[Answer, bool]:
    """``act()`` → (status, JSON), or what it gave the first time; ``True`` with the latter.

    What ``act`` raises frees the key.

    Raises ``KeyReused`` or ``RequestInProgress``.
    """
    digest = sha256(request).hexdigest()
    now = timezone.now()
    IdempotentCall.objects.filter(created_at__lt=now - KEPT).delete()
    IdempotentCall.objects.filter(status=None, created_at__lt=now - DEAD).delete()
    try:
        with transaction.atomic():
            call = IdempotentCall.objects.create(
                caller=caller, key=key, request=digest, created_at=now
            )
    except IntegrityError:
        return _earlier(caller, key, digest), True
    try:
        status, body = act()
    except BaseException:
        call.delete()
        raise
    IdempotentCall.objects.filter(pk=call.pk).update(status=status, body=body)
    return (status, body), False


def _earlier(caller: str, key: str, digest: str) -> Answer:
    call = IdempotentCall.objects.filter(caller=caller, key=key).first()
    if call is not None and call.request != digest:
        raise KeyReused
    if call is None or call.status is None:
        raise RequestInProgress
    return call.status, call.body
