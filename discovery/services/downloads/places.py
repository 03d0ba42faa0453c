"""Where downloads go: the target below a root, the room on its disk, and the folder before that."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from discovery.engine.core import names
from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.engine.core.service_words import DownloadFault
from discovery.engine.core.text import human_bytes
from discovery.models import Download, Root
from discovery.services.core import config_files
from discovery.services.machine import reach, root_states
from discovery.services.registries.protocol import path_fault
from discovery.services.scans.roots import others, settings_of

#: The model inside of a staging folder, and the files that are not whole yet.
MODEL, PARTS = "model", "parts"
#: The longest path that systems open.
MAX_PATH = 4_000
GB = 10**9


class Refused(Exception):
    """The download cannot go on, or not begin; the text says why, in a sentence."""

    def __init__(self, fault: DownloadFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Place:
    """A target that can be used, with the disk that it is on.

    ``base`` is the folder that the staging folder is made in: on the same file system.
    """

    target: Path
    base: Path
    device: int
    free_bytes: int


def usable_roots() -> list[Root]:
    """Roots that something may be written to and that are scanned; the reachable ones first."""
    rows = Root.objects.exclude(path=Root.REMOTE).filter(enabled=True, read_only=False)
    states = root_states.states(list(rows.order_by("path")), {})
    return [state.root for state in sorted(states, key=lambda state: bool(state.fault))]


def locate(root: Root, folder: str) -> Place:
    """Look at a target; raises ``Refused`` or ``RootSilent``."""
    if reason := folder_fault(root, folder):
        raise Refused(DownloadFault.PLACE, reason)
    if reason := root_states.fault(root):
        raise Refused(DownloadFault.PLACE, f"The root {root.path} cannot be used: {reason}.")
    look = partial(_look, root.path, folder, tuple(others(root)))
    return reach.within(root, ("download", folder), look)


def folder_fault(root: Root, folder: str) -> str:
    """Why nothing may be placed there, as far as names tell; empty when something may."""
    if not root.enabled or root.path == Root.REMOTE:
        return f"The root {root.path} is switched off: scans would not find the model."
    if root.read_only:
        return f"The root {root.path} is read-only: choose another one."
    parts = folder.split("/")
    if reason := path_fault(folder):
        return f"The folder “{folder[:100]}” cannot be used: {reason}."
    if any(names.never_a_model(part) for part in parts):
        return f"Scans never look into {folder[:200]}: choose another folder."
    settings = settings_of(root)
    depth = settings.max_scan_depth if settings.scan_subdirectories else 1
    if len(parts) > depth:
        return f"Scans go down {depth} folders in this root, and {folder[:200]} is deeper."
    return ""


def _look(root: str, folder: str, inside: tuple[str, ...]) -> Place:
    """Uses only the disk."""
    home = Path(os.path.realpath(to_native("/", root)))
    target = home / folder
    if os.path.lexists(target):
        raise Refused(DownloadFault.PLACE, f"{folder} exists already; nothing is overwritten.")
    parent = nearest(target.parent)
    real = Path(os.path.realpath(parent))
    if not real.is_dir() or real != parent:
        told = to_text(str(parent))
        raise Refused(DownloadFault.PLACE, f"{told} is not a folder of this root: choose another.")
    if other := next((path for path in inside if is_under(str(target), path)), None):
        told = to_text(other)
        raise Refused(DownloadFault.PLACE, f"{folder} belongs to the root {told}: choose that.")
    if not os.access(parent, os.W_OK | os.X_OK):
        told = to_text(str(parent))
        raise Refused(DownloadFault.PLACE, f"{told} cannot be written to by Karen Admin.")
    device = parent.stat().st_dev
    base = parent
    while base != home and base.parent.stat().st_dev == device and _is_writable(base.parent):
        base = base.parent
    return Place(target, base, device, shutil.disk_usage(parent).free)


def nearest(path: Path) -> Path:
    """The folder itself, or the first one above it that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK)


# -- room


def reserve() -> int:
    return config_files.downloads().reserve_gb * GB


def promised(device: int, but: Iterable[int] = ()) -> int:
    """Bytes that other downloads still need on a file system."""
    rows = Download.objects.filter(device=device, state__in=Download.OPEN).exclude(pk__in=but)
    return sum(
        max(total - done, 0) for total, done in rows.values_list("total_bytes", "done_bytes")
    )


def room_fault(place: Place, needed: int, but: Iterable[int] = ()) -> str:
    """Why there is not enough room for so many more bytes; empty when there is."""
    other, kept = promised(place.device, but), reserve()
    if needed + other + kept <= place.free_bytes:
        return ""
    told = f"{human_bytes(needed)} more are needed, and {human_bytes(place.free_bytes)} are free"
    if other:
        told += f", of which other downloads take {human_bytes(other)}"
    if kept:
        told += f"; {human_bytes(kept)} have to stay free"
    return f"The disk has not enough room: {told}."


# -- the folder before the target


def staging_of(download: Download, place: Place) -> Path:
    """The staging folder of a download, made where it is not there; raises ``Refused``.

    A folder that was made before stays the one, even where the target has moved since.
    """
    path = Path(download.staging) if download.staging else None
    if path is None or not _is_own(path):
        path = place.base / names.DOWNLOADS / download.key.hex
        path.parent.mkdir(mode=0o755, exist_ok=True)
        if not _is_folder(path.parent):
            raise Refused(DownloadFault.PLACE, f"{to_text(str(path.parent))} is not a folder.")
        path.mkdir(mode=0o700, exist_ok=True)
        if not _is_own(path):
            raise Refused(DownloadFault.PLACE, f"{to_text(str(path))} belongs to somebody else.")
        Download.objects.filter(pk=download.pk).update(staging=to_text(str(path)))
        download.staging = to_text(str(path))
    for name in (MODEL, PARTS):
        (path / name).mkdir(mode=0o755, exist_ok=True)
    return path


def _is_folder(path: Path) -> bool:
    """Whether it is a folder and not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _is_own(path: Path) -> bool:
    return _is_folder(path) and path.lstat().st_uid == os.geteuid()


def remove(download: Download) -> bool:
    """Delete the staging folder; ``False`` where that cannot be done now."""
    path = Path(download.staging) if download.staging else None
    if path is None:
        return True
    if path.name != download.key.hex or path.parent.name != names.DOWNLOADS:
        return True  # nobody but ``staging_of`` writes the column
    if _is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path) or not nearest(path).is_dir():
        return False
    with suppress(OSError):  # others are in it, or it is gone
        path.parent.rmdir()
    Download.objects.filter(pk=download.pk).update(staging="")
    download.staging = ""
    return True
