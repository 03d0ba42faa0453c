"""What is asked of an external registry, and what it answers: the same of every kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from discovery.engine.core.service_words import RegistryFault

#: Characters of a card that are kept.
MAX_CARD = 200_000
#: Files of one model that are listed.
MAX_FILES = 20_000

#: Names that Windows takes for devices, whatever their suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_NEVER = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


class RegistryError(Exception):
    """A registry did not answer, or not with what was asked for; the text says why.

    ``seconds`` is how long it asks to be left alone, where it says so.
    """

    def __init__(self, fault: RegistryFault, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.fault, self.seconds = fault, seconds

    @property
    def is_about_one_model(self) -> bool:
        """Whether other models of the registry may still be asked about."""
        return self.fault in (RegistryFault.GONE, RegistryFault.GATED, RegistryFault.NAME)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a remote model.

    ``path`` is relative, with ``/``, as the registry writes it: ``path_fault`` says whether it may
    become one here. ``sha256`` is of its content (of files in LFS, and of layers); ``git_sha1`` is
    the ID of its git blob. ``url`` is where it is, if that does not follow from its path.
    """

    path: str
    size: int | None = None
    sha256: str = ""
    git_sha1: str = ""
    url: str = ""

    @property
    def path_fault(self) -> str:
        """Why no file here may have this path; empty when one may."""
        return path_fault(self.path)


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model as its registry describes it. What is not known is empty or ``None``.

    ``revision`` names this state of its files. ``gated`` says who may download it: empty for
    everybody, else ``auto`` or ``manual``. ``files`` is ``None`` where they were not asked for.
    """

    remote_id: str
    revision: str = ""
    name: str = ""
    author: str = ""
    description: str = ""
    license: str = ""
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    base_model: str = ""
    task: str = ""
    library: str = ""
    downloads: int | None = None
    likes: int | None = None
    updated_at: datetime | None = None
    gated: str = ""
    is_private: bool = False
    url: str = ""
    files: tuple[RemoteFile, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RemoteStream:
    """The bytes of a remote file from ``start`` on, which is 0 where the registry has no ranges.

    ``size`` is that of the whole file, where it is said.
    """

    start: int
    size: int | None
    chunks: Iterator[bytes]


class Registry(Protocol):
    """A registry that is asked. Every method raises ``RegistryError``.

    ``name`` is its key in the config file; ``requests`` counts what it has been asked.
    """

    name: str
    label: str
    requests: int

    def search(self, text: str, limit: int = 50) -> list[RemoteModel]:
        """Models for some words, the most downloaded first; without their files."""
        ...

    def summaries(self, remote_ids: Iterable[str]) -> Iterator[RemoteModel]:
        """Many models in few requests, without their files; those it cannot tell are left out."""
        ...

    def model(self, remote_id: str, revision: str = "") -> RemoteModel:
        """One model with its files; ``revision`` empty for the latest."""
        ...

    def card(self, model: RemoteModel) -> str:
        """The model card as Markdown, cut to ``MAX_CARD``; empty when there is none."""
        ...

    def open(
        self, model: RemoteModel, file: RemoteFile, start: int = 0
    ) -> AbstractContextManager[RemoteStream]:
        """The bytes of a file in the model's ``revision``, from ``start`` on."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


def path_fault(path: str) -> str:
    """Why a path of a registry may not become one here, on any system; empty when it may."""
    parts = path.split("/")
    if not path or len(path) > 1_000 or path.startswith("/"):
        return "it is not a relative path"
    if any(part in ("", ".", "..") for part in parts):
        return "it leads out of its folder"
    if _NEVER.search(path):
        return "it has characters that file names cannot have"
    if any(_DEVICE.fullmatch(part) or part.endswith((".", " ")) for part in parts):
        return "Windows has another meaning for this name"
    if any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        return "a part of it is longer than file systems allow"
    return ""


def colliding(files: Iterable[RemoteFile]) -> list[str]:
    """Paths that are one file where upper and lower case are the same."""
    seen: dict[str, str] = {}
    found = []
    for file in files:
        first = seen.setdefault(file.path.casefold(), file.path)
        found += [file.path] if first != file.path else []
    return found
