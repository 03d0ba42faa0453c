"""The last steps of a download: the safety scan, moving the folder into place, and its scan."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from discovery import startup
from discovery.engine.core import format_registry, names
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.service_words import DownloadFault, Trigger
from discovery.engine.identify import read_path
from discovery.engine.identify.found import is_unsafe
from discovery.engine.identify.identify import identify
from discovery.models import Download, RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.core import config_files
from discovery.services.downloads.places import MODEL, Place, Refused
from discovery.services.registries.configured import Configured
from discovery.services.registries.protocol import RemoteFile
from discovery.services.scans.attended import patiently

#: Seconds that a scan of the same root is waited for.
PATIENCE = 600.0


def require_safe(root: Root, staging: Path, tick: Callable[[], None]) -> None:
    """Read the staged model as a scan would; raises ``Refused`` where loading it would run code."""
    unsafe = patiently(root, partial(_unsafe, str(staging)), tick)
    if unsafe:
        raise Refused(
            DownloadFault.UNSAFE,
            f"Loading this model would run code of its own, so it was not placed: {unsafe}.",
        )


def _unsafe(staging: str) -> str:
    """Uses only the disk."""
    settings = config_files.discovery().model_copy(
        update={"supported_formats": format_registry.names(), "exclude_patterns": ()}
    )
    memory = psutil.virtual_memory().total
    for candidate in read_path.candidates(staging, MODEL, settings):
        try:
            models = list(identify(staging, candidate, settings, memory))
        except NotAModel:
            continue
        for found in models:
            for problem in found.problems:
                if is_unsafe([problem]):
                    return to_text(problem.message)
    return ""


def write_records(
    registry: Configured, revision: str, staging: Path, files: list[RemoteFile]
) -> None:
    """Note commit and checksum of each file as the Hub's own client does.

    Validation compares files with them, and matching knows from them what is here.
    """
    if registry.settings.kind != "huggingface" or len(revision) != 40:
        return
    for file in files:
        path = staging / MODEL / names.HUB_RECORDS / f"{file.path}.metadata"
        path.parent.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC).timestamp()
        path.write_text(f"{revision}\n{file.sha256 or file.git_sha1}\n{now}\n", encoding="utf-8")


def put(job: Download, place: Place, staging: Path) -> None:
    """Move the staged folder into place: whole, or not at all.

    Raises ``Refused`` or ``OSError``.
    """
    source, target = staging / MODEL, place.target
    _make_folders(target.parent)
    _share(source)
    if Path(os.path.realpath(target.parent)) != target.parent:
        told = to_text(str(target.parent))
        raise Refused(DownloadFault.PLACE, f"{told} leads elsewhere now; nothing was placed.")
    Download.objects.filter(pk=job.pk).update(inode=_number_of(source))
    if os.path.lexists(target):
        raise Refused(DownloadFault.PLACE, f"{job.folder} exists now; nothing was overwritten.")
    source.rename(target)  # onto a folder with something in it, the system refuses this itself
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_placed(job: Download) -> bool:
    """Whether it was moved into place by a run that did not come to say so."""
    if job.inode is None:
        return False
    target = Path(os.path.realpath(to_native("/", job.root.path))) / job.folder
    try:
        return _number_of(target) == job.inode
    except OSError:
        return False


def _make_folders(folder: Path) -> None:
    """The folders above the target; what was there before stays as it is."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
        each.chmod(0o777 & ~startup.starters_umask())


def _share(folder: Path) -> None:
    """Models are for other programs too, unlike what else this process writes."""
    umask = startup.starters_umask()
    for place, _, files in os.walk(folder):
        Path(place).chmod(0o777 & ~umask)
        for name in files:
            (Path(place) / name).chmod(0o666 & ~umask)


def _number_of(folder: Path) -> int:
    """What stays the same when it is moved, as a column holds it."""
    return folder.lstat().st_ino % 2**63


def register(job: Download, tick: Callable[[], None]) -> RegisteredModel | None:
    """Scan what was placed; ``None`` where that found no model."""
    target = to_text(os.path.join(os.path.realpath(to_native("/", job.root.path)), job.folder))
    until = time.monotonic() + PATIENCE
    while _is_claimed(job.root) and time.monotonic() < until:
        tick()
        time.sleep(0.5)
    run, created = scans.start_now(Trigger.DOWNLOAD, path=target)
    if created:
        scans.execute(run)
    return placed_model(job)


def placed_model(job: Download) -> RegisteredModel | None:
    rows = RegisteredModel.objects.filter(root=job.root)
    whole = rows.filter(path=job.folder).first()
    return whole or rows.filter(path__startswith=f"{job.folder}/").order_by("path").first()


def _is_claimed(root: Root) -> bool:
    return Root.objects.filter(pk=root.pk, claim__state=ScanRun.State.RUNNING).exists()
