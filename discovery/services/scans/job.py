"""A scan as a job.

A worker or a command runs it; webhooks are sent when it ends, and an interrupted scan is continued.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, ScanRun, listing_version
from discovery.services import jobs
from discovery.services.access import access_file
from discovery.services.core import event_log
from discovery.services.core.event_log import Journal
from discovery.services.curation import collections
from discovery.services.integrations import webhooks
from discovery.services.jobs import Ending
from discovery.services.jobs.progress import Progress
from discovery.services.machine.root_probes import RootSilent
from discovery.services.scans import claims, runner
from discovery.services.scans.roots import NoSuchFolder

State = ScanRun.State
_TOLD = ("found", "new", "changed", "unchanged", "moved", "missing")


class Scans(jobs.Kind[ScanRun]):
    model = ScanRun
    task = "discovery.tasks.run_scan"
    name = "scan"
    takes_seat = True
    goes_on = "the next scan goes on from here."
    given_up = "it is not begun again by itself: the next scan goes on from here."
    stopped = "Stopped before the end; what was read until then is registered."
    broke = "{error}"
    cleared = {"current_path": ""}
    raises = True

    def run(
        self,
        job: ScanRun,
        *,
        listener: Callable[[Progress], None] | None = None,
        **_options: Any,
    ) -> Ending:
        access_file.follow()
        progress, log = Progress(job, listener), Journal(job)
        try:
            ending = Ending(State.DONE, runner.scan(job, progress, log))
        except (NoSuchFolder, RootSilent) as error:
            ending = Ending(State.FAILED, str(error))
        finally:
            log.write()
            self.mine(job).update(**progress.counts())
            collections.refresh()
            event_log.prune()
            listing_version.fold()
        return ending

    def after(self, job: ScanRun, ending: Ending) -> None:
        claims.release_all(job)
        counts = ", ".join(f"{getattr(job, name):,} {name}" for name in _TOLD)
        well = job.state == State.DONE and not job.message
        text = f"scan {job.get_state_display().lower()}: {counts}, {plural(job.errors, 'error')}."
        level = Severity.INFO if well else Severity.WARNING
        event_log.record(LogTopic.DISCOVERY, level, f"{text} {job.message}".strip(), scan=job)
        webhooks.after_scan(job)

    def successor(self, job: ScanRun) -> ScanRun | None:
        """Return another run, so that this one keeps its results.

        There is none where one has been created since.
        """
        later = ScanRun.objects.filter(path=job.path, pk__gt=job.pk)
        if later.filter(state__in=(State.DONE, *ScanRun.ACTIVE)).exists():
            return None
        same = {
            name: getattr(job, name)
            for name in ("trigger", "full", "accept_missing", "requested_by_id")
        }
        run, created = self.create(
            {"path": job.path}, interruptions=job.interruptions, dispatched_at=None, **same
        )
        return run if created else None


KIND = Scans()


def execute(run: ScanRun, listener: Callable[[Progress], None] | None = None) -> ScanRun:
    """Run a queued scan in this process, to its end. Returns the finished run."""
    return jobs.execute(run, listener=listener)  # type: ignore[no-any-return]
