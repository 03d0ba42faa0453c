"""The files of a job, inside the root.

The engine's own readers must accept them before any library opens them.

The engine's readers check every count and length; some libraries hang or crash on files that they
refuse.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from discovery.engine.core.paths import is_under, to_text
from discovery.engine.core.types import FileEntry, Header
from discovery.engine.core.vocabulary import Severity, Status
from discovery.engine.identify import weights
from discovery.loading.errors import LoadFailed, LoadRefused
from discovery.loading.job import Job

#: Of the files around an ONNX graph, among which its external data are looked for.
MAX_NEIGHBOURS = 10_000


def inside(job: Job, path: str) -> FileEntry:
    """The file ``path``, relative to the root.

    Raises ``LoadRefused`` when it is outside the root, ``LoadFailed`` when it is not a regular
    file.
    """
    root, named = os.path.realpath(job.root), os.path.join(job.root, path)
    real = os.path.realpath(named)
    if not is_under(real, root):
        raise LoadRefused(f"{to_text(path)} leads out of the root: it is not opened.")
    if not os.path.isfile(real):
        raise LoadFailed(f"{to_text(path)} is not there any more, or is not a regular file.")
    status = os.stat(real)
    return FileEntry(
        path, status.st_size, status.st_mtime_ns, status.st_ino, os.path.relpath(real, root)
    )


def check(job: Job, path: str) -> tuple[str, Header]:
    """(absolute path, header) of a weight file that the engine's reader accepts.

    Raises ``LoadRefused`` when it is unsafe or outside the root, ``LoadFailed`` with the reason
    when it is broken.
    """
    neighbours = _neighbours(job, path) if job.format == "onnx" else ()
    file = weights.read(os.path.realpath(job.root), inside(job, path), neighbours)
    worst = next((problem for problem in file.problems if problem.severity is Severity.ERROR), None)
    if file.status is Status.UNSAFE:
        raise LoadRefused(f"It is unsafe: {worst.message if worst else to_text(path)}.")
    if worst or file.header is None:
        raise LoadFailed(f"{worst.message}." if worst else f"{to_text(path)} cannot be read.")
    return os.path.join(job.root, path), file.header


def each(job: Job) -> list[tuple[str, Header]]:
    """All files of the job, checked."""
    return [check(job, path) for path in job.files]


def home(job: Job, name: str) -> str | None:
    """Return the nearest folder at or above the first weight file that holds a file ``name``.

    The folder is inside the root; its path is absolute.
    """
    folder = os.path.dirname(job.files[0]) if job.files else ""
    while True:
        candidate = os.path.join(job.root, folder)
        if os.path.isfile(os.path.join(candidate, name)):
            return candidate
        if not folder:
            return None
        folder = os.path.dirname(folder)


def _neighbours(job: Job, path: str) -> Iterator[FileEntry]:
    """Files in and below the folder of ``path`` that lie inside the root."""
    start = os.path.dirname(os.path.join(job.root, path))
    names = (os.path.join(folder, name) for folder, _, files in os.walk(start) for name in files)
    for name in islice(names, MAX_NEIGHBOURS):
        with suppress(LoadRefused, LoadFailed):
            yield inside(job, os.path.relpath(name, job.root))
