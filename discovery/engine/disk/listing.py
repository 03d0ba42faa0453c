"""One directory, as listed for the walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from discovery.engine.core.types import FileEntry, Problem


@dataclass(slots=True)
class FolderListing:
    """One directory's listing.

    ``path`` is relative to the root; ``names`` are its regular files, and links to some inside the
    root. ``checkpoints`` are folders that a training left; ``unfinished`` paths of files that are
    still being downloaded.
    """

    path: str
    folders: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    names: dict[str, FileEntry] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    @property
    def files(self) -> list[FileEntry]:
        return list(self.names.values())

    def child(self, name: str) -> str:
        return name if self.path == "." else f"{self.path}/{name}"


def signature(files: Sequence[FileEntry], salt: str = "") -> str:
    """Changes with any name, size, time or inode; 32 hexadecimal digits."""
    lines = [f"{path}|{size}|{mtime}|{inode}" for path, size, mtime, inode, _ in files]
    return blake2b(
        "\n".join([salt, *lines]).encode("utf-8", "surrogateescape"), digest_size=16
    ).hexdigest()
