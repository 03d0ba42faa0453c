"""Imports as the pages make them: a file is kept and checked, and then applied or thrown away. Long ones are left to a worker."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from django.utils import timezone
from django_q.tasks import async_task

from discovery.engine.text import clean
from discovery.models import MetadataImport
from discovery.services import imports, liveness
from discovery.services.import_files import UnreadableFile
from discovery.services.imports import Report

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

#: A longer file is imported by the command, which reads it from disk.
MAX_BYTES = 20 << 20
#: Files up to this size are checked while somebody waits; so many models are changed so.
AT_ONCE_BYTES, AT_ONCE_MODELS = 256 << 10, 200
#: Seconds between writes to the row of a running import.
BEAT = 1.0
#: Imports that were neither applied nor thrown away are forgotten after so many days, with their files.
KEEP_DAYS = 14

State, Stage = MetadataImport.State, MetadataImport.Stage


def submit(name: str, content: bytes, by: User) -> MetadataImport:
    """Keeps a file and checks it, at once or by a worker. Raises ``UnreadableFile`` for what a first look refuses."""
    MetadataImport.objects.filter(
        created_at__lt=timezone.now() - timedelta(days=KEEP_DAYS)
    ).exclude(state__in=MetadataImport.ACTIVE).delete()
    if len(content) > MAX_BYTES:
        raise UnreadableFile(
            f"The file has more than {MAX_BYTES >> 20} MB. Import it on the server: python manage.py import_metadata FILE"
        )
    told = clean(name, 200) or "file"
    if len(content) > AT_ONCE_BYTES:
        run = MetadataImport.objects.create(
            name=told, content=content, requested_by=by, batch=uuid4()
        )
        _queue(run)
        return run
    report = imports.check(io.BytesIO(content))
    now = timezone.now()
    return MetadataImport.objects.create(
        name=told, content=content, requested_by=by, batch=uuid4(), state=State.DONE, started_at=now, finished_at=now,
        report=report.as_json(), done=report.rows,
    )  # fmt: skip


def apply(run: MetadataImport, by: User, *, skip_errors: bool) -> bool:
    """Begins to import a checked file, in the name of ``by``; ``False`` when that is under way or done already."""
    checked = MetadataImport.objects.filter(pk=run.pk, stage=Stage.CHECK, state=State.DONE)
    again = MetadataImport.objects.filter(
        pk=run.pk, stage=Stage.APPLY, state__in=(State.FAILED, State.INTERRUPTED)
    )
    begin = {
        "stage": Stage.APPLY,
        "state": State.QUEUED,
        "skip_errors": skip_errors,
        "requested_by": by,
        "done": 0,
        "message": "",
    }
    if not (checked.update(**begin) or again.update(**begin)):
        return False
    run.refresh_from_db()
    if run.report.get("changed", 0) <= AT_ONCE_MODELS and len(run.content) <= AT_ONCE_BYTES:
        execute(run)
    else:
        _queue(run)
    return True


def discard(run: MetadataImport) -> bool:
    """Forgets the file; ``False`` while it is being read."""
    return bool(MetadataImport.objects.filter(pk=run.pk).exclude(state=State.RUNNING).delete()[0])


def _queue(run: MetadataImport) -> None:
    async_task("discovery.tasks.run_import", run.pk, task_name=f"import {run.pk}")


def execute(run: MetadataImport) -> MetadataImport:
    """Does what is queued in this process, and returns the import as it ended; one that somebody else has begun as it is."""
    begun = MetadataImport.objects.filter(pk=run.pk, state=State.QUEUED).update(
        state=State.RUNNING, **liveness.mine()
    )
    run = MetadataImport.objects.select_related("requested_by").get(pk=run.pk)
    if not begun:
        return run
    try:
        report = _do(run)
    except UnreadableFile as error:
        _finish(run, State.FAILED, str(error))
    except Exception as error:
        logger.exception("import %s failed", run.pk)
        _finish(
            run,
            State.FAILED,
            f"It broke off ({type(error).__name__}: {error}); please report this.",
        )
    else:
        applied = run.stage == Stage.APPLY and report.batch is not None
        refused = run.stage == Stage.APPLY and report.batch is None and report.wrong
        message = "Nothing was imported: rows became wrong since the check." if refused else ""
        _finish(run, State.FAILED if refused else State.DONE, message, report)
        if applied:
            MetadataImport.objects.filter(pk=run.pk).update(content=b"")
    run.refresh_from_db()
    return run


def _do(run: MetadataImport) -> Report:
    file, tick = io.BytesIO(bytes(run.content)), _pulse(run)
    if run.stage == Stage.CHECK:
        return imports.check(file, tick=tick)
    return imports.apply(
        file, by=run.requested_by, skip_errors=run.skip_errors, batch=run.batch, tick=tick
    )


def _pulse(run: MetadataImport) -> Callable[[int], None]:
    """Keeps the heartbeat and the count, at most once in ``BEAT`` seconds."""
    due = time.monotonic()

    def tick(done: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + BEAT
            MetadataImport.objects.filter(pk=run.pk).update(done=done, heartbeat_at=timezone.now())

    return tick


def _finish(
    run: MetadataImport, state: MetadataImport.State, message: str, report: Report | None = None
) -> None:
    """What came of it is written even where the import was taken for dead: it stands."""
    told = {"report": report.as_json(), "done": report.rows} if report else {}
    MetadataImport.objects.filter(pk=run.pk).update(
        state=state, finished_at=timezone.now(), message=clean(message, 2000), **told
    )


def reap() -> int:
    """Marks imports whose process is gone as interrupted; returns how many."""
    dead = [
        run
        for run in MetadataImport.objects.filter(state=State.RUNNING).defer("content")
        if not liveness.is_alive(run)
    ]
    for run in dead:
        left = (
            "Whole batches stand: import it again, or take back what was done."
            if run.skip_errors
            else "Nothing was written: try again."
        )
        _finish(run, State.INTERRUPTED, f"The process that did it is gone. {left}")
    return len(dead)


def dispatch_queued() -> int:
    """Puts queued imports on the queue again after a restart: each begins once, however often it is dispatched."""
    runs = list(MetadataImport.objects.filter(state=State.QUEUED).defer("content"))
    for run in runs:
        _queue(run)
    return len(runs)
