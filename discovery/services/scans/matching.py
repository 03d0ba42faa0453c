"""Match missing models with arrivals, and collect what stays ambiguous. Pure Python.

Two models can be the same only when their fingerprints are, and when the arrival came after the old
one was last seen: one that existed at the same time is a copy. Among those the evidence is,
strongest first: the same names, sizes and times of all files; the longest common end of both paths,
where no other pair shares it; a folder around them that moved as a whole; being the only two left.
A person decides whatever is still open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain


@dataclass(frozen=True, slots=True)
class Side:
    """One model, missing or arrived.

    ``path`` is absolute; ``came`` and ``seen`` bound the time it is known to have been there.

    ``run`` is the scan that found it first, while it has been there ever since.
    """

    key: int
    fingerprint: str
    content: str
    path: str
    came: datetime
    seen: datetime
    run: int | None = None
    decided: bool = False

    @property
    def parts(self) -> list[str]:
        return [part for part in self.path.split("/") if part]


@dataclass(slots=True)
class Matching:
    """The result: ``pairs`` {old: new}; ``unclear`` are groups whose members look the same."""

    pairs: dict[int, int] = field(default_factory=dict)
    unclear: list[tuple[list[Side], list[Side]]] = field(default_factory=list)


def were_together(old: Side, new: Side) -> bool:
    """Return whether both are known to have existed at the same time.

    Then one is a copy of the other.
    """
    return new.came <= old.seen or (old.run is not None and old.run == new.run)


def match(
    departures: Iterable[Side], arrivals: Iterable[Side], rejected: Collection[tuple[int, int]] = ()
) -> Matching:
    """Match both sides; ``rejected`` pairs, which somebody has rejected, are never joined."""
    groups: dict[str, tuple[list[Side], list[Side]]] = defaultdict(lambda: ([], []))
    for old in departures:
        groups[old.fingerprint][0].append(old)
    for new in arrivals:
        if new.fingerprint in groups:
            groups[new.fingerprint][1].append(new)
    result, open_groups = Matching(), []
    matched: list[tuple[Side, Side]] = []
    for olds, news in groups.values():
        group = _Group(olds, news, rejected)
        group.run()
        matched += group.matched
        open_groups.append(group)
    moved = _moved_folders(matched)
    for group in open_groups:
        group.follow(moved)
        result.pairs |= {old.key: new.key for old, new in group.matched}
        if unclear := group.unclear():
            result.unclear.append(unclear)
    return result


class _Group:
    """The models of one fingerprint."""

    def __init__(
        self, olds: Sequence[Side], news: Sequence[Side], rejected: Collection[tuple[int, int]]
    ) -> None:
        self.olds, self.ghosts = _seniors(olds)
        self.news = sorted(news, key=lambda side: (side.path, side.key))
        self.rejected = rejected
        self.matched: list[tuple[Side, Side]] = []
        # Most groups are plain: all that arrived came later than anything was seen. Then no pair
        # has to be asked by itself.
        runs = {side.run for side in olds} - {None}
        later = (
            not news or not olds or min(new.came for new in news) > max(old.seen for old in olds)
        )
        self.plain = later and not rejected and not runs & {side.run for side in news}

    def run(self) -> None:
        if len(self.olds) == len(self.news) == 1 and self.fits(self.olds[0], self.news[0]):
            self._take(self.olds, self.olds[0], self.news[0])
        self._narrow(self.olds)
        taken = (
            {new.key for old in self.olds for new in self.news if self.fits(old, new)}
            if self.olds and self.news
            else set()
        )
        if self.ghosts and any(new.key not in taken for new in self.news):
            self._narrow(self.ghosts, taken)

    def fits(self, old: Side, new: Side) -> bool:
        return self.plain or (
            not were_together(old, new) and (old.key, new.key) not in self.rejected
        )

    def _narrow(self, olds: list[Side], reserved: Collection[int] = ()) -> None:
        longest = max((len(side.parts) for side in chain(olds, self.news)), default=0)
        for by_content in (True, False):
            for length in range(longest, -1, -1):
                if not olds or not self.news:
                    return
                self._pair(olds, partial(_evidence, length=length, by_content=by_content), reserved)

    def _pair(
        self, olds: list[Side], key: Callable[[Side], Hashable | None], reserved: Collection[int]
    ) -> None:
        """Join sides that have the same key, where the key is unique on both sides."""
        left: dict[Hashable, list[Side]] = defaultdict(list)
        right: dict[Hashable, list[Side]] = defaultdict(list)
        for sides, buckets in ((olds, left), (self.news, right)):
            for side in sides:
                if (found := key(side)) is not None and side.key not in (
                    reserved if sides is self.news else ()
                ):
                    buckets[found].append(side)
        for found, some in left.items():
            if found in right:
                self._join(olds, some, right[found])

    def _join(self, olds: list[Side], left: Sequence[Side], right: Sequence[Side]) -> None:
        if self.plain and not (len(left) == len(right) == 1):
            return
        wants = {old.key: [new for new in right if self.fits(old, new)] for old in left}
        wanted: dict[int, int] = defaultdict(int)
        for some in wants.values():
            for new in some:
                wanted[new.key] += 1
        for old in left:
            if len(wants[old.key]) == 1 and wanted[wants[old.key][0].key] == 1:
                self._take(olds, old, wants[old.key][0])

    def _take(self, olds: list[Side], old: Side, new: Side) -> None:
        self.matched.append((old, new))
        olds.remove(old)
        self.news.remove(new)

    def follow(self, moved: dict[str, str]) -> None:
        """Pair models below a moved folder with those at the same place below its new path."""
        there: dict[str, list[Side]] = defaultdict(list)
        for new in self.news:
            there[new.path].append(new)
        for old in list(self.olds):
            places = {path for path in _carried_along(old.path, moved) if path in there}
            found = [
                new
                for path in places
                for new in there[path]
                if new in self.news and self.fits(old, new)
            ]
            if len(found) == 1:
                self._take(self.olds, old, found[0])

    def unclear(self) -> tuple[list[Side], list[Side]] | None:
        olds = [
            old
            for old in (*self.olds, *self.ghosts)
            if any(self.fits(old, new) for new in self.news)
        ]
        news = [new for new in self.news if any(self.fits(old, new) for old in olds)]
        return (olds, news) if olds and news else None


def _seniors(olds: Sequence[Side]) -> tuple[list[Side], list[Side]]:
    """Return (models, sightings of them) among missing models.

    Of those that never existed at the same time only the first one is a model.

    A model that moved away and back leaves such a sighting: without decisions of its own it must
    not make the next move ambiguous.
    """
    seniors: list[Side] = []
    ghosts: list[Side] = []
    for old in sorted(olds, key=lambda side: (not side.decided, side.came, side.key)):
        apart = any(
            old.came > other.seen or other.came > old.seen
            for other in seniors
            if old.run is None or old.run != other.run
        )
        (ghosts if apart and not old.decided else seniors).append(old)
    return seniors, ghosts


def _evidence(side: Side, *, length: int, by_content: bool) -> Hashable | None:
    """Return what both sides of a pair must have in common.

    That is the last parts of the path, and the content where ``by_content`` says so.
    """
    parts = side.parts
    if length > len(parts):
        return None
    return (side.content if by_content else "", *parts[len(parts) - length :])


def _moved_folders(matched: Iterable[tuple[Side, Side]]) -> dict[str, str]:
    """{folder: where it is now}, of folders whose models agree about it."""
    found: dict[str, set[str]] = defaultdict(set)
    for old, new in matched:
        left, right = old.parts, new.parts
        while left and right and left[-1] == right[-1]:
            left, right = left[:-1], right[:-1]
            found["/".join(left)].add("/".join(right))
    return {folder: next(iter(places)) for folder, places in found.items() if len(places) == 1}


def _carried_along(path: str, moved: dict[str, str]) -> Iterable[str]:
    parts = [part for part in path.split("/") if part]
    for length in range(len(parts) - 1, 0, -1):
        if (place := moved.get("/".join(parts[:length]))) is not None:
            yield "/" + "/".join(filter(None, (place, *parts[length:])))
