"""Preview a change of depth, subfolders, exclusions or formats before it is saved.

The roots are walked with both settings, and the places are compared. What a change of formats does
follows from the registered models and from what the last scans left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import ValidationError

from discovery.engine.core.config import Discovery, explain
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.types import Candidate
from discovery.engine.disk.walk import walk
from discovery.models import RegisteredModel, Root
from discovery.services.core import config_files
from discovery.services.machine import reach
from discovery.services.scans import ledgers
from discovery.services.scans.ledgers import Count
from discovery.services.scans.roots import others, settings_of
from discovery.services.settings import editing
from discovery.services.settings.editing import SettingsError

#: Seconds that a root has to be walked twice.
SECONDS = 10.0
#: Places of each kind that are named.
SHOWN = 50


@dataclass(slots=True)
class Trial:
    """The places that scans would newly skip and newly find.

    ``unknown`` are the roots that could not be walked in time. ``formats`` are the files of newly
    supported formats that scans have left out so far.
    """

    gone: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    formats: dict[str, Count] = field(default_factory=dict)


def try_out(values: dict[str, Any]) -> Trial:
    """Preview new values of ``discovery`` without writing anything.

    Raises ``SettingsError``.
    """
    now = config_files.discovery()
    try:
        then = Discovery.model_validate({**now.model_dump(), **values})
    except ValidationError as error:
        reasons = [f"discovery.{reason}" for reason in explain(error)]
        keys = [f"discovery.{name}" for name in values]
        raise SettingsError(editing.placed(reasons, keys)) from error
    roots = list(Root.objects.filter(enabled=True))
    questions = {
        root: (
            ("trial", then.model_dump_json()),
            partial(
                _both,
                to_native("/", root.path),
                settings_of(root, now),
                settings_of(root, then),
                others(root),
            ),
        )
        for root in roots
    }
    trial = Trial()
    for root, answer in reach.within_each(questions, longest=SECONDS).items():
        if isinstance(answer, BaseException):
            trial.unknown.append(root.path)
            continue
        before, after = answer
        trial.gone += [_shown(root, place) for place in sorted(before - after)]
        trial.new += [_shown(root, place) for place in sorted(after - before)]
    known = set(trial.gone)
    trial.gone += [path for path in _without_formats(roots, now, then) if path not in known]
    added = then.supports - now.supports
    trial.formats = {
        told: count
        for told, count in ledgers.formats_left_out(roots).items()
        if not added.isdisjoint(told.split())
    }
    return trial


def _without_formats(roots: list[Root], now: Discovery, then: Discovery) -> list[str]:
    """Paths of the models all of whose variants are in formats that are dropped."""
    dropped = now.supports - then.supports
    if not dropped:
        return []
    named = {root.pk: root for root in roots}
    rows = RegisteredModel.objects.filter(
        root__in=named, format__in=dropped, missing_since=None, registered_manually=False
    ).order_by("root__path", "path")
    return [
        _shown(named[root], path)
        for root, path, variants in rows.values_list("root_id", "path", "variants").iterator()
        if all(variant.get("format") in dropped for variant in variants)
    ]


def _both(
    native: str, now: Discovery, then: Discovery, skip: list[str]
) -> tuple[set[str], set[str]]:
    return _places(native, now, skip), _places(native, then, skip)


def _places(native: str, settings: Discovery, skip: list[str]) -> set[str]:
    walked = walk(native, settings, skip=skip)
    return {to_text(item.place) for item in walked if isinstance(item, Candidate)}


def _shown(root: Root, place: str) -> str:
    return root.path if place == "." else f"{root.path}/{place}"
