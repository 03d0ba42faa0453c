"""The plugins as pages, the API and ``list_plugins`` show them. It writes and loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils.dateparse import parse_datetime

from discovery.models import Plugin, RegisteredModel
from discovery.services.plugins import sources
from discovery.services.plugins.sources import PluginFile

CHANGED = "Its file is another one than when it was loaded last."


@dataclass(frozen=True, slots=True)
class ShownFailure:
    at: datetime | None
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class PluginRow:
    """A plugin. ``state`` and ``tone`` say in a word how it is, ``note`` why in a sentence."""

    plugin: Plugin
    state: str
    tone: str
    note: str
    models: int
    failures: list[ShownFailure]

    @property
    def handles(self) -> str:
        """Which paths it is asked about, and what its author says."""
        return ", ".join(f"*{suffix}" for suffix in self.plugin.suffixes)

    def as_json(self) -> dict[str, Any]:
        row = self.plugin
        return {
            "key": row.key,
            "label": row.label,
            "version": row.version or None,
            "source": row.source,
            "path": row.path,
            "state": self.state,
            "note": self.note or None,
            "enabled": row.enabled,
            "format": row.format or None,
            "summary": row.summary or None,
            "suffixes": row.suffixes,
            "models": self.models,
            "failures_in_a_row": row.failures_in_a_row,
            "failures": [
                {"at": each.at, "path": each.path, "reason": each.reason} for each in self.failures
            ],
        }


@dataclass(frozen=True, slots=True)
class Overview:
    """``waiting`` are files that the next scan or a reload loads, ``refused`` sentences about those
    that are not loaded as they are and have no row yet.
    """

    rows: list[PluginRow]
    waiting: list[PluginFile]
    refused: list[str]


def overview(*, with_paths: bool) -> Overview:
    """All plugins in the order in which they are asked; two queries.

    ``with_paths``: failures are told with the paths of the models that they happened on.
    """
    files = sources.find()
    plugins = list(Plugin.objects.all())
    counts: dict[str | None, int] = dict(
        RegisteredModel.objects.filter(format__in=[row.format for row in plugins if row.format])
        .order_by()
        .values_list("format")
        .annotate(count=Count("pk"))
    )
    rows = [_row(row, files, counts.get(row.format, 0), with_paths=with_paths) for row in plugins]
    known = {(row.module, row.digest) for row in plugins}
    told = {row.key for row in plugins}
    return Overview(
        rows,
        [each for each in files if not each.fault and (each.module, each.digest) not in known],
        [each.fault for each in files if each.fault and each.source.key not in told],
    )


def _row(row: Plugin, files: list[PluginFile], models: int, *, with_paths: bool) -> PluginRow:
    file = next(
        (e for e in files if e.module == row.module and e.class_name in ("", row.class_name)), None
    )
    state, tone, note = _state(row, file)
    if file is not None and state in ("On", "Failing") and row.digest != file.digest:
        state, tone, note = "Changed", "warn", CHANGED
    kept = row.failures if with_paths else []
    failures = [
        ShownFailure(parse_datetime(each["at"]), each["path"], each["reason"]) for each in kept
    ]
    return PluginRow(row, state, tone, note, models, failures)


def _state(row: Plugin, file: PluginFile | None) -> tuple[str, str, str]:
    if file is None:
        return "Not found", "warn", "Its file is gone. Its models stay registered as they are."
    if file.fault or row.load_error:
        return "Not loaded", "bad", file.fault or row.load_error
    if not row.enabled:
        return ("Switched off", "bad", row.off_reason) if row.off_reason else ("Off", "plain", "")
    if row.failures_in_a_row:
        return "Failing", "warn", ""
    return "On", "ok", ""
