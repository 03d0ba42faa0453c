"""What a newer revision of a remote model would change here: files, card and license."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from discovery.engine.classify.describe import license_name
from discovery.services.registries.local_models import LocalModel
from discovery.services.registries.protocol import RemoteFile

#: Files that are listed of each kind.
MAX_LISTED = 200
CARDS = ("README.md",)


def difference(
    local: LocalModel,
    revision: str,
    license: str,  # noqa: A002
    now: Sequence[RemoteFile],
    before: Sequence[RemoteFile] | None,
) -> dict[str, Any] | None:
    """``{from, to, files, license, card}``; ``None`` where nothing differs.

    ``before`` are the remote files of what is here. Without them local files are compared: those
    that are not here were not wanted.
    """
    new = {file.path: file for file in now}
    if before is None:
        changed: list[list[Any]] = [
            [path, size, new[path].size]
            for path, size in sorted(local.sizes.items())
            if path in new and _differs(path, size, local.checksums, new[path])
        ]
        added: list[list[Any]] = []
        removed: list[list[Any]] = []
    else:
        old = {file.path: file for file in before}
        changed = [
            [path, old[path].size, new[path].size]
            for path in sorted(old.keys() & new.keys())
            if _key(old[path]) != _key(new[path])
        ]
        added = [[path, new[path].size] for path in sorted(new.keys() - old.keys())]
        removed = [[path, old[path].size] for path in sorted(old.keys() - new.keys())]
    card = any(row[0] in CARDS for row in (*changed, *added, *removed))
    licenses = _licenses(local.license, license)
    if not (changed or added or removed or licenses):
        return None
    files = {"added": added, "removed": removed, "changed": changed}
    return {
        "from": local.revision,
        "to": revision,
        "files": {kind: rows[:MAX_LISTED] for kind, rows in files.items()},
        "counts": {kind: len(rows) for kind, rows in files.items()},
        "here": [row[0] for row in changed if row[0] in local.sizes][:MAX_LISTED],
        "license": licenses,
        "card": card,
    }


def _differs(path: str, size: int, checksums: Mapping[str, str], remote: RemoteFile) -> bool:
    if remote.size is not None and remote.size != size:
        return True
    known = checksums.get(path)
    return bool(known and remote.sha256 and known != remote.sha256)


def _key(file: RemoteFile) -> tuple[str, int | None]:
    return file.sha256 or file.git_sha1, file.size


def _licenses(here: str, there: str) -> list[str] | None:
    """Both, where they differ by their usual names."""
    if not here or not there or license_name(here) == license_name(there):
        return None
    return [here, there]
