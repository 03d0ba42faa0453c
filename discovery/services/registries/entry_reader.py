"""Reading remote models into their entries, in as few requests as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean
from discovery.models import RemoteEntry
from discovery.services.registries import entries, updates
from discovery.services.registries.protocol import (
    MAX_CARD,
    Registry,
    RegistryError,
    RemoteModel,
)

T = TypeVar("T")

#: Seconds that a sync waits by itself where a registry asks for it, and how often.
SHORT_WAIT, MAX_WAITS = 60.0, 5
#: Remote models in a row that cannot be read before the registry itself is doubted.
MAX_UNREADABLE = 5


@dataclass
class Counts:
    total: int = 0
    done: int = 0
    linked: int = 0
    proposed: int = 0
    updates: int = 0
    changed: int = 0
    errors: int = 0

    def as_dict(self) -> dict[str, int]:
        return dict(vars(self))


@dataclass
class EntryReader:
    """``beat(**columns)`` is called all along; ``keeps``: entries are saved."""

    registry: Registry
    counts: Counts
    beat: Callable[..., None]
    keeps: bool = True
    sleep: Callable[[float], None] = time.sleep
    _waits: int = 0
    _unreadable: int = 0
    _answered: bool = False

    def ask(self, question: Callable[[], T]) -> T:
        """The answer; a registry that asks for a short pause gets it."""
        before = self.registry.requests
        while True:
            try:
                answer = question()
            except RegistryError as error:
                if error.fault != RegistryFault.BUSY or not self._may_wait(error):
                    raise
                self._waits += 1
                self._pause(error.seconds or 1.0)
                continue
            self._answered |= self.registry.requests > before
            return answer

    def _may_wait(self, error: RegistryError) -> bool:
        return error.seconds is not None and error.seconds <= SHORT_WAIT and self._waits < MAX_WAITS

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.beat()
            self.sleep(min(left, 1.0))

    def read_all(self, ids: list[str]) -> dict[str, RemoteEntry]:
        rows = RemoteEntry.objects.filter(registry=self.registry.name, remote_id__in=ids)
        known = {entry.remote_id: entry for entry in rows}
        summaries = self.ask(lambda: list(self.registry.summaries(ids)))
        told = {each.remote_id: each for each in summaries}
        found = {}
        for remote_id in ids:
            entry = known.get(remote_id) or RemoteEntry(
                registry=self.registry.name, remote_id=remote_id
            )
            if self._read_one(entry, told.get(remote_id)):
                found[remote_id] = entry
            self.counts.done += 1
            self.beat(**self.counts.as_dict(), requests=self.registry.requests)
        return found

    def _read_one(self, entry: RemoteEntry, summary: RemoteModel | None) -> bool:
        """Bring an entry up to date in as few requests as it takes; whether it is there."""
        before = entries.state(entry)
        is_current = summary is not None and entry.revision == summary.revision != ""
        if summary is not None and is_current and entry.read_at:
            entries.take(entry, replace(summary, files=None))
            self._save(entry, before)
            return True
        try:
            model = summary
            if model is None or model.files is None:
                model = self.ask(lambda: self.registry.model(entry.remote_id))
            entries.take(entry, model)
            self._read_card(entry, model)
        except RegistryError as error:
            return self._failed(entry, error)
        self._unreadable = 0
        self._save(entry, before)
        return True

    def _read_card(self, entry: RemoteEntry, model: RemoteModel) -> None:
        """The card, if its file has changed. One that is not given to us is not an error."""
        file = next((f for f in model.files or () if f.path in updates.CARDS), None)
        digest = (file.git_sha1 or file.sha256) if file else model.revision[-64:]
        if digest and digest == entry.card_digest:
            return
        try:
            entry.card = clean(self.ask(lambda: self.registry.card(model)), MAX_CARD)
        except RegistryError as error:
            if not (error.is_about_one_model or error.fault == RegistryFault.KEY):
                raise
            entry.card, digest = "", ""
        entry.card_digest = digest

    def _failed(self, entry: RemoteEntry, error: RegistryError) -> bool:
        """Note it, or raise where it is about the registry and not about this model."""
        self._unreadable += error.fault == RegistryFault.UNREADABLE
        is_its_own = error.is_about_one_model or (
            error.fault == RegistryFault.KEY and self._answered
        )
        if not is_its_own and (
            error.fault != RegistryFault.UNREADABLE or self._unreadable >= MAX_UNREADABLE
        ):
            raise error
        # What a local model only seems to name need not exist.
        if entry.pk is not None:
            self.counts.errors += 1
            entries.fail(entry, error)
            self._save(entry, {})
        elif error.fault != RegistryFault.GONE and error.fault != RegistryFault.NAME:
            self.counts.errors += 1
        return False

    def _save(self, entry: RemoteEntry, before: dict[str, Any]) -> None:
        if not self.keeps:
            return
        if entry.pk is not None:
            if entries.state(entry) != before:
                entry.save()
            return
        # Somebody may link to the same one at this moment.
        names = [field.name for field in RemoteEntry._meta.concrete_fields if field.name != "id"]
        RemoteEntry.objects.bulk_create(
            [entry],
            update_conflicts=True,
            unique_fields=["registry", "remote_id"],
            update_fields=[name for name in names if name not in ("registry", "remote_id")],
        )
