"""The queue of tasks, in the database or in Redis.

A task that a cluster has taken stays under the cluster's name until it is done.

Each queue ``name`` has a list of waiting tasks and one list for each cluster: ``name@cluster``
holds what the cluster has taken and not acknowledged. When a cluster is gone, whoever notices puts
its list back. Tasks whose signature cannot be verified are moved to ``name@unreadable``: the next
cluster that starts tries them again.

While a cluster runs, the digest of the secret key that signs tasks is stored, so that a cluster
with another key does not start.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from time import sleep
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from discovery.models import QueueKey

try:
    from django_q.brokers.redis_broker import Redis
except ImportError:  # the extra is not installed
    Redis = ORM

UNREADABLE = "unreadable"
#: Seconds for which the key of a cluster is on record after it was last confirmed.
LEASE = 45


class DatabaseBroker(ORM):  # type: ignore[misc]
    """The rows of ``OrmQ``: ``key`` names the holder of a task; ``lock`` is not used."""

    #: The cluster that takes tasks through this broker.
    holder = "nobody"

    def dequeue(self) -> list[tuple[int, str]] | None:
        rows = self.get_connection()
        waiting = rows.filter(key=self.list_key).order_by("pk")[: Conf.BULK]
        taken = [
            (task.pk, task.payload)
            for task in waiting
            if rows.filter(pk=task.pk, key=self.list_key).update(key=self._list(self.holder))
        ]
        if taken:
            return taken
        sleep(Conf.POLL)
        return None

    def fail(self, task_id: int) -> None:
        self.get_connection().filter(pk=task_id).update(key=self._list(UNREADABLE))

    def queue_size(self) -> int:
        return int(self.get_connection().filter(key=self.list_key).count())

    def lock_size(self) -> int:
        return int(self.get_connection().filter(key__startswith=self._list("")).count())

    def purge_queue(self) -> Any:
        self.get_connection().filter(key__startswith=self._list("")).delete()
        return self.get_connection().filter(key=self.list_key).delete()

    def holders(self) -> set[str]:
        """Clusters that have taken tasks and not acknowledged them."""
        held = self.get_connection().filter(key__startswith=self._list(""))
        return {key.partition("@")[2] for key in held.values_list("key", flat=True).distinct()}

    def release(self, holder: str) -> int:
        """Put back what a cluster has taken. Returns how many tasks."""
        held = self.get_connection().filter(key=self._list(holder))
        return int(held.update(key=self.list_key, lock=timezone.now()))

    def payloads(self, holder: str = "") -> Sequence[str]:
        """Tasks that wait, or that a cluster has taken, the oldest first."""
        key = self._list(holder) if holder else self.list_key
        rows = self.get_connection().filter(key=key).order_by("pk")
        return list(rows.values_list("payload", flat=True))

    def oldest(self) -> str | None:
        waiting = self.get_connection().filter(key=self.list_key).order_by("pk")
        return waiting.values_list("payload", flat=True).first()  # type: ignore[no-any-return]

    def claim(self, digest: str, name: str) -> str:
        """Store the key for :data:`LEASE` seconds, or return the cluster that holds another one.

        The result is empty where the key was stored.
        """
        now = timezone.now()
        fields = {"digest": digest, "holder": name, "expires_at": now + timedelta(seconds=LEASE)}
        rows = QueueKey.objects.filter(queue=self.list_key)
        if rows.filter(digest=digest).update(**fields) or rows.filter(expires_at__lt=now).update(
            **fields
        ):
            return ""
        try:
            with transaction.atomic():
                QueueKey.objects.create(queue=self.list_key, **fields)
        except IntegrityError:
            other = rows.exclude(digest=digest).values_list("holder", flat=True).first()
            return other or ""
        return ""

    def yield_claim(self, digest: str, name: str) -> None:
        """Remove the key if it is stored under this name."""
        QueueKey.objects.filter(queue=self.list_key, digest=digest, holder=name).delete()

    def _list(self, holder: str) -> str:
        return f"{self.list_key}@{holder}"


class RedisBroker(Redis):  # type: ignore[misc]
    """Lists of Redis; a task is moved from one to the other in one command (Redis 6.2)."""

    holder = "nobody"

    def dequeue(self) -> list[tuple[bytes, bytes]] | None:
        task = self.connection.blmove(self.list_key, self._list(self.holder), 1, "LEFT", "RIGHT")
        return [(task, task)] if task else None

    def acknowledge(self, task_id: bytes) -> None:
        self.connection.lrem(self._list(self.holder), 1, task_id)

    def delete(self, task_id: bytes) -> None:
        self.acknowledge(task_id)

    def fail(self, task_id: bytes) -> None:
        with self.connection.pipeline() as both:
            both.lrem(self._list(self.holder), 1, task_id)
            both.rpush(self._list(UNREADABLE), task_id)
            both.execute()

    def lock_size(self) -> int:
        return sum(self.connection.llen(self._list(holder)) for holder in self.holders())

    def purge_queue(self) -> Any:
        lists = [self._list(holder) for holder in self.holders()]
        return self.connection.delete(self.list_key, *lists)

    def holders(self) -> set[str]:
        found = self.connection.scan_iter(match=self._list("*"))
        return {key.decode().partition("@")[2] for key in found}

    def release(self, holder: str) -> int:
        """Put the tasks that ``holder`` took back at the front of the queue.

        The last one goes first, so that they wait in the order in which they were taken.
        """
        count = 0
        while self.connection.lmove(self._list(holder), self.list_key, "RIGHT", "LEFT"):
            count += 1
        return count

    def payloads(self, holder: str = "") -> Sequence[bytes]:
        key = self._list(holder) if holder else self.list_key
        return list(self.connection.lrange(key, 0, -1))

    def oldest(self) -> bytes | None:
        return self.connection.lindex(self.list_key, 0)  # type: ignore[no-any-return]

    def claim(self, digest: str, name: str) -> str:
        value = f"{digest} {name}"
        if self.connection.set(self._key, value, ex=LEASE, nx=True):
            return ""
        other, _, holder = (self.connection.get(self._key) or b"").decode().partition(" ")
        if other not in ("", digest):
            return holder
        self.connection.set(self._key, value, ex=LEASE)
        return ""

    def yield_claim(self, digest: str, name: str) -> None:
        if (self.connection.get(self._key) or b"").decode() == f"{digest} {name}":
            self.connection.delete(self._key)

    @property
    def _key(self) -> str:
        return f"{self.list_key}:key"

    def _list(self, holder: str) -> str:
        return f"{self.list_key}@{holder}"


#: What both brokers can do beyond django-q2's.
Keeping = DatabaseBroker | RedisBroker
