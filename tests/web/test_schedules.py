"""Schedules on the System page: run, paused, moved; never written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_q.brokers import Broker
from django_q.models import Schedule
from django_q.signing import SignedPackage

from discovery.models import LogEntry, LogTopic, Right
from discovery.services import scans
from discovery.services.core import config_files
from discovery.services.health import deep_validation
from tests.people import permit
from tests.support.page_text import page_text

SCAN, DEEP = "scan the roots", "validate deeply"


@pytest.fixture
def both(db: None) -> None:
    scans.sync_schedule()
    deep_validation.sync_schedule()


def send(client: Client, action: str, name: str = SCAN, **more: Any) -> str:
    response = client.post(
        "/system/schedules/", {"action": action, "name": name, **more}, follow=True
    )
    return page_text(response)


def html(client: Client) -> str:
    return page_text(client.get("/system/"))


def test_the_page_says_how_often_and_where_that_is_set(both: None, admin_client: Client) -> None:
    page = html(admin_client)
    assert "Scan the roots" in page
    assert "scan_interval_minutes in model_discovery.json" in page
    assert f"Every {config_files.discovery().scan_interval_minutes} minutes" in page
    assert "Deep validation" in page


def test_a_late_one_is_told(both: None, admin_client: Client) -> None:
    Schedule.objects.filter(name=SCAN).update(next_run=timezone.now() - timedelta(minutes=10))
    assert "Overdue" in html(admin_client)


@pytest.mark.parametrize("name", [SCAN, DEEP])
def test_run_now_queues_what_the_clock_would(
    name: str, both: None, admin_client: Client, task_queue: Broker
) -> None:
    before = Schedule.objects.get(name=name)
    assert "It is queued" in send(admin_client, "run", name)
    assert [SignedPackage.loads(item[1])["func"] for item in task_queue.dequeue()] == [before.func]
    assert Schedule.objects.get(name=name).next_run == before.next_run


def test_a_paused_one_stays_so_whatever_the_config_says_and_goes_on_when_resumed(
    both: None, admin_client: Client, config_dir: Any
) -> None:
    assert "is paused" in send(admin_client, "pause")
    assert "Paused" in html(admin_client)
    (config_dir / "model_discovery.json").write_text('{"discovery": {"scan_interval_minutes": 7}}')
    scans.sync_schedule()
    row = Schedule.objects.get(name=SCAN)
    assert (row.repeats, row.minutes) == (0, 7)
    Schedule.objects.filter(name=SCAN).update(next_run=timezone.now() - timedelta(days=3))
    assert "goes on" in send(admin_client, "resume")
    row = Schedule.objects.get(name=SCAN)
    assert row.repeats == -1
    assert row.next_run >= timezone.now() - timedelta(minutes=1)


def test_the_next_run_can_be_moved(both: None, admin_client: Client) -> None:
    at = (timezone.now() + timedelta(days=2)).replace(second=0, microsecond=0)
    assert "is moved" in send(admin_client, "move", at=f"{at:%Y-%m-%dT%H:%M}")
    assert Schedule.objects.get(name=SCAN).next_run == at
    entry = LogEntry.objects.filter(topic=LogTopic.ACCESS).latest("pk")
    assert "admin moved to" in entry.message


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("", "Write the time as"),
        ("soon", "Write the time as"),
        ("2026-13-45T99:99", "Write the time as"),
        ("2001-01-01T00:00", "has passed"),
        ("9999-12-31T23:59", "more than a year away"),
        ("\0", "Write the time as"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_the_reason(
    at: str, why: str, both: None, admin_client: Client
) -> None:
    before = Schedule.objects.get(name=SCAN).next_run
    assert why in send(admin_client, "move", at=at)
    assert Schedule.objects.get(name=SCAN).next_run == before


@pytest.mark.parametrize("action", ["run", "pause", "resume", "move"])
def test_what_is_not_on_the_list_cannot_be_touched(
    action: str, both: None, admin_client: Client, task_queue: Broker
) -> None:
    Schedule.objects.create(name="mine", func="os.system", args="('true',)", schedule_type="D")
    send(admin_client, action, "mine", at="2026-12-01T00:00")
    assert not task_queue.queue_size()
    assert Schedule.objects.get(name="mine").repeats == -1


def test_a_row_of_another_function_is_shown_as_refused_and_can_be_deleted(
    both: None, admin_client: Client
) -> None:
    row = Schedule.objects.create(
        name="mine", func="os.system", args="('true',)", schedule_type="D"
    )
    page = html(admin_client)
    assert "os.system" in page
    assert "it is refused each time" in page
    assert "is deleted" in send(admin_client, "delete", row=str(row.pk))
    assert not Schedule.objects.filter(name="mine").exists()
    kept = Schedule.objects.get(name=SCAN)
    assert "no such schedule" in send(admin_client, "delete", row=str(kept.pk))
    assert Schedule.objects.filter(pk=kept.pk).exists()


def test_one_that_does_not_exist_says_what_to_do(
    db: None, admin_client: Client, config_dir: Any
) -> None:
    assert "serve makes it when it starts" in send(admin_client, "run")
    (config_dir / "model_discovery.json").write_text('{"discovery": {"scan_interval_minutes": 0}}')
    assert "scan_interval_minutes" in send(admin_client, "run")


def test_a_run_now_of_a_row_that_somebody_bent_is_refused(
    both: None, admin_client: Client, task_queue: Broker
) -> None:
    Schedule.objects.filter(name=SCAN).update(func="os.system")
    assert "workers do not run" in send(admin_client, "run")
    assert not task_queue.queue_size()


def test_buttons_are_there_for_whom_they_work(both: None, client: Client, user: User) -> None:
    client.force_login(permit(user, Right.SYSTEM))
    assert "/system/schedules/" not in html(client)
    assert client.post("/system/schedules/", {"action": "pause", "name": SCAN}).status_code == 403
    client.force_login(permit(user, Right.SCHEDULES))
    assert "/system/schedules/" in html(client)
