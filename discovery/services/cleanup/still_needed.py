"""Find the models that would miss a file.

It is one of their own files, or the target of one of their links.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import partial

from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.engine.disk.disk_use import FILE, DiskEntry
from discovery.models import RegisteredModel, Root
from discovery.services.insight.overview import ABSENT
from discovery.services.machine import reach, root_probes

#: Seconds that the disks have to say where links lead.
PATIENCE = 4.0


@dataclass(slots=True)
class Needed:
    """The files that other models need, as real path → title of the model.

    A model in ``shared`` shares the file, one in ``linked`` consists of links to it.
    """

    shared: dict[str, str] = field(default_factory=dict)
    linked: dict[str, str] = field(default_factory=dict)


def needed(files: Iterable[tuple[str, DiskEntry]], going: Collection[int]) -> Needed | None:
    """Return which of ``files`` (real path and entry) models other than ``going`` need.

    Returns ``None`` when the disks do not answer in time.
    """
    sizes: dict[int, set[str]] = {}
    for absolute, piece in files:
        if piece.kind == FILE:
            sizes.setdefault(piece.size, set()).add(absolute)
    if not sizes:
        return Needed()
    places = {absolute for each in sizes.values() for absolute in each}
    homes = {
        root.pk: place
        for root, place in reach.places(Root.objects.exclude(path=Root.REMOTE)).items()
    }
    holding = {home for home in homes.values() if any(is_under(place, home) for place in places)}
    near = [
        pk
        for pk, home in homes.items()
        if any(is_under(home, other) or is_under(other, home) for other in holding)
    ]
    rows = (
        RegisteredModel.objects.filter(root__in=near)
        .exclude(pk__in=going)
        .exclude(status__in=ABSENT)
        .order_by("pk")
    )
    wanted: list[tuple[str, str, str, set[str]]] = []
    for name, display_name, root, listed in rows.values_list(
        "name", "display_name", "root", "files"
    ).iterator(chunk_size=2_000):
        wanted += [
            (display_name or name, homes[root], path, sizes[size])
            for path, size in listed
            if size in sizes
        ]
    key = ("needed", frozenset(places), len(wanted))
    try:
        return reach.elsewhere(
            key, partial(_look, wanted), "that holds these models", longest=PATIENCE
        )
    except root_probes.RootSilent:
        return None


def _look(wanted: Iterable[tuple[str, str, str, set[str]]]) -> Needed:
    found = Needed()
    for title, home, path, places in wanted:
        native = to_native(home, path)
        real = os.path.realpath(native)
        if real in places:
            is_link = os.path.islink(native)
            (found.linked if is_link else found.shared).setdefault(real, to_text(title))
    return found
