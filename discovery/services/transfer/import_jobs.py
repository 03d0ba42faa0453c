"""Imports on the pages: a file is stored and checked, and then applied or discarded.

Long ones are left to a worker.
"""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from discovery.engine.core.service_words import ImportStage
from discovery.engine.core.text import clean
from discovery.models import MetadataImport
from discovery.services import jobs
from discovery.services.core import config_files
from discovery.services.jobs import Ending
from discovery.services.transfer import importer
from discovery.services.transfer.import_parsing import UnreadableFile
from discovery.services.transfer.importer import ImportReport, Overtaken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: A longer file is imported by the command, which reads it from disk.
MAX_BYTES = 20 << 20
#: Files up to this size are checked while somebody waits; so many models are changed so.
AT_ONCE_BYTES, AT_ONCE_MODELS = 256 << 10, 200
#: Seconds between writes to the row of a running import.
BEAT = 1.0
#: Imports that were neither applied nor thrown away are forgotten after so many days, with their
#: files.

OVERTAKEN = (
    "Some of these values were changed since the file was checked, so nothing was imported. See"
    " what would change now, then import again."
)

State = MetadataImport.State


def submit(name: str, content: bytes, by: User) -> MetadataImport:
    """Store a file and check it, at once or by a worker.

    Raises ``UnreadableFile`` for what a first look refuses.
    """
    MetadataImport.objects.filter(
        created_at__lt=timezone.now() - timedelta(days=config_files.retention().import_days)
    ).exclude(state__in=MetadataImport.ACTIVE).delete()
    if len(content) > MAX_BYTES:
        raise UnreadableFile(
            f"The file has more than {MAX_BYTES >> 20} MB. Import it on the server: python"
            " manage.py import_metadata FILE"
        )
    told = clean(name, 200) or "file"
    if len(content) > AT_ONCE_BYTES:
        return KIND.request(name=told, content=content, requested_by=by, batch=uuid4())[0]
    report = importer.check(io.BytesIO(content))
    now = timezone.now()
    return MetadataImport.objects.create(
        name=told, content=content, requested_by=by, batch=uuid4(), state=State.DONE,
        started_at=now, finished_at=now,
        report=report.as_json(), done=report.rows,
    )  # fmt: skip


def apply(run: MetadataImport, by: User, *, skip_errors: bool) -> bool:
    """Start to import a checked file in the name of ``by``.

    Returns ``False`` when that is running or finished already.
    """
    checked = MetadataImport.objects.filter(pk=run.pk, stage=ImportStage.CHECK, state=State.DONE)
    again = MetadataImport.objects.filter(
        pk=run.pk,
        stage=ImportStage.APPLY,
        state__in=(State.FAILED, State.INTERRUPTED, State.CANCELLED),
    )
    begin = {
        "stage": ImportStage.APPLY,
        "state": State.QUEUED,
        "skip_errors": skip_errors,
        "requested_by": by,
        "done": 0,
        "message": "",
    }
    begin |= {
        "cancel_requested": False,
        "goes_on": False,
        "interruptions": 0,
        "dispatched_at": timezone.now(),
    }
    if not (checked.update(**begin) or again.update(**begin)):
        return False
    run.refresh_from_db()
    if run.report.get("changed", 0) <= AT_ONCE_MODELS and len(run.content) <= AT_ONCE_BYTES:
        execute(run)
    else:
        KIND.dispatch(run)
    return True


def discard(run: MetadataImport) -> bool:
    """Delete the file; return ``False`` while it is being read."""
    return bool(MetadataImport.objects.filter(pk=run.pk).exclude(state=State.RUNNING).delete()[0])


class Imports(jobs.Kind[MetadataImport]):
    """The jobs of an import.

    An interrupted stage starts again: what is written already changes nothing.
    """

    model = MetadataImport
    task = "discovery.tasks.run_import"
    name = "import"
    related = ("requested_by",)
    heavy = ("content",)
    goes_on = "it is done again by itself."
    given_up = "try again: what was written already is not written twice."
    stopped = "Stopped."
    broke = "It broke off ({error}); please report this."

    def run(self, job: MetadataImport, **_options: Any) -> Ending:
        try:
            if job.stage == ImportStage.CHECK or job.skip_errors:
                return self._done(job)
            with transaction.atomic():  # all rows and the row that says so, or none
                ending = self._done(job)
                if ending.state == State.DONE:
                    self.finish(job, ending)
            return ending
        except UnreadableFile as error:
            return Ending(State.FAILED, str(error))
        except Overtaken as error:
            told = {"report": error.report.as_json(), "done": error.report.rows}
            return Ending(State.DONE, OVERTAKEN, {**told, "stage": ImportStage.CHECK})

    def _done(self, job: MetadataImport) -> Ending:
        report = _do(job)
        told: dict[str, Any] = {"report": report.as_json(), "done": report.rows}
        if job.stage == ImportStage.APPLY and report.batch is not None:
            told["content"] = b""
        elif job.stage == ImportStage.APPLY and report.wrong:
            return Ending(
                State.FAILED, "Nothing was imported: rows became wrong since the check.", told
            )
        return Ending(State.DONE, "", told)


KIND = Imports()


def cancel(run: MetadataImport) -> bool:
    """Cancel an import; return ``False`` when it has already finished.

    A queued import ends at once, a running one after its batch.
    """
    return KIND.cancel(run)


def execute(run: MetadataImport) -> MetadataImport:
    """Run the queued stage in this process, and return the import in its final state.

    An import that another process has started is returned unchanged.
    """
    return jobs.execute(run)  # type: ignore[no-any-return]


def _do(run: MetadataImport) -> ImportReport:
    pulse = jobs.Pulse(run, BEAT)
    file, tick = io.BytesIO(bytes(run.content)), lambda done: pulse(done=done)
    if run.stage == ImportStage.CHECK:
        return importer.check(file, tick=tick)
    seen = run.report.get("stamp")
    return importer.apply(
        file,
        by=run.requested_by,
        skip_errors=run.skip_errors,
        batch=run.batch,
        tick=tick,
        seen=seen,
    )
