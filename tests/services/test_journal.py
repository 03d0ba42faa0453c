"""Events: one row and one line each, with scan and model ids; log files that nothing can break a
line of.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from concurrent_log_handler import ConcurrentRotatingFileHandler
from django.conf import settings
from django.utils import timezone

from discovery.engine.core.config import Retention
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogEntry, LogTopic, ScanRun
from discovery.services.core import config_files, event_log

pytestmark = pytest.mark.django_db


def lines(name: str) -> list[str]:
    return (Path(settings.LOGS_DIR) / name).read_text().splitlines()


@pytest.mark.parametrize(("topic", "file"), settings.LOG_FILES.items())
def test_every_channel_has_its_file_of_the_guide(topic: str, file: str) -> None:
    run = ScanRun.objects.create(trigger="command")
    event_log.record(
        LogTopic(topic),
        Severity.WARNING,
        f"told in {file}",
        scan=run,
        model_id="bert",
        path="a/b",
    )
    assert lines(file)[-1].endswith(f'WARNING scan={run.pk} model=bert path="a/b" told in {file}')
    assert LogEntry.objects.get(topic=topic).message == f"told in {file}"


def test_control_characters_and_newlines_never_break_a_line() -> None:
    before = len(lines("model_discovery.log"))
    event_log.record(
        LogTopic.DISCOVERY, Severity.INFO, "one\ntwo\x1b[2J\x00three", path='new\nline"quote'
    )
    added = lines("model_discovery.log")[before:]
    assert len(added) == 1
    assert added[0].endswith('path="new line\'quote" one two[2Jthree')


def test_files_are_rotated() -> None:
    for topic in settings.LOG_FILES:
        rotating = [
            handler
            for handler in logging.getLogger(f"karen.{topic}").handlers
            if isinstance(handler, ConcurrentRotatingFileHandler)
        ]
        assert [handler.maxBytes > 0 and handler.backupCount > 0 for handler in rotating] == [True]


def test_old_events_are_forgotten() -> None:
    event_log.record(LogTopic.DISCOVERY, Severity.INFO, "new")
    LogEntry.objects.create(
        at=timezone.now() - timedelta(days=config_files.retention().log_days + 1),
        level="info",
        topic="discovery",
        message="old",
    )
    event_log.prune()
    assert [entry.message for entry in LogEntry.objects.all()] == ["new"]


def test_only_the_newest_events_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    few = Retention.model_construct(log_days=90, log_entries=2)
    monkeypatch.setattr(config_files, "retention", lambda: few)
    for number in range(5):
        event_log.record(LogTopic.DISCOVERY, Severity.INFO, f"event {number}")
    event_log.prune()
    assert [entry.message for entry in LogEntry.objects.all()] == ["event 4", "event 3"]
