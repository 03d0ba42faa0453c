"""Syncs of registries as jobs: asked for by people and programs, or by their intervals."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from discovery.engine.core.text import clean, plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, RegistryState, RegistrySync
from discovery.services import jobs
from discovery.services.core import event_log
from discovery.services.jobs import Ending
from discovery.services.registries.configured import Configured, configured, connect
from discovery.services.registries.protocol import RegistryError
from discovery.services.registries.sync_run import SyncRun

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: How long a registry that fails is left alone: this, doubled for each failure in a row.
BACKOFF, LONGEST_BACKOFF = timedelta(minutes=5), timedelta(hours=24)
BEAT = 0.5

State = RegistrySync.State


class NotEnabled(Exception):
    """The registry is off, or there is none of this name; the text says which."""


class RegistrySyncs(jobs.Kind[RegistrySync]):
    """One at a time a registry. What one that was cut off has read is not read again."""

    model = RegistrySync
    name = "registry sync"
    is_patient = True
    goes_on = "it begins again by itself."
    stopped = "Stopped: what was read stays, and the next sync goes on with the rest."

    def run(self, job: RegistrySync, **options: Any) -> Ending:
        registry = configured().get(job.registry)
        if registry is None or not registry.settings.enabled:
            return Ending(State.FAILED, f"The registry {job.registry} is not enabled any more.")
        if not job.dry_run:
            _begun(job.registry)
        report = options.get("report", [])
        pulse = jobs.Pulse(job, BEAT)
        run: SyncRun | None = None
        try:
            connection = connect(registry)
            try:
                run = SyncRun(connection, registry, pulse, dry_run=job.dry_run, report=report)
                run.run()
            finally:
                connection.close()
        except RegistryError as error:
            return self._failed(job, run, error)
        if not job.dry_run:
            _worked(job.registry, _sentence(run))
        return Ending(State.DONE, _sentence(run), _columns(run))

    def _failed(self, job: RegistrySync, run: SyncRun | None, error: RegistryError) -> Ending:
        if not job.dry_run:
            _failed(job.registry, error)
        columns = {**(_columns(run) if run else {}), "fault": error.fault}
        return Ending(State.FAILED, clean(str(error), 1_000), columns)


KIND = RegistrySyncs()


def _columns(run: SyncRun) -> dict[str, Any]:
    return {**run.counts.as_dict(), "requests": run.registry.requests}


def _sentence(run: SyncRun) -> str:
    counts = run.counts
    told = [
        f"{plural(counts.done, 'remote model')} read",
        f"{counts.linked:,} newly linked",
        f"{counts.proposed:,} to review",
        plural(counts.updates, "update"),
    ]
    return f"{', '.join(told)}."


def _begun(name: str) -> None:
    """Whatever becomes of it, the next one comes in its own time."""
    RegistryState.objects.update_or_create(
        name=name, defaults={"tried_at": timezone.now(), "retry_at": None}
    )


def _worked(name: str, sentence: str) -> None:
    now = timezone.now()
    fields = {"synced_at": now, "tried_at": now, "fault": "", "message": ""}
    RegistryState.objects.update_or_create(
        name=name, defaults={**fields, "failures_in_a_row": 0, "retry_at": None}
    )
    told = f"the registry {name} was synced: {sentence}"
    event_log.record(LogTopic.METADATA, Severity.INFO, told)


def _failed(name: str, error: RegistryError) -> None:
    """Leave the registry alone for as long as it asks, and for longer with each failure."""
    row, _ = RegistryState.objects.get_or_create(name=name)
    row.failures_in_a_row += 1
    pause = min(BACKOFF * 2 ** min(row.failures_in_a_row - 1, 12), LONGEST_BACKOFF)
    if error.seconds is not None:
        pause = max(pause, timedelta(seconds=error.seconds))
    row.tried_at = timezone.now()
    row.retry_at = row.tried_at + pause
    row.fault, row.message = error.fault, clean(str(error), 1_000)
    row.save()
    event_log.record(
        LogTopic.METADATA, Severity.WARNING, f"the sync of the registry {name} failed. {error}"
    )


# -- asking for one


def request(name: str, *, by: User | None) -> tuple[RegistrySync, bool]:
    """Queue a sync; while one is active, it is that. Raises ``NotEnabled``."""
    enabled(name)
    return KIND.request({"registry": name}, requested_by=by)


def run_now(name: str, *, dry_run: bool, report: list[dict[str, Any]]) -> tuple[RegistrySync, bool]:
    """Sync in this process. Raises ``NotEnabled``; with ``False`` another one is under way."""
    enabled(name)
    job, created = KIND.create({"registry": name}, dry_run=dry_run)
    if created:
        job = jobs.execute(job, report=report)
    return job, created


def enabled(name: str) -> Configured:
    """A registry that may be asked. Raises ``NotEnabled``."""
    registry = configured().get(name)
    if registry is None:
        raise NotEnabled(
            f"There is no registry {clean(name, 60)}: external_registries.json names them."
        )
    if not registry.settings.enabled:
        raise NotEnabled(f"The registry {name} is off. Enable it first.")
    return registry


def request_due() -> None:
    """Queue the syncs whose time has come: a chore of the housekeeper."""
    wanted = [each for each in configured().values() if each.settings.enabled]
    if not wanted:
        return
    states = {row.name: row for row in RegistryState.objects.all()}
    now = timezone.now()
    for registry in wanted:
        due = next_at(registry, states.get(registry.name), now)
        if due is not None and due <= now:
            KIND.request({"registry": registry.name})


def next_at(registry: Configured, state: RegistryState | None, now: datetime) -> datetime | None:
    """When it is synced by itself next; ``None``: it is not."""
    hours = registry.settings.sync_interval_hours
    if not registry.settings.enabled or not hours:
        return None
    if state is None or state.tried_at is None:
        return now
    if state.retry_at is not None:
        return state.retry_at
    return state.tried_at + timedelta(hours=hours)
