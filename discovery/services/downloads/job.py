"""A download as a job: fetched file by file, checked, moved into place, and scanned."""

from __future__ import annotations

import errno
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from discovery.engine.core.paths import to_text
from discovery.engine.core.service_words import DownloadFault, RegistryFault
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import Download, LogTopic
from discovery.services import jobs
from discovery.services.core import config_files, event_log
from discovery.services.downloads import fetching, places, placing, planning, source
from discovery.services.downloads.places import Refused
from discovery.services.downloads.planning import Wish
from discovery.services.downloads.progress import Paused, Progress
from discovery.services.downloads.remote_files import as_json, of_json
from discovery.services.integrations import webhooks
from discovery.services.jobs import Ending
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registries.configured import Configured, connect
from discovery.services.registries.protocol import RegistryError, RemoteFile, RemoteModel

#: Seconds before the second try, the third, and so on, of what brought nothing.
PAUSES = (5, 15, 60, 300, 900, 3_600)
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: Faults that may pass by themselves.
_PASSING = (RegistryFault.BUSY, RegistryFault.UNREACHABLE)

#: Field of a wish → what a fault of it is.
_FAULTS = {"files": DownloadFault.FILES, "folder": DownloadFault.PLACE, "root": DownloadFault.DISK}

State = Download.State


class Downloads(jobs.Kind[Download]):
    """As many at once as the settings say; what breaks off is tried again after a pause."""

    model = Download
    name = "download"
    takes_seat = True
    is_long = True
    related = ("root", "requested_by", "model")
    goes_on = "it goes on with what is there."
    given_up = "resume it to go on with what is there."
    stopped = "Canceled; nothing was placed."
    cleared = {"current_path": "", "speed": 0}
    is_patient = True

    def ready(self, queued: QuerySet[Download]) -> QuerySet[Download]:
        """Those whose pause is over, while fewer run than may."""
        running = self.rows.filter(state=State.RUNNING).count()
        if running >= config_files.downloads().at_once:
            return queued.none()
        return queued.filter(_is_due())

    def waits_since(self, queued: QuerySet[Download]) -> datetime | None:
        """Those whose pause is just over have not waited."""
        return super().waits_since(queued.exclude(dispatched_at=None))

    def before(self, job: Download) -> QuerySet[Download]:
        """What runs beyond the number that may, with this one; itself while it waits to retry."""
        if self.rows.filter(pk=job.pk).exclude(_is_due()).exists():
            return self.rows.filter(pk=job.pk)
        rest = config_files.downloads().at_once - 1
        return self.rows.filter(state=State.RUNNING).order_by("pk")[rest:]

    def run(self, job: Download, **_options: Any) -> Ending:
        progress = Progress(job)
        try:
            return _run(job, progress)
        except Paused:
            return Ending(State.PAUSED, "", _columns(progress, pause_requested=False))
        except RegistryError as error:
            return _again_or_failed(job, error, progress)
        except RootSilent as error:
            passing = RegistryError(RegistryFault.UNREACHABLE, str(error))
            return _again_or_failed(job, passing, progress)
        except Refused as error:
            return Ending(State.FAILED, str(error), _columns(progress, fault=error.fault))
        except OSError as error:
            return Ending(
                State.FAILED, _disk_words(error), _columns(progress, fault=DownloadFault.DISK)
            )
        except jobs.Lost:
            raise
        except jobs.Stopped:
            places.remove(job)
            raise

    def after(self, job: Download, ending: Ending) -> None:
        if job.state in (State.QUEUED, State.PAUSED):
            return
        well = job.state == State.DONE
        told = f"download of {job.remote_id} from {job.registry} {job.get_state_display().lower()}"
        event_log.record(
            LogTopic.DISCOVERY,
            Severity.INFO if well else Severity.WARNING,
            f"{told}: {job.message}" if job.message else told,
            model_id=job.model.model_id if job.model else "",
            path=job.folder,
        )
        webhooks.after_download(job)


KIND = Downloads()


def _is_due() -> Q:
    return Q(retry_at=None) | Q(retry_at__lte=timezone.now())


def _run(job: Download, progress: Progress) -> Ending:
    registry = source.registry_of(job.registry)
    if not job.files:
        _decide(job)
    files = [of_json(row) for row in job.files]
    if placing.is_placed(job):
        progress.done, progress.files = job.total_bytes, len(files)
    else:
        _fetch_all(job, registry, files, progress)
    progress.current = ""
    record = placing.register(job, lambda: progress.tick())
    if record is not None:
        source.link(job, record)
    places.remove(job)
    told = f"{plural(len(files), 'file')}, {human_bytes(progress.done)}."
    unproved = sum(not (file.sha256 or file.git_sha1) for file in files)
    if unproved:
        told += f" Its registry lists no checksum of {plural(unproved, 'file')}."
    if record is None:
        told += " The scan found no model in it: see Scans for the reason."
    columns = {"model": record, "fault": "", "attempts": 0, "retry_at": None}
    return Ending(State.DONE, told, _columns(progress, **columns))


def _decide(job: Download) -> None:
    """What a download that nobody has chosen files of takes: those that its model has here, and
    what else comes by default but other weights.
    """
    own = set(planning.own_paths(job.updates)) if job.updates else set()
    wish = Wish(job.registry, job.remote_id, job.revision, root=job.root, folder=job.folder)
    plan = planning.make(wish, own=own, but=job.pk)
    if plan.faults:
        field, told = next(iter(plan.faults.items()))
        raise Refused(_FAULTS.get(field, DownloadFault.PLACE), told)
    job.files = [as_json(file) for file in plan.chosen]
    job.total_bytes = plan.total_bytes
    jobs.beat(job, files=job.files, total_bytes=job.total_bytes)


def _fetch_all(
    job: Download, registry: Configured, files: list[RemoteFile], progress: Progress
) -> None:
    """Everything up to the move into place."""
    place = places.locate(job.root, job.folder)
    staging = places.staging_of(job, place)
    progress.staging = staging
    progress.done = sum(fetching.partial_bytes(staging, file) for file in files)
    missing = [file for file in files if not fetching.is_whole(staging, file)]
    progress.files = len(files) - len(missing)
    needed = max(job.total_bytes - progress.done, 0)
    if fault := places.room_fault(place, needed, but=[job.pk]):
        raise Refused(DownloadFault.DISK, fault)
    progress.tick(now=True, device=place.device, fault="", message="", retry_at=None)
    model = RemoteModel(job.remote_id, revision=job.revision)
    if missing:
        with closing(connect(registry)) as connection:
            for file in missing:
                fetching.fetch(connection, model, file, staging, progress)
    progress.current = ""
    progress.tick(now=True)
    if not job.accepts_unsafe:
        placing.require_safe(job.root, staging, lambda: progress.tick())
    placing.write_records(registry, job.revision, staging, files)
    placing.put(job, places.locate(job.root, job.folder), staging)


def _again_or_failed(job: Download, error: RegistryError, progress: Progress) -> Ending:
    """Another try after a pause, where that may help; progress begins the count of tries anew."""
    attempts = 1 if progress.received else job.attempts + 1
    if error.fault not in _PASSING or attempts > len(PAUSES):
        columns = _columns(progress, fault=DownloadFault.REGISTRY, attempts=attempts)
        return Ending(State.FAILED, str(error), columns)
    seconds = max(PAUSES[attempts - 1], error.seconds or 0)
    columns = _columns(
        progress,
        attempts=attempts,
        retry_at=timezone.now() + timedelta(seconds=seconds),
        dispatched_at=None,
    )
    return Ending(State.QUEUED, str(error), columns)


def _columns(progress: Progress, **more: Any) -> dict[str, Any]:
    return {"done_bytes": max(progress.done, 0), "done_files": progress.files, **more}


def _disk_words(error: OSError) -> str:
    place = f" ({to_text(str(error.filename))})" if error.filename else ""
    if error.errno in _FULL:
        return f"The disk is full{place}. Make room, then resume it: what is there is kept."
    return f"The disk refuses it: {error.strerror or error}{place}."
