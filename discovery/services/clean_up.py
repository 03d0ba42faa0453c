"""Plans of what to remove, for people to review and to run themselves: a shell script and a JSON document. Nothing is removed here.

A plan names every file. It is made from the disk as it is now; the script looks at each file again before it removes it, and does a step
whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from django.utils import timezone

from discovery.engine.disk_use import FILE, FOLDER, Piece, freed, piece
from discovery.engine.paths import is_under, to_native, to_text
from discovery.engine.text import human_bytes, plural
from discovery.models import RegisteredModel
from discovery.services import duplicates, leftovers, second_formats
from discovery.services.duplicates import Copy, Group
from discovery.services.shell import Command, script_of

#: Things that one plan may remove.
MAX_CHOSEN = 500
#: What a plan is about: copies of models, second formats, and the kinds of leftovers.
COPIES, FORMATS = "copies", "formats"


class CannotPlan(Exception):
    """Why no plan can be made of what was chosen, in a sentence for the person who chose it."""


@dataclass(frozen=True, slots=True)
class Removal:
    """One entry to remove. ``absolute`` is its real place, ``same_as`` the file that must hold the same bytes; both as the system spells them."""

    absolute: str
    piece: Piece
    same_as: str = ""

    @property
    def text(self) -> str:
        return to_text(self.absolute)


@dataclass(frozen=True, slots=True)
class Step:
    """Entries that go together or not at all. ``why`` says what makes them superfluous, ``keeps`` what stays in their place."""

    title: str
    why: str
    removals: tuple[Removal, ...]
    keeps: str = ""
    model_id: str = ""

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
        """The same for the same entries: whether what is fetched is what was reviewed."""
        text = "\n".join(
            f"{r.absolute}\0{r.piece.kind}\0{r.piece.size}\0{r.same_as}"
            for step in self.steps
            for r in step.removals
        )
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _renamed(removals: Iterable[Removal]) -> list[Piece]:
    """Pieces by their place in the whole system: two roots may hold files of the same name."""
    return [removal.piece._replace(path=removal.absolute) for removal in removals]


def plan(kind: str, chosen: Sequence[str], *, by: str) -> Plan:
    """Of what was ticked: primary keys of copies, or keys of leftovers and second formats. Raises ``CannotPlan``."""
    if not chosen:
        raise CannotPlan("Nothing is ticked, so there is nothing to plan.")
    if len(chosen) > MAX_CHOSEN:
        raise CannotPlan(
            f"One plan may remove at most {MAX_CHOSEN} things; {len(chosen):,} are ticked."
        )
    try:
        made = (
            _copies(chosen)
            if kind == COPIES
            else _formats(chosen)
            if kind == FORMATS
            else _leftovers(kind, chosen)
        )
    except duplicates.NoAnswer as error:
        raise CannotPlan(str(error)) from error
    steps, roots = made
    return Plan(kind, by, timezone.now(), tuple(sorted(roots)), tuple(steps))


Made = tuple[list[Step], set[str]]


def _copies(chosen: Sequence[str]) -> Made:
    keys = {int(key) for key in chosen if key.isascii() and key.isdigit() and len(key) < 19}
    fingerprints = (
        RegisteredModel.objects.filter(pk__in=keys)
        .order_by("fingerprint")
        .values_list("fingerprint", flat=True)
        .distinct()
    )
    steps: list[Step] = []
    roots, planned = set[str](), set[int]()
    for group in duplicates.groups(list(fingerprints)):
        going = [copy for copy in group.copies if copy.record.pk in keys]
        staying = [copy for copy in group.copies if copy.record.pk not in keys]
        if going and not staying:
            raise CannotPlan(
                f"Every copy of {going[0].record.title} is ticked. Leave the one that shall stay."
            )
        made = [_copy(copy, _best(copy, staying), group) for copy in going]
        _keep_what_is_linked(made, staying)
        steps += made
        planned |= {copy.record.pk for copy in going}
        roots |= {copy.home for copy in going}
    if keys - planned or len(keys) != len(set(chosen)):
        raise CannotPlan(
            "One of the ticked models is no copy of another any more. Look at the list again."
        )
    return steps, roots


def _keep_what_is_linked(steps: Sequence[Step], staying: Sequence[Copy]) -> None:
    """A copy that is but links to another would lead nowhere without it. Raises ``CannotPlan``."""
    going = {removal.absolute: step.title for step in steps for removal in step.removals}
    for copy in staying:
        for path in copy.weights:
            title = going.get(os.path.realpath(to_native(copy.home, path)))
            if title:
                raise CannotPlan(
                    f"{copy.location} is made of links to files of {title} that is ticked: let that one stay."
                )


def _best(copy: Copy, staying: Sequence[Copy]) -> Copy:
    """The copy that stays in its place: one that is known to hold the same, if there is one."""
    return next((other for other in staying if copy.sums and other.sums == copy.sums), staying[0])


def _copy(copy: Copy, kept: Copy, group: Group) -> Step:
    spare = {path: (weight.size, path.rpartition("/")[2]) for path, weight in kept.weights.items()}
    pairs: dict[str, str] = {}
    for path, weight in copy.weights.items():
        alike = [each for each, (size, _) in spare.items() if size == weight.size]
        same = next(
            (each for each in alike if spare[each][1] == path.rpartition("/")[2]),
            alike[0] if alike else "",
        )
        if not same:
            raise CannotPlan(
                f"{path} of {copy.record.title} has no counterpart in {kept.record.title}: they are not copies of each other."
            )
        pairs[path] = os.path.realpath(to_native(kept.home, same))
        spare.pop(same)
    staying = {(kept.home, path) for path, _ in kept.record.files}
    entries = [each for each in copy.pieces if (copy.home, each.path) not in staying]
    removals = [_removal(copy.home, each, pairs.get(each.path, "")) for each in entries]
    removals += [
        _removal(copy.home, each) for each in _own_folders(copy.home, copy.record, entries)
    ]
    if not removals:
        raise CannotPlan(f"All files of {copy.record.title} belong to the copy that stays as well.")
    why = {
        duplicates.Certainty.LINKED: "both names lead to the same bytes on the disk",
        duplicates.Certainty.CHECKSUM: "the checksums of all their weights agree",
        duplicates.Certainty.ALIKE: "sizes and first bytes of their weights agree; the script compares all bytes before it removes any",
    }[group.certainty]
    return Step(copy.record.title, why, tuple(removals), kept.location, copy.record.model_id)


def _own_folders(home: str, record: RegisteredModel, entries: Sequence[Piece]) -> list[Piece]:
    """Folders of the entries up to the model's own, the deepest first: each is removed if nothing is left in it."""
    top = record.path
    own = piece(home, top) if top != "." else None
    if own is None or own.kind != FOLDER:
        return []
    found = {top}
    for entry in entries:
        folder = entry.path.rpartition("/")[0]
        while folder.startswith(f"{top}/"):
            found.add(folder)
            folder = folder.rpartition("/")[0]
    made = (piece(home, path) for path in sorted(found, key=lambda path: (-path.count("/"), path)))
    return [each for each in made if each and each.kind == FOLDER]


def _formats(chosen: Sequence[str]) -> Made:
    found = {each.key: each for each in second_formats.found()}
    if any(key not in found for key in chosen):
        raise CannotPlan("One of the ticked things is not there any more. Look at the list again.")
    going = {found[key].record.pk for key in chosen if found[key].is_whole}
    steps, roots = [], set[str]()
    for key in dict.fromkeys(chosen):
        each = found[key]
        if each.is_whole and each.members <= going:
            raise CannotPlan(
                f"Every format of {each.record.title} is ticked. Leave the one that shall stay."
            )
        why = f"the model is there as {each.kept} as well; a program that wants {each.format} would miss it"
        entries = [
            *each.pieces,
            *(_own_folders(each.home, each.record, each.pieces) if each.is_whole else ()),
        ]
        removals = tuple(_removal(each.home, entry) for entry in entries)
        title = ", ".join(part for part in (each.record.title, each.name) if part)
        steps.append(Step(title, why, removals, each.kept, each.record.model_id))
        roots.add(each.home)
    return steps, roots


def _leftovers(kind: str, chosen: Sequence[str]) -> Made:
    found = {item.key: item for item in leftovers.look().items if item.leftover.kind == kind}
    steps, roots = [], set[str]()
    for key in dict.fromkeys(chosen):
        item = found.get(key)
        now = (
            tuple(each for known in item.leftover.pieces if (each := piece(item.home, known.path)))
            if item
            else ()
        )
        if item is None or [each[:3] for each in now] != [
            each[:3] for each in item.leftover.pieces
        ]:
            raise CannotPlan(
                "One of the ticked things is not there any more, or has changed. Look again."
            )
        removals = tuple(_removal(item.home, each) for each in now)
        steps.append(Step(item.leftover.path, item.leftover.note, removals))
        roots.add(item.home)
    return steps, roots


def _removal(home: str, entry: Piece, same_as: str = "") -> Removal:
    """The entry at its real place. Raises ``CannotPlan`` where that is outside the root."""
    native = to_native(home, entry.path)
    folder = os.path.realpath(os.path.dirname(native))
    if not is_under(folder, home):
        raise CannotPlan(f"{entry.path} lies outside its root, and is not touched.")
    return Removal(os.path.join(folder, os.path.basename(native)), entry, same_as)


def as_json(made: Plan) -> dict[str, Any]:
    """The plan as data. Names that are not UTF-8 have ``\\xff`` in place of their bytes, as everywhere."""
    return {
        "made_at": made.made_at.isoformat(),
        "by": made.by,
        "kind": made.kind,
        "roots": [to_text(root) for root in made.roots],
        "frees_bytes": made.freed,
        "steps": [_step_json(step) for step in made.steps],
    }


def _step_json(step: Step) -> dict[str, Any]:
    entries = [
        {
            "path": each.text,
            "type": each.piece.kind,
            "size": each.piece.size,
            "same_as": to_text(each.same_as) or None,
        }
        for each in step.removals
    ]
    told = {
        "title": step.title,
        "why": step.why,
        "model_id": step.model_id or None,
        "keeps": step.keeps or None,
    }
    return {**told, "frees_bytes": step.freed, "remove": entries}


def as_script(made: Plan) -> bytes:
    """The plan as a POSIX shell script; file names stand in it as the bytes that they are."""
    heading = [
        f"Clean-up plan of Karen Admin, made {made.made_at:%Y-%m-%d %H:%M} UTC by {made.by}.",
        f"{plural(len(made.steps), 'step')}, {plural(made.entries, 'entry', 'entries')}, {human_bytes(made.freed)} to be had back.",
        "Nothing outside these folders is touched:",
        *(f"  {to_text(root)}" for root in made.roots),
    ]
    steps = []
    for step in made.steps:
        commands = [
            Command(
                each.absolute,
                each.piece.kind,
                each.piece.size if each.piece.kind == FILE else 0,
                each.same_as,
            )
            for each in step.removals
        ]
        told = [
            f"{step.title}: {human_bytes(step.freed)}",
            f"why: {step.why}",
            *([f"stays: {step.keeps}"] if step.keeps else []),
        ]
        steps.append((told, commands))
    return script_of(heading, steps, made.roots)
