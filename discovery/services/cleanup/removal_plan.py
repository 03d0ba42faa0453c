"""Plans of what to remove, for people to review and to run themselves: a shell script and a JSON
document. Nothing is removed here.

A plan names every file. It is made from the disk as it is now; the script looks at each file again
before it removes it, and does a step whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar

from django.utils import timezone

from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.disk.disk_use import FILE, FOLDER, Piece, freed, piece
from discovery.models import RegisteredModel
from discovery.services.cleanup import alternate_formats, duplicates, orphans
from discovery.services.cleanup.alternate_formats import Kept, SecondFormat
from discovery.services.cleanup.duplicates import Copy
from discovery.services.cleanup.orphans import Item
from discovery.services.cleanup.same_files import (
    Content,
    Difference,
    How,
    agreement,
    counterpart,
    differences,
    is_reference,
)
from discovery.services.cleanup.still_needed import Needed, needed
from discovery.services.core.shell import Command, Work, script_of
from discovery.services.machine import reach
from discovery.services.machine.reach import RootSilent

Answer = TypeVar("Answer")

#: Seconds that the disks have to say where each thing of a plan lies.
PATIENCE = 20.0
#: Things that one plan may remove.
MAX_CHOSEN = 500
#: What a plan is about: copies of models, second formats, and the kinds of leftovers.
COPIES, FORMATS = "copies", "formats"


class CannotPlan(Exception):
    """Why no plan can be made of what was chosen, in a sentence for the person who chose it."""


class Unconfirmed(CannotPlan):
    """What was chosen differs from what would stay, file by file; each has to be confirmed before
    there is a plan.
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
    piece: Piece
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
        """The same for the same entries: whether what is fetched is what was reviewed."""
        text = "\n".join(
            f"{r.absolute}\0{r.piece.kind}\0{r.piece.size}"
            f"\0{r.piece.mtime_ns if r.piece.kind == FILE else ''}\0{r.same_as}"
            for step in self.steps
            for r in step.removals
        )
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _renamed(removals: Iterable[Removal]) -> list[Piece]:
    """Pieces by their place in the whole system: two roots may hold files of the same name."""
    return [removal.piece._replace(path=removal.absolute) for removal in removals]


def plan(kind: str, chosen: Sequence[str], *, by: str, confirmed: Collection[str] = ()) -> Plan:
    """Of what was ticked: primary keys of copies, or keys of leftovers and second formats.

    Raises ``CannotPlan``.

    ``confirmed`` are keys of differences that the person has seen and accepts to lose.
    """
    if not chosen:
        raise CannotPlan("Nothing is ticked, so there is nothing to plan.")
    if len(chosen) > MAX_CHOSEN:
        raise CannotPlan(
            f"One plan may remove at most {MAX_CHOSEN} things; {len(chosen):,} are ticked."
        )
    try:
        made = (
            _copies(chosen, frozenset(confirmed)) if kind == COPIES
            else _formats(chosen, frozenset(confirmed)) if kind == FORMATS
            else _leftovers(kind, chosen)
        )  # fmt: skip
    except duplicates.NoAnswer as error:
        raise CannotPlan(str(error)) from error
    steps, roots = made
    _refuse_last_copies(steps)
    return Plan(kind, by, timezone.now(), tuple(sorted(roots)), tuple(steps))


Made = tuple[list[Step], set[str]]


def _asked(question: Callable[[], Answer]) -> Answer:
    """The answer of the disks to one part of a plan, which touches no database.

    Raises ``CannotPlan`` when they do not give it in time.
    """
    try:
        return reach.elsewhere(object(), question, "that holds these files", longest=PATIENCE)
    except RootSilent as error:
        raise CannotPlan(
            "The disks did not answer while the plan was made. Try again in a moment."
        ) from error


def _copies(chosen: Sequence[str], confirmed: frozenset[str]) -> Made:
    keys = {int(key) for key in chosen if key.isascii() and key.isdigit() and len(key) < 19}
    fingerprints = (
        RegisteredModel.objects.filter(pk__in=keys)
        .order_by("fingerprint")
        .values_list("fingerprint", flat=True)
        .distinct()
    )
    pairs: list[tuple[Copy, Copy, str]] = []
    for likeness in duplicates.likenesses(list(fingerprints)):
        certainty = {
            copy.record.pk: group.certainty for group in likeness.groups for copy in group.copies
        }
        group_of = {
            copy.record.pk: number
            for number, group in enumerate(likeness.groups)
            for copy in group.copies
        }
        copies = [copy for group in likeness.groups for copy in group.copies]
        staying = [copy for copy in copies if copy.record.pk not in keys]
        for copy in copies:
            if copy.record.pk not in keys:
                continue
            if not staying:
                raise CannotPlan(
                    f"Every copy of {copy.record.title} is ticked. Leave the one that shall stay."
                )
            alike = [
                other for other in staying if group_of[other.record.pk] == group_of[copy.record.pk]
            ]
            kept = _asked(partial(_best, copy, alike, staying))
            pairs.append((copy, kept, _WHY[certainty[copy.record.pk]]))
    if keys - {copy.record.pk for copy, _, _ in pairs} or len(keys) != len(set(chosen)):
        raise CannotPlan(
            "One of the ticked models is no copy of another any more. Look at the list again."
        )
    choices = _asked(lambda: {copy.record.pk: _choices(copy, kept) for copy, kept, _ in pairs})
    if unseen := [
        choice for each in choices.values() for choice in each if choice.key not in confirmed
    ]:
        raise Unconfirmed(unseen)
    users = _users(
        [(copy.record.title, copy.home, piece) for copy, _, _ in pairs for piece in copy.pieces],
        keys,
    )
    steps = _asked(
        lambda: [
            _copy(copy, kept, why, [choice.difference for choice in choices[copy.record.pk]], users)
            for copy, kept, why in pairs
        ]
    )
    return steps, {copy.home for copy, _, _ in pairs}


_WHY = {
    duplicates.Certainty.LINKED: (
        "both names lead to the same weights on the disk, and all other files agree"
    ),
    duplicates.Certainty.CHECKSUM: (
        "the checksums of all their weights agree, and so do all other files"
    ),
    duplicates.Certainty.ALIKE: (
        "sizes and first bytes of their weights agree; the script compares all bytes before it"
        " removes any"
    ),
}


def _users(files: Iterable[tuple[str, str, Piece]], going: Collection[int]) -> Needed:
    """What models other than ``going`` need of these: (title, home, entry).

    Raises ``CannotPlan`` where links of theirs lead to it.
    """
    listed = list(files)
    places = _asked(
        lambda: {
            os.path.realpath(to_native(home, each.path)): (title, each)
            for title, home, each in listed
            if each.kind == FILE
        }
    )
    found = needed(((place, each) for place, (_, each) in places.items()), going)
    if found is None:
        raise CannotPlan(
            "The disks did not say in time whether other models need these files. Try again in a"
            " moment."
        )
    for place, user in found.linked.items():
        raise CannotPlan(
            f"{user} is made of links to files of {places[place][0]} that is ticked: let that one"
            " stay."
        )
    return found


def _choices(copy: Copy, kept: Copy) -> list[Choice]:
    made = []
    for each in differences(copy.files, kept.files):
        state = [
            (content.size, content.mtime_ns, content.identity)
            for files in (copy.files, kept.files)
            for content in files.by_name.get(each.key, ())
        ]
        text = f"{copy.record.pk}\0{kept.record.pk}\0{each.key}\0{each.how}\0{state}"
        key = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        made.append(Choice(copy.record.title, copy.location, kept.location, each, key))
    return made


def _best(copy: Copy, alike: Sequence[Copy], staying: Sequence[Copy]) -> Copy:
    """The copy that stays in its place: the surest of those whose files all agree, else the one
    with the fewest differences.
    """
    if alike:
        return max(alike, key=lambda other: agreement(copy.files, other.files))
    return min(staying, key=lambda other: len(differences(copy.files, other.files)))


def _copy(copy: Copy, kept: Copy, why: str, accepted: Sequence[Difference], users: Needed) -> Step:
    staying = {content.path for contents in kept.files.by_name.values() for content in contents}
    entries: list[tuple[Piece, str, str]] = []
    for each in copy.pieces:
        native = to_native(copy.home, each.path)
        if os.path.realpath(native) in (users.shared if each.kind == FILE else ()):
            continue  # another model has it as well
        if each.kind == FILE and os.path.realpath(native) in staying:
            continue
        if is_reference(copy.record, each.path):
            entries.append((each, "", _text_of(native)))
            continue
        content = copy.contents.get(each.path)
        match = _match(copy, content, kept) if content else None
        if match is None and not (content and _is_accepted(copy, content, accepted)):
            raise CannotPlan(
                f"{each.path} of {copy.record.title} has no counterpart in {kept.record.title}:"
                " they are not copies of each other."
            )
        if (
            match
            and content
            and each.kind == FILE
            and match.identity == content.identity
            and each.names < 2
        ):
            raise CannotPlan(
                f"{copy.location} and {kept.location} are the same files, reached by two paths:"
                " removing one would remove both."
            )
        entries.append((each, match.path if match else "", ""))
    removals = [_removal(copy.home, each, same_as, holds) for each, same_as, holds in entries]
    removals += [
        _removal(copy.home, each)
        for each in _own_folders(copy.home, copy.record, [each for each, _, _ in entries])
    ]
    if not removals:
        raise CannotPlan(f"All files of {copy.record.title} belong to the copy that stays as well.")
    if accepted:
        were = "was" if len(accepted) == 1 else "were"
        told = f"{plural(len(accepted), 'difference')} in other files {were} confirmed"
        why = f"the weights look the same, and the script compares all their bytes; {told}"
    return Step(
        copy.record.title,
        why,
        tuple(removals),
        kept.location,
        copy.record.model_id,
        differences=tuple(accepted),
    )


def _match(copy: Copy, content: Content, kept: Copy) -> Content | None:
    """The file of ``kept`` that holds what ``content`` does: of the same name, else (an older
    revision has it too) of any.
    """
    for name in copy.files.of(content.identity):
        found = counterpart(content, kept.files.by_name.get(name, ()))[1]
        if found:
            return found
    return (
        counterpart(
            content, [each for contents in kept.files.by_name.values() for each in contents]
        )[1]
        if content.size
        else None
    )


def _is_accepted(copy: Copy, content: Content, accepted: Sequence[Difference]) -> bool:
    names = set(copy.files.of(content.identity))
    return any(each.key in names for each in accepted)


def _text_of(native: str) -> str:
    """The few bytes of a branch or tag. Raises ``CannotPlan`` where they are many, or none."""
    try:
        with open(native, encoding="ascii") as stream:
            text = stream.read(200)
    except (OSError, ValueError) as error:
        raise CannotPlan(
            f"{to_text(native)} cannot be read, so nobody knows what would go with it."
        ) from error
    if not text or len(text) >= 200:
        raise CannotPlan(
            f"{to_text(native)} is not the name of a commit, so nobody knows what would go with it."
        )
    return text


def _refuse_last_copies(steps: Sequence[Step]) -> None:
    """What one step keeps must not go with another: neither the file nor a folder that leads to it.

    Raises ``CannotPlan``.
    """
    going = {
        removal.absolute: step.title
        for step in steps
        for removal in step.removals
        if removal.piece.kind != FOLDER
    }
    for step in steps:
        for stays in (
            *(removal.same_as for removal in step.removals if removal.same_as),
            *(place for place, _ in step.needs),
        ):
            if stays in going:
                raise CannotPlan(
                    f"{to_text(stays)} would stay for {step.title}, but it goes with"
                    f" {going[stays]}: leave one of the two."
                )


def _own_folders(home: str, record: RegisteredModel, entries: Sequence[Piece]) -> list[Piece]:
    """Folders of the entries up to the model's own, the deepest first: each is removed if nothing
    is left in it.
    """
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


def _formats(chosen: Sequence[str], confirmed: frozenset[str]) -> Made:
    found = {each.key: each for each in alternate_formats.found()}
    if any(key not in found for key in chosen):
        raise CannotPlan("One of the ticked things is not there any more. Look at the list again.")
    ticked = [found[key] for key in dict.fromkeys(chosen)]
    going = {each.record.pk for each in ticked if each.is_whole}
    users = _users(
        [(each.record.title, each.home, piece) for each in ticked for piece in each.pieces],
        {each.record.pk for each in ticked},
    )
    steps, unseen, roots = list[Step](), list[Choice](), set[str]()
    for each in ticked:
        kept = next(
            (other for other in each.others if other.record.pk not in going or not each.is_whole),
            None,
        )
        if kept is None:
            raise CannotPlan(
                f"Every format of {each.record.title} is ticked. Leave the one that shall stay."
            )
        weighed = duplicates.weigh([each.record, kept.record]) if each.is_whole else {}
        step, choices = _asked(partial(_format, each, kept, weighed, users))
        unseen += [choice for choice in choices if choice.key not in confirmed]
        steps.append(step)
        roots.add(each.home)
    if unseen:
        raise Unconfirmed(unseen)
    return steps, roots


def _format(
    each: SecondFormat, kept: Kept, weighed: Mapping[int, Copy], users: Needed
) -> tuple[Step, list[Choice]]:
    """Asks the disks and no database."""
    pieces = [
        piece
        for piece in each.pieces
        if os.path.realpath(to_native(each.home, piece.path)) not in users.shared
    ]
    choices, pairs = _beside(each, kept, weighed) if each.is_whole else ([], {})
    why = (
        f"the model is there as {kept.name} as well, {each.alike}; a program that wants"
        f" {each.format} would miss it"
    )
    entries = [*pieces, *(_own_folders(each.home, each.record, pieces) if each.is_whole else ())]
    removals = tuple(_removal(each.home, entry, pairs.get(entry.path, "")) for entry in entries)
    title = ", ".join(part for part in (each.record.title, each.name) if part)
    told = tuple(choice.difference for choice in choices)
    return (
        Step(title, why, removals, kept.name, each.record.model_id, kept.weights, differences=told),
        choices,
    )


def _beside(
    each: SecondFormat, kept: Kept, copies: Mapping[int, Copy]
) -> tuple[list[Choice], dict[str, str]]:
    """What lies beside the weights: files that the model of the other format has not, or has
    otherwise; and those that it has too.
    """
    if len(copies) < 2:
        raise CannotPlan("One of the ticked things is not there any more. Look at the list again.")
    mine, other = copies[each.record.pk], copies[kept.record.pk]
    weights = {
        name
        for copy in (mine, other)
        for content in copy.weights.values()
        for name in copy.files.of(content.identity)
    }
    choices = [
        choice
        for choice in _choices(mine, other)
        if choice.difference.key not in weights and choice.difference.how != How.ONLY_THERE
    ]
    pairs = {
        path: match.path
        for path, content in mine.contents.items()
        if path not in mine.weights and (match := _match(mine, content, other))
    }
    return choices, pairs


def _leftovers(kind: str, chosen: Sequence[str]) -> Made:
    found = {item.key: item for item in orphans.look().items if item.leftover.kind == kind}
    return _asked(partial(_leftovers_on_disk, chosen, found))


def _leftovers_on_disk(chosen: Sequence[str], found: Mapping[str, Item]) -> Made:
    """Asks the disks and no database."""
    steps, roots = list[Step](), set[str]()
    for key in dict.fromkeys(chosen):
        item = found.get(key)
        now = (
            tuple(each for known in item.leftover.pieces if (each := piece(item.home, known.path)))
            if item
            else ()
        )
        if item is None or [_state(each) for each in now] != [
            _state(each) for each in item.leftover.pieces
        ]:
            raise CannotPlan(
                "One of the ticked things is not there any more, or has changed. Look again."
            )
        removals = tuple(_removal(item.home, each) for each in now)
        watched = tuple(
            native
            for path in item.leftover.decides
            if os.path.isdir(native := to_native(item.home, path))
        )
        steps.append(Step(item.leftover.path, item.leftover.note, removals, watched=watched))
        roots.add(item.home)
    return steps, roots


def _state(entry: Piece) -> tuple[str, str, int, int]:
    return entry.path, entry.kind, entry.size, entry.mtime_ns if entry.kind == FILE else 0


def _removal(home: str, entry: Piece, same_as: str = "", holds: str = "") -> Removal:
    """The entry at its real place. Raises ``CannotPlan`` where that is outside the root."""
    native = to_native(home, entry.path)
    folder = os.path.realpath(os.path.dirname(native))
    if not is_under(folder, home):
        raise CannotPlan(f"{entry.path} lies outside its root, and is not touched.")
    return Removal(os.path.join(folder, os.path.basename(native)), entry, same_as, holds)


def as_json(made: Plan) -> dict[str, Any]:
    """The plan as data.

    Names that are not UTF-8 have ``\\xff`` in place of their bytes, as everywhere.
    """
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
        "title": step.title, "why": step.why, "model_id": step.model_id or None,
        "keeps": step.keeps or None,
        "differences": [{"name": each.name, "how": each.how.value, "size": each.size,
                "kept_size": each.other_size} for each in step.differences],
    }  # fmt: skip
    return {**told, "frees_bytes": step.freed, "remove": entries}


def as_script(made: Plan) -> bytes:
    """The plan as a POSIX shell script; file names stand in it as the bytes that they are."""
    heading = [
        f"Clean-up plan of Karen Admin, made {made.made_at:%Y-%m-%d %H:%M} UTC by {made.by}.",
        (
            f"{plural(len(made.steps), 'step')}, {plural(made.entries, 'entry', 'entries')},"
            f" {human_bytes(made.freed)} to be had back."
        ),
        "Nothing outside these folders is touched:",
        *(f"  {to_text(root)}" for root in made.roots),
    ]
    steps = []
    for step in made.steps:
        commands = [
            Command(
                r.absolute,
                r.piece.kind,
                r.piece.size if r.piece.kind == FILE else 0,
                r.same_as,
                r.holds,
            )
            for r in step.removals
        ]
        told = [
            f"{step.title}: {human_bytes(step.freed)}",
            f"why: {step.why}",
            *([f"stays: {step.keeps}"] if step.keeps else []),
        ]
        told += [f"confirmed: {each.text}" for each in step.differences]
        steps.append(Work(told, commands, step.needs, step.watched))
    return script_of(heading, steps, made.roots, made.made_at)
