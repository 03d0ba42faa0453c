"""Steps that remove orphaned files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial

from discovery.engine.core.paths import to_native
from discovery.engine.disk.disk_use import FILE, DiskEntry, piece
from discovery.services.cleanup import orphans
from discovery.services.cleanup.orphans import Item
from discovery.services.cleanup.plan_questions import Made, ask_disks, removal_of
from discovery.services.cleanup.removal import PlanError, Step


def orphan_steps(kind: str, chosen: Sequence[str]) -> Made:
    found = {item.key: item for item in orphans.look().items if item.leftover.kind == kind}
    return ask_disks(partial(_leftovers_on_disk, chosen, found))


def _leftovers_on_disk(chosen: Sequence[str], found: Mapping[str, Item]) -> Made:
    """Plan the removal of leftovers; it reads the disks and not the database."""
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
            raise PlanError(
                "One of the ticked things is not there any more, or has changed. Look again."
            )
        removals = tuple(removal_of(item.home, each) for each in now)
        watched = tuple(
            native
            for path in item.leftover.decides
            if os.path.isdir(native := to_native(item.home, path))
        )
        steps.append(Step(item.leftover.path, item.leftover.note, removals, watched=watched))
        roots.add(item.home)
    return steps, roots


def _state(entry: DiskEntry) -> tuple[str, str, int, int]:
    return entry.path, entry.kind, entry.size, entry.mtime_ns if entry.kind == FILE else 0
