"""Add, change and remove roots.

Changes are written to ``model_discovery.json`` and take effect at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Sum

from discovery.engine.core.paths import is_under, to_text
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, RegisteredModel, Root, SettingChange
from discovery.services.core import event_log, form_stamps
from discovery.services.machine import reach, root_probes
from discovery.services.scans.roots import path_of
from discovery.services.settings import editing, watch
from discovery.services.settings.editing import SettingsError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEY = "discovery.roots"
#: Seconds that a new folder has to answer.
PATIENCE = 5.0
MAX_PATH = 1_000
#: Models that are forgotten in one transaction.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class RootRow:
    """A root as the page shows it. ``in_file`` is false for one that only a command has named."""

    root: Root
    look: root_probes.ProbeResult
    models: int
    size: int
    in_file: bool

    @property
    def stamp(self) -> str:
        return form_stamps.stamp(_values(self.root))


def rows() -> list[RootRow]:
    """All roots but that of hosted models; three queries."""
    roots = list(Root.objects.exclude(path=Root.REMOTE).order_by("path"))
    sums = {
        row["root"]: (row["models"], row["size"] or 0)
        for row in RegisteredModel.objects.order_by()
        .values("root")
        .annotate(models=Count("pk"), size=Sum("size_bytes"))
    }
    named = {path_of(_path(entry)) for entry in entries()}
    looks = root_probes.probe_roots(roots)
    return [
        RootRow(
            root,
            looks[root],
            *sums.get(root.pk, (0, 0)),
            root.path in named,
        )
        for root in roots
    ]


def entries() -> list[Any]:
    """Return ``roots`` of the file exactly as written."""
    return list(editing.current(KEY))


def add(path: str, *, by: User | None, name: str = "") -> Root:
    """Add a folder as a root. Raises ``SettingsError`` with why it cannot be one."""
    text = checked(path)
    entry = {"path": text, **({"name": name.strip()} if name.strip() else {})}
    _rewrite(lambda written: [*_all(written), entry if len(entry) > 1 else text], by=by)
    Root.objects.filter(path=text).update(enabled=True)  # it may have been removed before
    return Root.objects.get(path=text)


def change(
    root: Root, values: Mapping[str, Any], *, by: User | None, seen: str | None = None
) -> None:
    """Set ``enabled``, ``read_only``, ``interval_minutes`` and ``max_depth`` of a root.

    Raises ``SettingsError``, or ``Conflict`` where somebody has changed it since ``seen``.
    """

    def changed(written: list[Any]) -> list[Any]:
        root.refresh_from_db()
        now = _values(root)
        if seen is not None and seen != form_stamps.stamp(now) and dict(values) != now:
            raise form_stamps.Conflict({key: now[key] for key in values if values[key] != now[key]})
        others = {key: value for key, value in values.items() if value != now[key]}
        return [_with(entry, root, others) for entry in _all(written, root)] if others else written

    _rewrite(changed, by=by)
    # What is left out of the file says nothing of the row.
    cleared = [key for key, value in values.items() if value is None]
    Root.objects.filter(pk=root.pk).update(**dict.fromkeys(cleared))


def remove(root: Root, *, forget: bool, by: User) -> int:
    """Remove a root from the file; return how many models were removed from the registry.

    Its models stay registered and are no longer scanned, or with ``forget`` are removed with all
    decisions about them.
    """
    if root.claim_id is not None:
        raise SettingsError({KEY: "A scan of this root is running. Stop it first."})
    Root.objects.filter(pk=root.pk).update(enabled=False)
    _rewrite(
        lambda written: [each for each in _all(written) if path_of(_path(each)) != root.path],
        by=by,
    )
    count = _forget(root) if forget else 0
    what = f"removed by {by.get_username()}"
    text = f"{what}, with its {count:,} models" if forget else f"{what}; its models stay registered"
    event_log.record(LogTopic.DISCOVERY, Severity.WARNING, text, path=root.path)
    return count


def undo(change: SettingChange, *, by: User) -> None:
    """Undo a change of the list of roots.

    A root that it added is no longer scanned, one that it removed is scanned again. Raises
    ``SettingsError``.
    """
    after = {path_of(_path(entry)) for entry in (change.after or {"value": []})["value"]}
    editing.undo(change, by=by)
    now = {path_of(_path(entry)) for entry in entries()}
    Root.objects.filter(path__in=after - now).update(enabled=False)
    Root.objects.filter(path__in=now - after).update(enabled=True)
    watch.apply()


def _forget(root: Root) -> int:
    count = 0
    while keys := list(
        RegisteredModel.objects.filter(root=root).values_list("pk", flat=True)[:CHUNK]
    ):
        RegisteredModel.objects.filter(pk__in=keys).delete()
        count += len(keys)
    root.delete()
    return count


def _rewrite(change: Callable[[list[Any]], list[Any]], *, by: User | None) -> None:
    editing.rewrite(KEY, change, by=by)
    watch.apply()


def _all(written: list[Any], root: Root | None = None) -> list[Any]:
    """Return the roots in the file and those that it does not name yet.

    Once a page writes the list, it is the complete list. Roots that are disabled and not in the
    file were removed from it.
    """
    named = {path_of(_path(entry)) for entry in written}
    known = Root.objects.exclude(path=Root.REMOTE).order_by("pk")
    missing = [row for row in known if row.path not in named and (row.enabled or row == root)]
    return [*written, *(_entry(row) for row in missing)]


def _entry(root: Root) -> Any:
    return {"path": root.path, "name": root.name} if root.name else root.path


def _with(entry: Any, root: Root, changed: Mapping[str, Any]) -> Any:
    """An entry with values set; a value that is empty again is taken out."""
    if path_of(_path(entry)) != root.path:
        return entry
    whole = dict(entry) if isinstance(entry, dict) else {"path": entry}
    return {key: value for key, value in {**whole, **changed}.items() if value is not None}


def _path(entry: Any) -> str:
    return str(entry["path"] if isinstance(entry, dict) else entry)


def _values(root: Root) -> dict[str, Any]:
    return {
        "enabled": root.enabled,
        "read_only": root.read_only,
        "interval_minutes": root.interval_minutes,
        "max_depth": root.max_depth,
    }


def checked(path: str) -> str:
    """The path as it is kept. Raises ``SettingsError`` with why it cannot be a root."""
    given = path.strip()
    if not given or not given.isprintable():
        raise SettingsError({KEY: "Enter the path of a folder."})
    expanded = os.path.expanduser(given)
    if not os.path.isabs(expanded):
        raise SettingsError({KEY: f"“{given[:200]}” is not an absolute path. Start with / or ~."})
    native = os.path.abspath(expanded)
    text = to_text(native)
    if len(text) > MAX_PATH:
        raise SettingsError(
            {KEY: f"The path has {len(text):,} characters. The limit is {MAX_PATH:,}."}
        )
    if native == os.path.dirname(native):
        raise SettingsError(
            {KEY: f"{text} is the whole machine. Choose a folder that holds models."}
        )
    try:
        real, fault = reach.elsewhere(
            ("new root", native), partial(_look, native), native, longest=PATIENCE
        )
    except root_probes.RootSilent as error:
        raise SettingsError({KEY: f"{error} Try again when it answers."}) from error
    if fault:
        raise SettingsError({KEY: f"{text[:500]} {fault}."})
    _unless_inside(text, real)
    return text


def _look(native: str) -> tuple[str, str]:
    """Return (the real folder, what is wrong with it)."""
    if not os.path.isdir(native):
        exists = os.path.exists(native)
        return "", "is a file. Choose the folder that it is in" if exists else "does not exist"
    try:
        os.scandir(native).close()
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    return os.path.realpath(native), ""


def _unless_inside(text: str, real: str) -> None:
    """Below another root there is nothing to add: its models are found already."""
    places = reach.places(Root.objects.exclude(path=Root.REMOTE).filter(enabled=True))
    for root, place in places.items():
        if real == place:
            raise SettingsError({KEY: f"{text} is a root already."})
        if is_under(real, place):
            raise SettingsError(
                {KEY: f"{text} is inside the root {root.path}, so it is already scanned."}
            )


def below(path: str) -> list[str]:
    """Roots that lie inside a folder."""
    rows = Root.objects.exclude(path=Root.REMOTE).exclude(path=path)
    return [root.path for root in rows if is_under(root.path, path)]
