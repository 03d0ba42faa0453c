"""The registries of the config file as pages and programs show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone

from discovery.engine.core.service_words import MatchState, RegistryFault
from discovery.models import RegistryState, RegistrySync, RemoteMatch
from discovery.services.core import config_files
from discovery.services.registries.configured import Configured, Key, configured
from discovery.services.registries.syncing import next_at


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One registry. ``key`` tells where its key comes from, never what it is."""

    registry: Configured
    state: RegistryState | None
    sync: RegistrySync | None
    linked: int
    to_review: int
    updates: int
    next_at: datetime | None
    key: Key

    @property
    def name(self) -> str:
        return self.registry.name

    @property
    def is_syncing(self) -> bool:
        return self.sync is not None and self.sync.is_active

    @property
    def word(self) -> str:
        """Its state in a word."""
        if not self.registry.settings.enabled:
            return "Off"
        if self.state is not None and self.state.fault:
            return RegistryFault.label_of(self.state.fault)
        return "On" if self.state and self.state.synced_at else "Not synced yet"

    @property
    def tone(self) -> str:
        if not self.registry.settings.enabled:
            return "plain"
        if self.state is not None and self.state.fault:
            return RegistryFault.tone_of(self.state.fault)
        return "ok" if self.state and self.state.synced_at else "accent"

    def as_json(self) -> dict[str, Any]:
        settings, state = self.registry.settings, self.state
        return {
            "name": self.name,
            "label": self.registry.label,
            "kind": settings.kind,
            "enabled": settings.enabled,
            "endpoint": self.registry.endpoint or None,
            "has_key": bool(self.key.value),
            "key_note": self.key.note or None,
            "sync_interval_hours": settings.sync_interval_hours,
            "auto_download": settings.auto_download,
            "include": list(settings.include),
            "exclude": list(settings.exclude),
            "state": self.word,
            "fault": state.fault or None if state else None,
            "message": state.message or None if state else None,
            "synced_at": state.synced_at if state else None,
            "retry_at": state.retry_at if state else None,
            "next_sync_at": self.next_at,
            "sync_id": self.sync.pk if self.sync and self.sync.is_active else None,
            "linked": self.linked,
            "to_review": self.to_review,
            "updates": self.updates,
        }


def rows() -> list[RegistryRow]:
    """All registries, the enabled ones first; four queries."""
    states = {row.name: row for row in RegistryState.objects.all()}
    newest = RegistrySync.objects.order_by().values("registry").annotate(last=Max("pk"))
    syncs = {
        sync.registry: sync for sync in RegistrySync.objects.filter(pk__in=newest.values("last"))
    }
    counts: dict[str, dict[str, Any]] = {
        row["registry"]: dict(row)
        for row in RemoteMatch.objects.order_by()
        .values("registry")
        .annotate(
            linked=Count("pk", filter=Q(state=MatchState.ACCEPTED)),
            to_review=Count("pk", filter=Q(state=MatchState.PROPOSED)),
            updates=Count("pk", filter=Q(state=MatchState.ACCEPTED, has_update=True)),
        )
    }
    now = timezone.now()
    found = [
        RegistryRow(
            registry,
            states.get(name),
            syncs.get(name),
            counts.get(name, {}).get("linked", 0),
            counts.get(name, {}).get("to_review", 0),
            counts.get(name, {}).get("updates", 0),
            next_at(registry, states.get(name), now),
            registry.key(),
        )
        for name, registry in configured().items()
    ]
    return sorted(found, key=lambda row: not row.registry.settings.enabled)


def row_of(name: str) -> RegistryRow | None:
    return next((row for row in rows() if row.name == name), None)


def faults() -> list[str]:
    """Why the config file is not in force, if it is not."""
    return [str(fault) for fault in config_files.REGISTRIES.faults()]
