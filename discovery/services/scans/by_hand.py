"""Models that people registered by hand: a scan that does not come by their place still looks after them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from functools import cached_property

from discovery.engine import pointed
from discovery.engine.config import Discovery
from discovery.engine.errors import NotAModel
from discovery.engine.paths import to_native
from discovery.engine.types import Candidate, Found
from discovery.engine.walk import everything
from discovery.models import RegisteredModel, Root
from discovery.services.scans.roots import others


class ByHand:
    """Those below ``start`` of one root, asked for once."""

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
        rows = RegisteredModel.objects.filter(root=self.root, by_hand=True).values_list(
            "place", "path"
        )
        return {
            place: path
            for place, path in rows
            if self.start == "." or place == self.start or place.startswith(f"{self.start}/")
        }

    @cached_property
    def skip(self) -> list[str]:
        return others(self.root)

    def at(self, place: str) -> str | None:
        return self.paths.get(place)

    def beyond(self, seen: Collection[str]) -> Iterator[tuple[str, str]]:
        """(place, path) of those whose place the walk has not met."""
        return ((place, path) for place, path in self.paths.items() if place not in seen)

    def candidate(self, path: str) -> Candidate | None:
        """Its files as they are now; ``None`` when they are gone. Opens no file."""
        native = self._native(path)
        if not os.path.lexists(os.path.join(self.native, native)):
            return None
        try:
            for candidate in pointed.candidates(self.native, native, self.settings, self.skip):
                if candidate.place == native or any(
                    entry.path == native for entry in candidate.files
                ):
                    return candidate
            whole = everything(self.native, self.settings, native)
        except OSError:
            return None
        return whole if whole.files else None

    def read(self, path: str) -> tuple[Candidate, Found] | None:
        """The model there, read anew; ``None`` when there is none any more."""
        try:
            return pointed.read(
                self.native, self._native(path), self.settings, self.memory_bytes, self.skip
            )
        except (NotAModel, OSError):
            return None

    def _native(self, path: str) -> str:
        return os.path.relpath(to_native(self.native, path), self.native).replace(os.sep, "/")
