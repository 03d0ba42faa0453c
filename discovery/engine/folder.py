"""The files of a candidate below one folder, by name, and the sidecars read from among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from discovery.engine.files import read_file
from discovery.engine.sidecars import json_file
from discovery.engine.types import FileEntry, Problem, Severity


class Folder:
    """``entries`` maps the path below ``place`` to its file. Problems of what is read are collected in ``problems``."""

    def __init__(self, root: str, place: str, files: Iterable[FileEntry]) -> None:
        self.root = root
        self.place = place
        prefix = "" if place == "." else place + "/"
        self.entries = {
            entry.path[len(prefix) :]: entry for entry in files if entry.path.startswith(prefix)
        }
        self.problems: list[Problem] = []
        self.faulty: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def read(self, name: str, limit: int) -> bytes | None:
        """At most ``limit`` bytes of a file here, ``None`` when it is not there or cannot be read (which becomes a problem)."""
        entry = self.entries.get(name)
        if entry is None:
            return None
        try:
            return read_file(self.root, entry, limit)
        except OSError as error:
            self.complain(
                "file_unreadable", name, f"{name} cannot be read: {error.strerror or error}"
            )
            self.faulty.add(name)
            return None

    def json(self, name: str, severity: Severity = Severity.WARNING) -> dict[str, Any] | None:
        """The object in a JSON file here. What loaders would refuse becomes a problem, and what can be read is still given."""
        raw = self.read(name, json_file.MAX_BYTES + 1)
        if raw is None:
            return None
        parsed = json_file.parse_object(raw)
        if parsed.fault:
            self.complain(
                "config_invalid" if severity is Severity.ERROR else "sidecar_invalid",
                name,
                f"{name}: {parsed.fault}",
                severity,
                parsed.offset,
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
    ) -> None:
        path = name if self.place == "." else f"{self.place}/{name}"
        self.problems.append(Problem(code, message, path, severity, offset))
