"""A background job is a model and one class: what is added so is queued, sent, run, seen, stopped
and gone on with like the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import made_up

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

MODEL = """
class Counting(TimedJob):
    kind_module = "discovery.services.scans.counting"

    counted = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"Counting {self.pk}"

    def address(self) -> str:
        return "/help/"


"""
KIND = """
from discovery.models.curation import Counting
from discovery.services import jobs
from discovery.services.jobs import Ending


class Countings(jobs.Kind[Counting]):
    model = Counting
    name = "counting"
    goes_on = "it counts on."

    def run(self, job: Counting, **_options: object) -> Ending:
        for number in range(3):
            jobs.beat(job, counted=number)
        return Ending(job.State.DONE, "Counted.", {"counted": 3})


KIND = Countings()
"""
SCRIPT = """
import os, pydoc
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.status import Stat, Status
from discovery.management.commands import serve
from discovery.models.curation import Counting
from discovery.services import jobs
from discovery.services.jobs import allowed_tasks, heartbeat, task_queue
from discovery.services.scans.counting import KIND
from pathlib import Path

with connection.schema_editor() as editor:
    editor.create_model(Counting)

job, created = KIND.request(requested_by=admin)
result["queued"] = [created, job.state, [list(each) for each in task_queue.held()]]
result["fault"] = allowed_tasks.fault({"func": KIND.task})
result["ran"] = pydoc.locate(KIND.task)(job.pk)
job.refresh_from_db()
result["done"] = [job.state, job.counted, job.message]

get_broker().purge_queue()
lost = KIND.rows.create()
result["sent"] = [jobs.housekeep(), [list(each) for each in task_queue.held()]]

own = heartbeat.mine()
KIND.rows.filter(pk=lost.pk).update(state="running", **own)
told = Status(pid=10, cluster_id=uuid4())
told.host, told.workers, told.status = own["host"], [own["pid"]], Conf.IDLE
with patch.object(Stat, "get_all", lambda _broker: [told]):
    result["system"] = client.get("/system/").text
    result["workers"] = client.get("/api/system/resources").json()["workers"]
result["job"] = str(lost)
serve._end_work({os.getpid()})
lost.refresh_from_db()
result["stopped"] = [lost.state, lost.message, lost.goes_on]
result["resumed"] = jobs.housekeep()

again = KIND.rows.create(state="running", started_at=timezone.now(), host="gone", pid=1)
KIND.rows.filter(pk=again.pk).update(heartbeat_at=timezone.now() - timedelta(days=1))
result["reaped"] = jobs.reap_all()
again.refresh_from_db()
result["cut off"] = [again.state, again.message]
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> dict[str, Any]:
    return made_up.run(
        SCRIPT,
        tmp_path_factory.mktemp("job"),
        migrated,
        {"discovery.models.curation": [("class Recategorization(TimedJob):", MODEL)]},
        {"discovery.services.scans": {"counting": KIND}},
    )


def test_it_is_queued_and_workers_run_it(seen: dict[str, Any]) -> None:
    assert seen["queued"] == [True, "queued", [["discovery.tasks.run_counting", 1]]]
    assert seen["fault"] == ""
    assert seen["ran"] == "done"
    assert seen["done"] == ["done", 3, "Counted."]


def test_the_housekeeper_sends_a_lost_task_and_finds_what_was_cut_off(seen: dict[str, Any]) -> None:
    assert seen["sent"] == [
        {"reaped": 0, "resumed": 0, "dispatched": 1},
        [["discovery.tasks.run_counting", 2]],
    ]
    assert seen["reaped"] == 1
    assert seen["cut off"] == [
        "interrupted",
        "The process that ran it is gone; it counts on.",
    ]


def test_system_shows_it_with_its_page(seen: dict[str, Any]) -> None:
    assert seen["job"] in seen["system"]
    assert 'href="/help/"' in seen["system"]
    assert [worker["state"] for worker in seen["workers"]] == ["working"]


def test_serve_stops_it_and_it_goes_on(seen: dict[str, Any]) -> None:
    state, message, goes_on = seen["stopped"]
    assert (state, goes_on) == ("interrupted", True)
    assert message.endswith("it counts on.")
    assert seen["resumed"]["resumed"] == 1
