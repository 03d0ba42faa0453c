"""What plans ask the disks: where files really are, and which other models need them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from discovery.engine.core.paths import is_under, to_native
from discovery.engine.disk.disk_use import FILE, FOLDER, DiskEntry, piece
from discovery.models import RegisteredModel
from discovery.services.cleanup.removal import PlanError, Removal, Step
from discovery.services.cleanup.still_needed import Needed, needed
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent

Answer = TypeVar("Answer")


#: Seconds that the disks have to say where each thing of a plan lies.
TIMEOUT = 20.0


Made = tuple[list[Step], set[str]]


def ask_disks(question: Callable[[], Answer]) -> Answer:
    """The answer of the disks to one part of a plan, which touches no database.

    Raises ``PlanError`` when they do not give it in time.
    """
    try:
        return reach.elsewhere(object(), question, "that holds these files", longest=TIMEOUT)
    except RootSilent as error:
        raise PlanError(
            "The disks did not answer while the plan was made. Try again in a moment."
        ) from error


def users_of(files: Iterable[tuple[str, str, DiskEntry]], going: Collection[int]) -> Needed:
    """What models other than ``going`` need of these: (title, home, entry).

    Raises ``PlanError`` where links of theirs lead to it.
    """
    listed = list(files)
    places = ask_disks(
        lambda: {
            os.path.realpath(to_native(home, each.path)): (title, each)
            for title, home, each in listed
            if each.kind == FILE
        }
    )
    found = needed(((place, each) for place, (_, each) in places.items()), going)
    if found is None:
        raise PlanError(
            "The disks did not say in time whether other models need these files. Try again in a"
            " moment."
        )
    for place, user in found.linked.items():
        raise PlanError(
            f"{user} is made of links to files of {places[place][0]} that is ticked: let that one"
            " stay."
        )
    return found


def own_folders(
    home: str, record: RegisteredModel, entries: Sequence[DiskEntry]
) -> list[DiskEntry]:
    """Return the folders from the entries up to the model's own, the deepest first.

    Each is removed if nothing is left in it.
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


def removal_of(home: str, entry: DiskEntry, same_as: str = "", holds: str = "") -> Removal:
    """The entry at its real place. Raises ``PlanError`` where that is outside the root."""
    native = to_native(home, entry.path)
    folder = os.path.realpath(os.path.dirname(native))
    if not is_under(folder, home):
        raise PlanError(f"{entry.path} lies outside its root, and is not touched.")
    return Removal(os.path.join(folder, os.path.basename(native)), entry, same_as, holds)
