"""Switching plugins on and off: by a person, or because one fails again and again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from discovery.engine.core.paths import to_text
from discovery.engine.core.text import clean, plural
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, Plugin
from discovery.services.core import event_log
from discovery.services.core.event_log import Journal
from discovery.services.plugins import catalogue
from discovery.services.plugins.asking import MOST_FAILURES, SCAN_SECONDS, PluginSession

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def switch(plugin: Plugin, *, on: bool, by: User) -> None:
    """What a plugin could not read before is asked about again once it is on."""
    with transaction.atomic():
        row = Plugin.objects.select_for_update().get(pk=plugin.pk)
        if row.enabled == on:
            return
        row.enabled, row.off_reason = on, ""
        row.off_at = None if on else timezone.now()
        row.failures_in_a_row = 0
        row.generation += on
        row.save(
            update_fields=["enabled", "off_reason", "off_at", "failures_in_a_row", "generation"]
        )
    told = f"{by.get_username()} switched the plugin {row.label} {'on' if on else 'off'}"
    event_log.record(LogTopic.DISCOVERY, Severity.INFO, told)


def reload(*, by: User) -> int:
    """Load all plugin files anew, and ask about everything again at the next scan.

    Returns how many plugins there are.
    """
    rows = catalogue.refresh(again=True)
    for each in rows:
        row = each.plugin
        row.generation += 1
        row.save(update_fields=["generation"])
    catalogue.register(rows)
    event_log.record(LogTopic.DISCOVERY, Severity.INFO, f"{by.get_username()} reloaded the plugins")
    return len(rows)


def conclude(sessions: Iterable[PluginSession], root: str, journal: Journal) -> list[Problem]:
    """Keep what a scan of ``root`` met with, and switch off what failed too often.

    Returns the problems that no model has.
    """
    problems: list[Problem] = []
    for session in sessions:
        if not (session.failed or session.had_success or session.unasked):
            continue
        label = session.reader.label
        for failure in session.failures:
            path = failure.path.removeprefix(root.rstrip("/") + "/")
            told = f"the plugin {label} failed: {failure.reason}"
            if not failure.is_told:
                problems.append(Problem("plugin_failed", told, path))
        _keep(session, journal)
        if session.is_over:
            told = (
                f"the plugin {label} used its {SCAN_SECONDS:g} seconds of this scan:"
                f" {plural(session.unasked, 'path')} will be asked about by the next one"
            )
            journal.add(LogTopic.DISCOVERY, Severity.WARNING, told)
    return problems


@transaction.atomic
def _keep(session: PluginSession, journal: Journal) -> None:
    row = Plugin.objects.select_for_update().filter(key=session.reader.key).first()
    if row is None:
        return
    before = row.failures_in_a_row
    row.failures_in_a_row = session.in_a_row + (0 if session.had_success else before)
    new = [
        {"at": each.at.isoformat(), "path": to_text(each.path), "reason": each.reason}
        for each in reversed(session.failures)
    ]
    if not new and before == row.failures_in_a_row:
        return
    row.failures = [*new, *row.failures][: Plugin.KEPT]
    if row.enabled and row.failures_in_a_row >= MOST_FAILURES:
        row.enabled, row.off_at = False, timezone.now()
        row.off_reason = clean(
            f"It failed {row.failures_in_a_row} times in a row. The last time:"
            f" {row.failures[0]['reason']}",
            500,
        )
        told = f"the plugin {row.label} was switched off. {row.off_reason}"
        journal.add(LogTopic.DISCOVERY, Severity.ERROR, told)
    row.save(update_fields=["failures_in_a_row", "failures", "enabled", "off_at", "off_reason"])
