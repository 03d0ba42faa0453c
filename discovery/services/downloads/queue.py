"""The queue of downloads: asking for one, pausing, resuming and canceling it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils import timezone

from discovery.engine.core.vocabulary import Severity
from discovery.models import Download, LogTopic
from discovery.services.core import event_log
from discovery.services.downloads import places, planning, remote_files
from discovery.services.downloads.job import KIND
from discovery.services.downloads.planning import Plan, Wish
from discovery.services.integrations import webhooks

if TYPE_CHECKING:
    from django.contrib.auth.models import User

State = Download.State


class NotDownloaded(Exception):
    """Nothing was queued; ``faults`` is {field of the wish: a sentence}."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = dict(faults)


def request(wish: Wish, *, by: User | None) -> tuple[Download, bool]:
    """Queue a download.

    Where it is one already, that is the answer: (download, ``False``); one that had failed goes on.
    Raises ``NotDownloaded`` or ``RegistryError``.
    """
    plan = planning.make(wish)
    return queue(plan, by=by)


def queue(plan: Plan, *, by: User | None) -> tuple[Download, bool]:
    """Like :func:`request`, of a plan."""
    if plan.known is not None:
        if plan.known.state not in Download.OPEN:
            resume(plan.known)
        return plan.known, False
    if plan.faults or plan.place is None:
        raise NotDownloaded(plan.faults)
    job, created = KIND.request(
        {"root": plan.root, "folder": plan.folder},
        registry=plan.registry.name,
        remote_id=plan.model.remote_id,
        revision=plan.model.revision,
        license=plan.model.license[:200],
        files=[remote_files.as_json(file) for file in plan.chosen],
        total_bytes=plan.total_bytes,
        device=plan.place.device,
        requested_by=by,
    )
    same = (job.registry, job.remote_id, job.revision) == (
        plan.registry.name,
        plan.model.remote_id,
        plan.model.revision,
    )
    if not same:  # somebody was faster
        raise NotDownloaded({"folder": f"Another download ({job.remote_id}) goes to this folder."})
    if created:
        who = by.get_username() if by else "a program"
        _record(job, f"download of {job.remote_id} from {job.registry} queued by {who}")
    return job, created


def pause(job: Download) -> bool:
    """Pause a download; ``False`` when it neither waits nor runs.

    A running one pauses within seconds; what is there is kept.
    """
    row = Download.objects.filter(pk=job.pk)
    if row.filter(state=State.QUEUED).update(
        state=State.PAUSED, finished_at=timezone.now(), message="", retry_at=None
    ):
        return True
    return row.filter(state=State.RUNNING).update(pause_requested=True) == 1


def resume(job: Download, *, accept_unsafe: bool = False) -> bool:
    """Let a paused or failed download go on with what is there; ``False`` for any other one.

    ``accept_unsafe``: it is placed although loading it would run code.
    """
    fields: dict[str, object] = {"accepts_unsafe": True} if accept_unsafe else {}
    row = Download.objects.filter(pk=job.pk, state__in=Download.RESUMABLE)
    other = Download.objects.filter(
        root=job.root_id, folder=job.folder, state__in=Download.OPEN
    ).exclude(pk=job.pk)
    if other.exists() or not row.update(
        state=State.QUEUED,
        finished_at=None,
        message="",
        fault="",
        attempts=0,
        retry_at=None,
        pause_requested=False,
        cancel_requested=False,
        goes_on=False,
        interruptions=0,
        dispatched_at=timezone.now(),
        **fields,
    ):
        return False
    job.refresh_from_db()
    KIND.dispatch(job)
    return True


def cancel(job: Download) -> bool:
    """Cancel a download and delete what it has fetched; ``False`` when it was over.

    A running one ends within seconds.
    """
    if KIND.cancel(job):
        job.refresh_from_db()
    else:
        ended = {"finished_at": timezone.now(), "message": KIND.stopped, "goes_on": False}
        rows = Download.objects.filter(pk=job.pk, state__in=Download.RESUMABLE)
        if not rows.update(state=State.CANCELLED, fault="", **ended):
            return False
        job.refresh_from_db()
    if job.state == State.CANCELLED:
        places.remove(job)
        _record(job, f"download of {job.remote_id} from {job.registry} canceled")
        webhooks.after_download(job)
    return True


def clean_up() -> None:
    """A chore: delete what downloads that are over have left where their disk was away."""
    over = Download.objects.filter(state__in=(State.CANCELLED, State.DONE))
    for job in over.exclude(staging=""):
        places.remove(job)


def _record(job: Download, text: str) -> None:
    event_log.record(LogTopic.DISCOVERY, Severity.INFO, text, path=job.folder)
