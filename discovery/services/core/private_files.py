"""The installation's own folders, for data and logs.

Their contents are private to the user that runs it, and the folders must be writable.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

#: Folders that the installation makes in its data folder. Others in it are somebody else's.
OWN_FOLDERS = frozenset({"clusters", "config"})
#: Less than this free: the next event does not fit.
_NOTHING_LEFT = 64 << 10


def data_fault() -> str:
    """Why the data folder cannot be used, in a sentence; empty when it can."""
    folder = Path(settings.DATA_DIR)
    try:
        _make(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return (
            f"The data folder {folder} cannot be written ({error.strerror}): set KAREN_DATA_DIR to"
            " one that can."
        )
    return ""


def log_fault() -> str:
    """Why log files cannot be written, in a sentence; empty when they can."""
    folder = Path(settings.LOGS_DIR)
    try:
        _make(folder)
        for path in _log_files(folder):
            with path.open("ab"):
                pass
        reason = "No space left on device" if shutil.disk_usage(folder).free < _NOTHING_LEFT else ""
    except OSError as error:
        reason = error.strerror or str(error)
    if not reason:
        return ""
    way_out = (
        "Let the user that runs Karen Admin write there, or set KAREN_LOGS_DIR to another folder."
    )
    return (
        f"Log files cannot be written to {folder} ({reason}); the Logs page has all events."
        f" {way_out}"
    )


def faults() -> list[str]:
    """Return what is wrong with the folders, without raising.

    Examples are log files that cannot be written and folders that stay open to others.
    """
    return [*filter(None, (log_fault(),)), *open_folders()]


def tighten() -> None:
    """Remove other users' permissions on our files.

    An earlier version or another umask may have allowed them.
    """
    if sys.platform == "win32":
        return
    data, logs = Path(settings.DATA_DIR), Path(settings.LOGS_DIR)
    for folder in (data, logs):
        if not _shared(folder):
            _close(folder, 0o700)
    for name in OWN_FOLDERS:
        _close_all(data / name)
    for path in (*_data_files(data), *_with_parts(_log_files(logs)), *logs.glob(".__*.lock")):
        _close(path, 0o600)


def open_folders() -> list[str]:
    """A sentence for each folder that others can read and whose permissions we may not change."""
    if sys.platform == "win32":
        return []
    told = []
    for folder, variable in (
        (Path(settings.DATA_DIR), "KAREN_DATA_DIR"),
        (Path(settings.LOGS_DIR), "KAREN_LOGS_DIR"),
    ):
        reason = _shared(folder)
        if reason and _mode(folder) & 0o077:
            told.append(
                f"Others may look into {folder}, which is left as it is because {reason}. Give"
                f" {variable} a folder of its own."
            )
    return told


def _shared(folder: Path) -> str:
    """Why a folder is not this installation's alone; empty when it is."""
    try:
        status = folder.stat()
        entries = [
            entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)
        ]
    except OSError:
        return ""
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & stat.S_ISVTX:
        return "many users share it"
    own = {folder / name for name in OWN_FOLDERS} | {
        Path(settings.LOGS_DIR),
        Path(settings.DATA_DIR),
    }
    foreign = sorted(name for name in entries if folder / name not in own)
    return f"other folders are in it, such as {foreign[0]}" if foreign else ""


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(error.errno, "it is not a folder") from error


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _data_files(data: Path) -> Iterator[Path]:
    yield data / "secret_key"
    yield from data.glob("*.lock")
    if database := _sqlite_file():
        yield from (Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm", "-journal"))


def _sqlite_file() -> str:
    """Empty where the database is a server's."""
    return str(connection.settings_dict["NAME"]) if connection.vendor == "sqlite" else ""


def _log_files(logs: Path) -> list[Path]:
    return [logs / name for name in settings.LOG_FILES.values()]


def _with_parts(paths: Iterable[Path]) -> Iterator[Path]:
    """Those that were rotated too: ``x.log.1``."""
    for path in paths:
        yield path
        yield from path.parent.glob(f"{path.name}.*")


def _close_all(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    for place, _, names in os.walk(folder):
        _close(Path(place), 0o700)
        for name in names:
            _close(Path(place, name), 0o600)


def _close(path: Path, mode: int) -> None:
    """Restrict a file of ours that is not a link and is more open than ``mode``."""
    try:
        status = path.lstat()
        if (
            stat.S_ISLNK(status.st_mode)
            or status.st_uid != os.geteuid()
            or not stat.S_IMODE(status.st_mode) & ~mode
        ):
            return
        path.chmod(stat.S_IMODE(status.st_mode) & mode)
    except OSError:
        # It went meanwhile, or its file system knows no modes: `open_folders` tells of folders that
        # stay open.
        return
