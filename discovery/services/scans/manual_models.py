"""Models that people registered manually.

A scan reads them again even where its walk does not reach them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.paths import to_native
from discovery.engine.core.types import Candidate, Found
from discovery.engine.disk.walk import all_files
from discovery.engine.identify import read_path
from discovery.models import RegisteredModel, Root


class ManualModels:
    """The manual models below ``start`` of one root, queried once."""

    def __init__(self, root: Root, start: str, settings: Discovery, memory_bytes: int) -> None:
        self.root, self.start, self.settings, self.memory_bytes = (
            root,
            start,
            settings,
            memory_bytes,
        )
        self.native = to_native("/", root.path)

    @cached_property
    def paths(self) -> dict[str, str]:
        """{place: path}."""
        if self.root.pk is None:
            return {}
        rows = RegisteredModel.objects.filter(root=self.root, registered_manually=True).values_list(
            "place", "path"
        )
        return {
            place: path
            for place, path in rows
            if self.start == "." or place == self.start or place.startswith(f"{self.start}/")
        }

    def load(self) -> None:
        """Query the database now: everything after this only uses the disk."""
        _ = self.paths

    def at(self, place: str) -> str | None:
        return self.paths.get(place)

    def beyond(self, seen: Collection[str]) -> Iterator[tuple[str, str]]:
        """(place, path) of those whose place the walk has not met."""
        return ((place, path) for place, path in self.paths.items() if place not in seen)

    def candidate(self, path: str, skip: Sequence[str]) -> Candidate | None:
        """Its files as they are now; ``None`` when they are gone.

        Opens no file; ``skip`` are the places of other roots.
        """
        native = self._native(path)
        if not os.path.lexists(os.path.join(self.native, native)):
            return None
        try:
            for candidate in read_path.candidates(self.native, native, self.settings, skip):
                if candidate.place == native or any(
                    entry.path == native for entry in candidate.files
                ):
                    return candidate
            whole = all_files(self.native, self.settings, native)
        except OSError:
            return None
        return whole if whole.files else None

    def read(self, path: str, skip: Sequence[str]) -> tuple[Candidate, Found] | None:
        """Read the model again; return ``None`` when there no longer is one."""
        try:
            return read_path.read(
                self.native, self._native(path), self.settings, self.memory_bytes, skip
            )
        except (NotAModel, OSError):
            return None

    def _native(self, path: str) -> str:
        return os.path.relpath(to_native(self.native, path), self.native).replace(os.sep, "/")
