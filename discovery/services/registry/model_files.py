"""A model's files as they are on disk now, and their display paths."""

from __future__ import annotations

import os
import posixpath

from discovery.engine.core.paths import is_under, to_native
from discovery.engine.core.types import FileEntry
from discovery.models import RegisteredModel


class Gone(Exception):
    """A file cannot be read now; the message says why, without its name."""


def entry_of(root: str, path: str) -> FileEntry:
    """The file at ``path`` below ``root`` (see :func:`home_of`), as it is on disk now.

    Raises ``Gone``.
    """
    real = os.path.realpath(to_native(root, path))
    if not is_under(real, root):
        raise Gone("it leads to a place outside the root")
    try:
        status = os.stat(real, follow_symlinks=False)
    except FileNotFoundError as error:
        raise Gone("it is not there any more") from error
    except OSError as error:
        raise Gone(f"it cannot be read: {error.strerror}") from error
    return FileEntry(
        path, status.st_size, status.st_mtime_ns, status.st_ino, os.path.relpath(real, root)
    )


def home_of(record: RegisteredModel) -> str:
    """The real folder of the record's root: the registry may know it by a link."""
    return os.path.realpath(to_native("/", record.root.path))


def weight_files(record: RegisteredModel) -> list[str]:
    """Weight files of all variants, the main one's first."""
    return list(
        dict.fromkeys(path for variant in record.variants for path in variant.get("files", ()))
    )


def home(record: RegisteredModel) -> str:
    """Return the folder that the paths of its rows are relative to.

    It is the model's own folder, or the one that contains its file.
    """
    if record.path == "." or any(path.startswith(f"{record.path}/") for path, _ in record.files):
        return record.path
    return posixpath.dirname(record.path) or "."


def below(path: str, folder: str) -> str:
    """``path`` from ``folder``, both relative to the root.

    Blobs of a store lie outside the folder: ``../../blobs/…``.
    """
    return posixpath.relpath(f"/{path}", f"/{folder}")
