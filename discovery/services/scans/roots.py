"""Which folders are scanned: the config's roots, else ``models/``; more by command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from django.conf import settings

from discovery.engine.core.config import ConfiguredRoot, Discovery
from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.models import Root
from discovery.services.core import config_files
from discovery.services.machine import reach, root_probes
from discovery.services.scans import root_paths


class NoSuchFolder(Exception):
    """The requested path cannot be scanned.

    The message is one sentence for the person who requested it.
    """


def sync_roots() -> list[str]:
    """Register the roots that the configuration names.

    Roots that it no longer names are kept: their models are.

    A name that is known and has another path now is a root that was moved. Returns what cannot be
    followed, a sentence each.
    """
    configured = config_files.discovery().roots
    if not configured and not Root.objects.exclude(path=Root.REMOTE).exists():
        configured = (ConfiguredRoot(path=str(settings.MODELS_DIR)),)
    if not configured:
        return []
    known = {root.path: root for root in Root.objects.all()}
    named = {root.name: root for root in known.values() if root.name}
    faults = [_follow(each, known, named) for each in configured]
    return [fault for fault in faults if fault]


def _follow(wanted: ConfiguredRoot, known: dict[str, Root], named: dict[str, Root]) -> str:
    path = path_of(wanted.path)
    root = named.get(wanted.name) if wanted.name else None
    if root is not None and root.path != path and path in known and not root.models.exists():
        # Its models have joined the root that is there by themselves: the name follows them.
        Root.objects.filter(pk=root.pk).update(name="")
        Root.objects.filter(path=path).update(name=wanted.name)
    elif root is not None and root.path != path:
        try:
            root_paths.move(root, path, channel="config")
        except root_paths.NotMoved as error:
            return f"The root {wanted.name} cannot follow {config_files.DISCOVERY.name}: {error}"
    elif root is None:
        root = (
            known.get(path)
            or Root.objects.get_or_create(path=path, defaults={"name": wanted.name})[0]
        )
        if wanted.name and root.name != wanted.name:
            Root.objects.filter(pk=root.pk).update(name=wanted.name)
    _set(path, wanted)
    return ""


def path_of(written: str) -> str:
    """The path of a root as the registry keeps it; a relative one is below the program's folder."""
    return to_text(os.path.abspath(Path(settings.BASE_DIR) / os.path.expanduser(written)))


def _set(path: str, wanted: ConfiguredRoot) -> None:
    """Set the values that the file has for a root; all others stay as they are."""
    said = wanted.model_fields_set & {"enabled", "read_only", "interval_minutes", "max_depth"}
    values = {name: getattr(wanted, name) for name in said}
    if values:
        Root.objects.filter(path=path).exclude(**values).update(**values)


def scan_minutes() -> int:
    """Return the interval in minutes at which schedules are checked: the shortest of all.

    0 means no scheduled scans.
    """
    roots = Root.objects.filter(enabled=True).exclude(interval_minutes=None)
    own = roots.values_list("interval_minutes", flat=True)
    every = (config_files.discovery().scan_interval_minutes, *own)
    return min((minutes for minutes in every if minutes), default=0)


def is_due(root: Root, now: datetime) -> bool:
    """Whether a scan by the clock is this root's turn: half a look early is not too early.

    The roots with the shortest interval have their turn each time.
    """
    minutes = root.interval_minutes or config_files.discovery().scan_interval_minutes
    shortest = scan_minutes()
    if not minutes or minutes == shortest or root.last_scan_at is None:
        return minutes == shortest
    since = now - root.last_scan_at
    return since >= timedelta(minutes=minutes) - timedelta(minutes=shortest) / 2


def settings_of(root: Root, settings: Discovery | None = None) -> Discovery:
    """The discovery settings, those in force where none are given, as they hold for one root."""
    found = settings or config_files.discovery()
    if root.max_depth is None:
        return found
    return found.model_copy(update={"max_scan_depth": root.max_depth})


class OutsideRoots(Exception):
    """A path leads to no root once its links are resolved.

    ``lexical`` is the root that it seems to lie in, if it does.
    """

    def __init__(self, lexical: Root | None) -> None:
        super().__init__("it leads to a place outside the roots")
        self.lexical = lexical


def resolve_path(path: str, roots: Iterable[Root]) -> tuple[Root, str]:
    """Return (root, real path below it) for an absolute path: the innermost root that holds it.

    Paths are compared after their links are resolved.

    A path that does not exist is not resolved further. Raises ``OutsideRoots`` or ``RootSilent``.
    """
    rows = [root for root in roots if root.path != Root.REMOTE]
    near = innermost(to_text(path), {root: root.path for root in rows})
    key, question = ("real path", path), partial(_real, path)
    real = reach.within(near, key, question) if near else reach.elsewhere(key, question, path)
    places = reach.places(rows)
    home = innermost(real, places)
    if home is None:
        raise OutsideRoots(near)
    return home, os.path.relpath(real, places[home]).replace(os.sep, "/")


def _real(path: str) -> str:
    return os.path.realpath(to_native("/", path))


def innermost(path: str, places: Mapping[Root, str]) -> Root | None:
    around = [root for root, place in places.items() if is_under(path, place)]
    return max(around, key=lambda root: len(places[root]), default=None)


def locate(path: str, *, add: bool) -> tuple[Root, str]:
    """Return (root, folder below it) for an absolute or relative path.

    A path under no root becomes a new root where ``add`` allows it.

    Links are resolved before anything is compared: a link out of a root is outside, and another
    name of a root is that root. Raises ``NoSuchFolder`` or ``RootSilent``.
    """
    absolute = os.path.abspath(os.path.expanduser(path))
    text, rows = to_text(absolute), list(Root.objects.all())
    near = innermost(text, {root: root.path for root in rows if root.path != Root.REMOTE})
    key, question = ("folder", absolute), partial(_fault, absolute)
    fault = reach.within(near, key, question) if near else reach.elsewhere(key, question, absolute)
    if fault:
        raise NoSuchFolder(fault)
    try:
        root, below = resolve_path(absolute, rows)
    except OutsideRoots as error:
        if error.lexical:
            raise NoSuchFolder(
                f"{text[:500]} leads through a link to a place outside the root"
                f" {error.lexical.path}: give that place."
            ) from None
        if not add:
            return Root(path=text), "."
        return Root.objects.get_or_create(path=text)[0], "."
    return root, to_text(below)


def below_a_root(given: str, roots: Iterable[Root]) -> str:
    """Return the absolute path of what a relative path names: it is looked for below each root.

    Raises ``NoSuchFolder`` where it is below none or several, or ``RootSilent``.
    """
    asked = {root: (("lies", given), partial(_lies, root.path, given)) for root in roots}
    answers = reach.within_each(asked)
    places = [answer for answer in answers.values() if isinstance(answer, str) and answer]
    if len(places) > 1:
        raise NoSuchFolder("is below several roots: give the absolute path")
    if not places:
        silent = next(
            (answer for answer in answers.values() if isinstance(answer, root_probes.RootSilent)),
            None,
        )
        raise silent or NoSuchFolder("does not exist below any root")
    return places[0]


def _lies(root: str, given: str) -> str:
    path = to_native(to_native("/", root), given)
    return path if os.path.lexists(path) else ""


def add_root(path: str) -> None:
    """Add the folder as a root where it lies in none; a silent folder is accepted unchecked.

    Raises ``NoSuchFolder``.
    """
    try:
        locate(path, add=True)
    except root_probes.RootSilent:
        text = to_text(os.path.abspath(os.path.expanduser(path)))
        if (
            innermost(text, {root: root.path for root in Root.objects.exclude(path=Root.REMOTE)})
            is None
        ):
            Root.objects.get_or_create(path=text)


def _fault(absolute: str) -> str:
    if not os.path.isdir(absolute):
        what = "is not a folder" if os.path.exists(absolute) else "does not exist"
        return f"{to_text(absolute)[:500]} {what}: give a folder of models, or one below it."
    try:
        os.scandir(absolute).close()
    except OSError as error:
        return f"{to_text(absolute)} cannot be read: {error.strerror}."
    return ""


def others(root: Root) -> list[str]:
    """Return the paths and real paths of the roots inside ``root``.

    Each model belongs to the innermost root.

    A nested root that does not answer is known by its name alone.
    """
    rows = list(Root.objects.exclude(path=Root.REMOTE))
    places = (
        reach.places([root, *(other for other in rows if other != root)])
        if len(rows) > 1
        else {root: root.path}
    )
    home, found = places[root], list[str]()
    for other, place in places.items():
        if (
            other != root
            and (is_under(other.path, root.path) or is_under(place, home))
            and place != home
        ):
            found += [os.path.join("/", other.path), place]
    return list(dict.fromkeys(found))
