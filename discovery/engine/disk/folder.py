"""The files of a candidate below one folder, by name, and the sidecars read from among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from discovery.engine.core.files import read_file
from discovery.engine.core.types import FileEntry, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.sidecars import json_file

#: What is kept of the start and the end of every file that was read whole: enough to know what it
#: is.
HEAD_BYTES, TAIL_BYTES = 512, 22
#: Files up to this size are read once: configurations are asked for what they say, and for the code
#: that they name.
SMALL_BYTES = 64 << 10


class Glimpse(NamedTuple):
    """The first bytes of a file, and its last."""

    head: bytes
    tail: bytes


class ModelFolder:
    """The files of one folder: ``entries`` maps the path below ``place`` to its file.

    ``problems`` collects the problems of the files that are read.

    ``glimpses`` holds (by path below the root) the start and end of files that were read whole;
    ``pickled`` says whether a pickle was found.
    """

    def __init__(self, root: str, place: str, files: Iterable[FileEntry]) -> None:
        self.root = root
        self.place = place
        prefix = "" if place == "." else place + "/"
        self.entries = {
            entry.path[len(prefix) :]: entry for entry in files if entry.path.startswith(prefix)
        }
        self.problems: list[Problem] = []
        self.faulty: set[str] = set()
        self.glimpses: dict[str, Glimpse] = {}
        self._small: dict[str, bytes] = {}
        self.pickled = False

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def named(self, name: str) -> str | None:
        """The file here of that name, in whatever letters it is written."""
        if name in self.entries:
            return name
        lower = name.lower()
        return next((each for each in self.entries if each.lower() == lower), None)

    def read(self, name: str, limit: int) -> bytes | None:
        """Up to ``limit`` bytes of a file in the folder.

        ``None`` when it is missing or unreadable; the latter becomes a problem.
        """
        entry = self.entries.get(name)
        if entry is None:
            return None
        if name in self._small:
            return self._small[name][:limit]
        try:
            data = read_file(self.root, entry, limit)
        except OSError as error:
            self.complain(
                "file_unreadable", name, f"{name} cannot be read: {error.strerror or error}"
            )
            self.faulty.add(name)
            return None
        if len(data) == entry.size:
            self.glimpses[entry.path] = Glimpse(data[:HEAD_BYTES], data[-TAIL_BYTES:])
            if len(data) <= SMALL_BYTES:
                self._small[name] = data
        return data

    def json(self, name: str, severity: Severity = Severity.WARNING) -> dict[str, Any] | None:
        """The object in a JSON file here.

        What loaders would refuse becomes a problem, and what can be read is still given.
        """
        raw = self.read(name, json_file.MAX_BYTES + 1)
        if raw is None:
            return None
        parsed = json_file.parse_object(raw)
        if parsed.fault:
            code = "config_invalid" if severity is Severity.ERROR else "sidecar_invalid"
            self.complain(
                code,
                name,
                f"{name}: {parsed.fault}",
                severity,
                parsed.offset,
                parsed.absence,
            )
            self.faulty.add(name)
        return parsed.data if isinstance(parsed.data, dict) else None

    def complain(
        self,
        code: str,
        name: str,
        message: str,
        severity: Severity = Severity.ERROR,
        offset: int | None = None,
        key: str = "",
    ) -> None:
        path = name if self.place == "." else f"{self.place}/{name}"
        self.problems.append(Problem(code, message, path, severity, offset, key))
