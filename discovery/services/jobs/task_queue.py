"""What waits in the queue of tasks, in whose hands the rest is, and who may work on it."""

from __future__ import annotations

import hmac
import os
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

from django.db import DatabaseError
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.signing import SignedPackage
from django_q.status import Stat

from discovery.services.jobs.brokers import UNREADABLE, Keeping

try:
    from redis.exceptions import RedisError
except ImportError:  # the extra is not installed

    class RedisError(Exception):  # type: ignore[no-redef]
        """Nothing raises it."""


class Unreachable(Exception):
    """The queue does not answer; the message says why."""


def held() -> set[tuple[str, Any]]:
    """(dotted name, first argument) of every task that waits or is in the hands of a cluster.

    Raises ``Unreachable``.
    """
    with _told():
        broker = _broker()
        lists = [broker.payloads(), *(broker.payloads(holder) for holder in broker.holders())]
    return {(name, argument) for payloads in lists for name, argument in _read(payloads)}


def oldest_waits_since() -> datetime | None:
    """Return when the oldest waiting task was queued.

    Returns ``None`` when no task waits, or its signature cannot be verified. Raises
    ``Unreachable``.
    """
    with _told():
        payload = _broker().oldest()
    task = _unsigned(payload) if payload else None
    return cast("datetime", task["started"]) if task else None


def alive() -> set[str]:
    """The clusters that were heard of in the last seconds. Raises ``Unreachable``."""
    with _told():
        return {_holder(stat) for stat in Stat.get_all(_broker())}


def release(holders: Iterable[str]) -> int:
    """Put back what these clusters have taken. Returns how many tasks. Raises ``Unreachable``."""
    with _told():
        broker = _broker()
        return sum(broker.release(holder) for holder in holders)


def release_unreadable() -> int:
    """Whoever starts with another key may be able to read them. Raises ``Unreachable``."""
    return release([UNREADABLE])


def holders() -> Collection[str]:
    """Clusters in whose hands tasks are, dead or alive. Raises ``Unreachable``."""
    with _told():
        return _broker().holders() - {UNREADABLE}


def refusal(name: str) -> str:
    """Why a cluster must not work on the queue: another one does, with another secret key.

    Empty when it may: then the key is on record for ``brokers.LEASE`` seconds. Raises
    ``Unreachable``.
    """
    with _told():
        other = _broker().claim(_digest(), name)
    if not other:
        return ""
    return (
        f"The task queue {Conf.CLUSTER_NAME} is in use by a cluster with another secret key"
        f" ({other}): it would not understand this one's tasks, nor this one its. Give both the"
        " same KAREN_SECRET_KEY (or the same data folder); to change the key, stop every cluster"
        " first."
    )


def leave(name: str) -> None:
    """Remove the stored key, so that a cluster with another key may start.

    Raises ``Unreachable``.
    """
    with _told():
        _broker().yield_claim(_digest(), name)


def name_of(pid: int | None = None) -> str:
    """How a cluster of this host is called in sentences."""
    return f"process {pid or os.getpid()} on {socket.gethostname()}"


def _broker() -> Keeping:
    return cast("Keeping", get_broker())


def _holder(stat: Any) -> str:
    identity = stat.cluster_id
    return str(getattr(identity, "hex", identity))


def _digest() -> str:
    return hmac.new(Conf.SECRET_KEY.encode(), b"the task queue's key", sha256).hexdigest()


def _read(payloads: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for payload in payloads:
        task = _unsigned(payload)
        if task is not None and isinstance(task.get("func"), str):
            yield task["func"], next(iter(task.get("args", ())), None)


def _unsigned(payload: Any) -> dict[str, Any] | None:
    """``None`` for a task that somebody else has signed: its contents are not to be opened."""
    try:
        return cast("dict[str, Any]", SignedPackage.loads(payload))
    except Exception:  # noqa: BLE001  (a signature that is none, and whatever pickle raises)
        return None


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unreachable(f"Redis cannot be asked: {str(error).rstrip('.')}.") from error
    except DatabaseError as error:
        raise Unreachable(f"the database does not answer: {str(error).strip()}") from error
    except OSError as error:  # the files of the cache
        raise Unreachable(f"it cannot be read: {error.strerror}.") from error
