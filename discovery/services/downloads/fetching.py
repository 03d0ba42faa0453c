"""One file of a download: read from where it broke off, and held against its checksum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

from discovery.engine.core.service_words import DownloadFault, RegistryFault
from discovery.engine.core.text import clean, human_bytes
from discovery.services.downloads.places import MODEL, PARTS, Refused
from discovery.services.downloads.progress import Progress
from discovery.services.registries.protocol import (
    Registry,
    RegistryError,
    RemoteFile,
    RemoteModel,
    RemoteStream,
)

BLOCK = 1 << 20
#: Bytes after which the disk has to have them: else a fast line fills the memory.
SYNC = 256 << 20


def part_of(staging: Path, file: RemoteFile) -> Path:
    """Where a file lies until it is whole and its checksum is right."""
    return staging / PARTS / hashlib.sha256(file.path.encode()).hexdigest()[:32]


def whole_of(staging: Path, file: RemoteFile) -> Path:
    return staging / MODEL / file.path


def is_whole(staging: Path, file: RemoteFile) -> bool:
    """Whether the file was fetched and checked: only then it has its name."""
    path = whole_of(staging, file)
    if path.is_symlink() or not path.is_file():
        return False
    return file.size is None or path.stat().st_size == file.size


def partial_bytes(staging: Path, file: RemoteFile) -> int:
    """Bytes of a file that are there already."""
    path = whole_of(staging, file) if is_whole(staging, file) else part_of(staging, file)
    try:
        return path.lstat().st_size
    except OSError:
        return 0


class _Part:
    """The unfinished file, open for writing, with the digest of what it holds."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.size, self.digest = stream, 0, hashlib.sha256()
        self._synced = 0

    def read(self, progress: Progress) -> None:
        """Take up what is there; ``progress`` counts it already."""
        while block := self.stream.read(BLOCK):
            self.digest.update(block)
            self.size += len(block)
            progress.tick()

    def empty(self, progress: Progress) -> None:
        self.stream.seek(0)
        self.stream.truncate()
        progress.done -= self.size
        self.size, self.digest = 0, hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self.stream.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)
        if self.size - self._synced >= SYNC:
            self.sync()

    def sync(self) -> None:
        self.stream.flush()
        os.fdatasync(self.stream.fileno())
        self._synced = self.size


def fetch(
    registry: Registry, model: RemoteModel, file: RemoteFile, staging: Path, progress: Progress
) -> None:
    """Fetch and check one file, and give it its name inside of the staging folder.

    ``progress.done`` counts what was there before. Raises ``Refused``, ``RegistryError``,
    ``OSError`` and what ``progress`` raises; what came until then stays.
    """
    progress.current = file.path
    progress.tick(now=True)
    path = part_of(staging, file)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o644), "r+b") as stream:
        part = _Part(stream)
        part.read(progress)
        if part.size and (file.size is None or part.size > file.size):
            part.empty(progress)  # from where a file of unknown size goes on, nobody knows
        if file.size is None or part.size < file.size:
            with registry.open(model, file, part.size) as remote:
                _receive(remote, file, part, progress)
        part.sync()
    if fault := _checksum_fault(file, path, part):
        path.unlink()
        progress.done -= part.size
        raise Refused(DownloadFault.CHECKSUM, fault)
    whole = whole_of(staging, file)
    whole.parent.mkdir(parents=True, exist_ok=True)
    path.replace(whole)
    progress.files += 1


def _receive(remote: RemoteStream, file: RemoteFile, part: _Part, progress: Progress) -> None:
    size = remote.size if file.size is None else file.size
    if remote.size is not None and size != remote.size:
        told = f"{human_bytes(remote.size)} in place of {human_bytes(size or 0)}"
        raise Refused(
            DownloadFault.FILES,
            f"{_shown(file)} has another size than its registry lists: {told}.",
        )
    if remote.start != part.size:
        part.empty(progress)
    for chunk in remote.chunks:
        if size is not None and part.size + len(chunk) > size:
            raise Refused(
                DownloadFault.FILES,
                f"The server sends more of {_shown(file)} than the {human_bytes(size)} that its"
                " registry lists.",
            )
        part.write(chunk)
        progress.add(len(chunk))
    if size is not None and part.size < size:
        raise RegistryError(
            RegistryFault.UNREACHABLE,
            f"The connection ended {human_bytes(size - part.size)} before the end of"
            f" {_shown(file)}.",
        )


def _checksum_fault(file: RemoteFile, path: Path, part: _Part) -> str:
    if file.sha256:
        kind, expected, found = "SHA-256", file.sha256, part.digest.hexdigest()
    elif file.git_sha1:
        kind, expected, found = "Git ID", file.git_sha1, _git_id(path, part.size)
    else:
        return ""
    if expected == found:
        return ""
    return (
        f"The {kind} of {_shown(file)} is {found[:16]}…, and its registry lists {expected[:16]}…:"
        " the file was deleted, and nothing is placed."
    )


def _git_id(path: Path, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _shown(file: RemoteFile) -> str:
    return clean(file.path, 200)
