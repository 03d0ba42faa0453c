"""Find files under the roots that belong to no model.

The result shows the disks now or a few minutes ago, because walks take a while.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from discovery.engine.core.paths import to_native
from discovery.engine.disk import leftovers
from discovery.engine.disk.leftovers import Leftover, Look
from discovery.models import Root
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent

#: Seconds that a page waits for the walks; they go on meanwhile.
PATIENCE = 1.0
#: Seconds that one walk may take.
WALK_SECONDS = 120.0
#: What a walk has told is believed for so long. Every plan asks the disk about each file again.
KEPT_SECONDS = 600.0

_kept: dict[str, tuple[float, str, Look]] = {}
_door = threading.Lock()


@dataclass(frozen=True, slots=True)
class Item:
    """A leftover and its root.

    ``home`` is the root's real path; ``key`` names it in forms.
    """

    root: str
    home: str
    leftover: Leftover

    @property
    def key(self) -> str:
        text = f"{self.root}\0{self.leftover.kind}\0{self.leftover.path}"
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class OrphanReport:
    """The orphaned files and how complete the walk was.

    ``waiting`` are roots whose walk has not ended, ``silent`` those that do not answer, ``cut``
    those too large to be walked to the end.

    ``unread`` is what could not be read.
    """

    items: tuple[Item, ...]
    waiting: tuple[str, ...]
    silent: tuple[str, ...]
    cut: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]
    folders: int


def look(*, fresh: bool = False) -> OrphanReport:
    """Return everything that was found; ``fresh`` ignores earlier walks."""
    rows = list(Root.objects.exclude(path=Root.REMOTE).filter(enabled=True).order_by("path"))
    if fresh:
        forget()
    missing = [root for root in rows if not _recent(root.path)]
    places = reach.places(rows) if missing else {}
    questions = {
        root: (
            "leftovers",
            partial(_walk, root.path, [place for other, place in places.items() if other != root]),
        )
        for root in missing
    }
    answers = reach.within_each(questions, longest=PATIENCE)
    silent = [
        root.path
        for root, answer in answers.items()
        if isinstance(answer, RootSilent) and answer.hangs
    ]
    roots = [root.path for root in rows]
    told = {path: kept for path in roots if (kept := _recent(path))}
    links = frozenset(link for _, _, look in told.values() for link in look.links)
    items = [
        Item(path, home, leftover)
        for path, (_, home, look) in told.items()
        for leftover in look.found
        if not leftovers.is_linked(leftover, home, links)
    ]
    return OrphanReport(
        tuple(sorted(items, key=lambda item: (-item.leftover.freed, item.leftover.path))),
        tuple(path for path in roots if path not in told and path not in silent),
        tuple(silent),
        tuple(path for path, (_, _, look) in told.items() if not look.whole),
        tuple(
            (f"{path}/{place}", reason)
            for path, (_, _, look) in told.items()
            for place, reason in look.unread
        ),
        sum(look.folders for _, _, look in told.values()),
    )


def forget() -> None:
    with _door:
        _kept.clear()


def _recent(path: str) -> tuple[float, str, Look] | None:
    kept = _kept.get(path)
    return kept if kept and time.monotonic() - kept[0] < KEPT_SECONDS else None


def _walk(path: str, others: list[str]) -> None:
    home = os.path.realpath(to_native("/", path))
    found = leftovers.look(home, [other for other in others if other != home], WALK_SECONDS)
    with _door:
        _kept[path] = (time.monotonic(), home, found)
