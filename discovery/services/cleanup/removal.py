"""What a clean-up plan consists of: steps, each with the files it removes and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from discovery.engine.core.paths import to_text
from discovery.engine.disk.disk_use import FILE, DiskEntry, freed
from discovery.services.cleanup.same_files import Difference


class PlanError(Exception):
    """Why no plan can be made of what was chosen, in a sentence for the person who chose it."""


class Unconfirmed(PlanError):
    """The selection differs from what would stay, file by file.

    Each difference has to be confirmed before a plan is created.
    """

    def __init__(self, choices: Sequence[Choice]) -> None:
        first = choices[0]
        files = ", ".join(choice.difference.text for choice in choices[:5]) + (
            " …" if len(choices) > 5 else ""
        )
        differ = "file differs" if len(choices) == 1 else "files differ"
        super().__init__(
            f"{first.title} is not a copy of {first.kept}: the weights look the same, but"
            f" {len(choices):,} {differ}: {files}."
        )
        self.choices = tuple(choices)


@dataclass(frozen=True, slots=True)
class Choice:
    """A file in which the model at ``location`` departs from the one at ``kept``.

    ``key`` stands for it as it is now.
    """

    title: str
    location: str
    kept: str
    difference: Difference
    key: str


@dataclass(frozen=True, slots=True)
class Removal:
    """One entry to remove.

    ``absolute`` is its real place, ``same_as`` the file that must hold the same bytes; both as the
    system spells them.

    ``holds`` are its bytes where they are few and stand in the plan itself.
    """

    absolute: str
    piece: DiskEntry
    same_as: str = ""
    holds: str = ""

    @property
    def text(self) -> str:
        return to_text(self.absolute)


@dataclass(frozen=True, slots=True)
class Step:
    """Entries that go together or not at all.

    ``why`` says what makes them superfluous, ``keeps`` what stays in their place.

    ``needs`` are files (real place, size) that must still be there, ``watched`` folders in which
    nothing may have changed since. ``differences`` were confirmed by the person who made the plan.
    """

    title: str
    why: str
    removals: tuple[Removal, ...]
    keeps: str = ""
    model_id: str = ""
    needs: tuple[tuple[str, int], ...] = ()
    watched: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def freed(self) -> int:
        return freed(_renamed(self.removals))


@dataclass(frozen=True, slots=True)
class Plan:
    kind: str
    by: str
    made_at: datetime
    roots: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def freed(self) -> int:
        """Of all steps together: two names of one file give its bytes back only where both go."""
        return freed(_renamed(removal for step in self.steps for removal in step.removals))

    @property
    def entries(self) -> int:
        return sum(len(step.removals) for step in self.steps)

    @property
    def stamp(self) -> str:
        """The stamp of the plan's entries.

        It tells whether the plan is the one that was reviewed.
        """
        text = "\n".join(
            f"{r.absolute}\0{r.piece.kind}\0{r.piece.size}"
            f"\0{r.piece.mtime_ns if r.piece.kind == FILE else ''}\0{r.same_as}"
            for step in self.steps
            for r in step.removals
        )
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _renamed(removals: Iterable[Removal]) -> list[DiskEntry]:
    """Return pieces by their absolute path, because two roots may have files of the same name."""
    return [removal.piece._replace(path=removal.absolute) for removal in removals]
