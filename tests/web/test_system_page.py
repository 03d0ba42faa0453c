"""The System page: what the installation runs on, said so that an administrator knows what to do,
whatever does not answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.brokers import Broker
from django_q.models import Schedule, Task
from django_q.status import Stat

from discovery.loading import cell
from discovery.loading.confine import Facts
from discovery.loading.job import Cell, Mechanism
from discovery.models import DeepValidation, RegisteredModel, Root, ScanRun
from discovery.services.machine import hardware, resources, root_probes, versions, workers
from discovery.services.machine.hardware import Cards, GraphicsCard
from discovery.services.machine.root_probes import FileSystem, ProbeResult
from discovery.services.machine.workers import Worker, Workers
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HELD = dict.fromkeys(("reads", "writes", "network", "processes"), False)
HTMX = {"HX-Request": "true"}
GIB = 1 << 30


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, task_queue: Broker) -> None:
    """Nobody measures the load of the machine that runs the tests, nor its GPUs and workers."""
    monkeypatch.setattr(resources, "SAMPLE", 0.01)
    monkeypatch.setattr(
        hardware, "_cards", lambda: Cards(absent=("There is no NVIDIA driver on this machine.",))
    )
    alive(monkeypatch)


def alive(
    monkeypatch: pytest.MonkeyPatch, *found: Worker, waiting: int | None = 0, fault: str = ""
) -> None:
    monkeypatch.setattr(resources, "workers", lambda: Workers(found, waiting, fault))


def html(client: Client, path: str = "/system/", **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return page_text(response)


def test_the_page_shows_machine_disks_workers_schedules_and_versions(
    admin_client: Client, make_model: Make, tmp_path: Path
) -> None:
    make_model(root=Root.objects.create(path=str(tmp_path)), size_bytes=1_500_000)
    page = html(admin_client)
    for text in (
        "Processor, memory, GPUs",
        "available",
        str(tmp_path),
        "1.5 MB",
        "Workers and queue",
        "Schedules",
        "Versions",
        "Django",
    ):
        assert text in page
    assert 'href="/system/" aria-current="page"' in page
    assert 'hx-get="/system/live/"' in page
    assert 'hx-trigger="every 5s' in page


@pytest.mark.parametrize(
    ("standing", "level", "said"),
    [
        (
            cell.Standing(Cell(mechanism=Mechanism.BUBBLEWRAP, filtered=True),
                Facts(user="nobody", **HELD)),
            "bubblewrap",
            [("Test loads run in bubblewrap, as the user nobody, without network or new processes, "
             "and can read no files but those of their model."),
             "is loaded as their owner"],
        ),
        (
            cell.Standing(Cell(mechanism=Mechanism.LANDLOCK, filtered=True),
                Facts(user="user 1000", **HELD),
                          (("bubblewrap is not installed: apt install bubblewrap, or what your "
                           "system calls it."),)),
            "landlock",
            ["Test loads run held by Landlock, as the user 1000, without network",
                "apt install bubblewrap"],
        ),
        (
            cell.Standing(Cell(filtered=True),
                Facts(user="user 1000", network=False, processes=False),
                ("bubblewrap does not work here: <why>.",)),
            "filter",
            ["Test loads run in a process of their own, as the user 1000,",
                "could still read other files, change files.", "&lt;why&gt;", "Partial"],
        ),
        (cell.Standing(Cell(), Facts()), "limits",
            ["Test loads run in a process of their own.", "use the network, start programs.",
                ">None<"]),
    ],
    ids=["bubblewrap", "landlock", "filter", "limits"],
)  # fmt: skip
def test_the_page_says_how_test_loads_are_held_and_what_is_missing(
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    standing: cell.Standing,
    level: str,
    said: list[str],
) -> None:
    monkeypatch.setattr(resources, "sandbox", lambda: standing)
    page = html(admin_client)
    assert f'data-level="{level}"' in page
    for text in said:
        assert text in page


def test_the_sandbox_is_not_tried_again_by_what_refreshes_the_page(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "sandbox", lambda: pytest.fail("was tried"))
    assert "Sandbox" not in html(admin_client, "/system/live/", **HTMX)


def test_what_changes_is_refreshed_without_its_frame(admin_client: Client) -> None:
    live = html(admin_client, "/system/live/", **HTMX)
    assert "Processor, memory, GPUs" in live
    for text in ("<html", "Versions", "every 5s"):
        assert text not in live
    assert admin_client.get("/system/live/")["Location"] == "/system/"


@pytest.mark.parametrize("path", ["/system/", "/system/live/"])
def test_readers_and_strangers_see_nothing_of_it(
    path: str, client: Client, reader_client: Client
) -> None:
    assert reader_client.get(path).status_code == 403
    assert 'href="/system/"' not in page_text(reader_client.get("/models/"))
    reader_client.logout()
    assert client.get(path).status_code == 302


def test_nothing_is_sent_to_it(admin_client: Client) -> None:
    assert admin_client.post("/system/").status_code == 405
    assert admin_client.post("/system/live/").status_code == 405


def test_without_workers_it_says_that_work_waits_and_how_to_start_them(
    admin_client: Client,
) -> None:
    page = html(admin_client)
    assert "No worker is running: scans and validations wait." in page
    assert "manage.py qcluster" in page
    assert "None running" in page


def test_workers_are_listed_with_what_they_work_on(
    admin_client: Client, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, deep = (
        ScanRun.objects.create(trigger="page", state="running"),
        DeepValidation.objects.create(model=make_model("busy-model")),
    )
    now = timezone.now()
    alive(
        monkeypatch,
        Worker("alpha", 11, "working", now, run),
        Worker("alpha", 12, "working", now, deep),
        Worker("beta", 7, "idle", now),
        waiting=4,
    )
    page = html(admin_client)
    assert "No worker is running" not in page
    for text in (
        f'href="/scans/{run.pk}/"',
        'href="/models/busy-model/health/"',
        "busy-model",
        "beta",
        "Idle",
        "Working",
    ):
        assert text in page
    assert "<dt>Tasks waiting</dt><dd>4</dd>" in page


def test_a_broker_that_refuses_is_said_and_the_rest_of_the_page_stands(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive(
        monkeypatch,
        waiting=None,
        fault="Redis cannot be asked: Error 111 connecting to 127.0.0.1:6379.",
    )
    page = html(admin_client)
    assert "The task queue cannot be reached." in page
    assert "Error 111" in page
    assert "No worker is running" not in page, "nobody knows"
    assert "Processor, memory, GPUs" in page


def test_a_broker_that_hangs_holds_the_page_up_no_longer_than_it_is_given(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any, silence: threading.Event
) -> None:
    pytest.importorskip("redis")
    settings.REDIS_URL = "redis://127.0.0.1:6379"
    monkeypatch.setattr(resources, "workers", workers.workers)
    monkeypatch.setattr(workers, "PATIENCE", 0.1)
    monkeypatch.setattr(workers, "_asked", silence.wait)
    assert "Redis did not answer in 0.1 seconds." in html(admin_client, "/system/live/", **HTMX)


def test_without_a_gpu_it_says_why_none_is_shown(admin_client: Client) -> None:
    page = html(admin_client)
    assert "No GPU is shown." in page
    assert "There is no NVIDIA driver on this machine." in page


def test_gpus_show_what_is_free_as_far_as_their_drivers_tell(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = (
        GraphicsCard("RTX 4090", 24 * GIB, 20 * GIB),
        GraphicsCard("AMD <card0>", 16 * GIB, None),
    )
    monkeypatch.setattr(
        hardware,
        "_cards",
        lambda: Cards(cards, notes=("NVIDIA GPUs could not be asked: driver mismatch.",)),
    )
    page = html(admin_client)
    for text in (
        "RTX 4090",
        "20.0 GiB free",
        "AMD &lt;card0&gt;",
        "does not tell how much is in use",
        "driver mismatch",
    ):
        assert text in page
    assert "No GPU is shown" not in page


def test_a_driver_that_hangs_is_a_note(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, silence: threading.Event
) -> None:
    monkeypatch.setattr(hardware, "PATIENCE", 0.05)
    monkeypatch.setattr(hardware, "_cards", silence.wait)
    assert "GPUs could not be asked: their drivers did not answer" in html(admin_client)


def test_disks_that_are_full_or_out_of_reach_stand_out(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/srv/full", "/srv/away"):
        Root.objects.create(path=path)
    monkeypatch.setattr(
        root_probes,
        "_probe",
        lambda path: (
            ProbeResult("it is not mounted", None)
            if "away" in path
            else ProbeResult("", FileSystem(1, 100 * GIB, GIB))
        ),
    )
    page = html(admin_client)
    assert "Nearly full" in page
    assert "Out of reach" in page
    assert "Its size is not known: it is not mounted." in page


def test_before_the_first_scan_it_says_how_roots_come(admin_client: Client) -> None:
    assert "No root is known yet." in html(admin_client)


def test_a_schedule_that_nobody_follows_is_overdue(admin_client: Client) -> None:
    for name, minutes in (("scan the roots", -30), ("validate deeply", 30)):
        Schedule.objects.create(
            name=name,
            func="f",
            schedule_type="H",
            repeats=-1,
            next_run=timezone.now() + timedelta(minutes=minutes),
        )
    page = html(admin_client)
    assert page.count("Overdue") == 1
    assert "Scan the roots" in page
    assert "taken by no worker" in page


def test_failed_tasks_of_the_last_day_are_counted(admin_client: Client) -> None:
    now = timezone.now()
    Task.objects.create(id="1", name="x", func="f", started=now, stopped=now, success=False)
    assert "<dt>Failed in the last day</dt><dd>1</dd>" in html(admin_client)


def test_optional_packages_name_the_extra_that_installs_them(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_installed", lambda name: "2.9.0" if name == "torch" else None)
    page = html(admin_client)
    assert "2.9.0" in page
    assert "pip install -e &quot;.[llama]&quot;" in page or 'pip install -e ".[llama]"' in page
    assert ".[torch]" in page, "transformers is not installed"


def test_what_keeps_people_from_signing_in_elsewhere_is_told(
    admin_client: Client, settings: Any
) -> None:
    assert "Sign-in from elsewhere" not in html(admin_client)
    settings.OIDC_ISSUER = "https://id.example.org"
    assert "KAREN_OIDC_CLIENT_ID and KAREN_OIDC_CLIENT_SECRET are not set" in html(admin_client)


def test_it_costs_the_same_queries_however_much_there_is(
    admin_client: Client, make_model: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resources, "workers", workers.workers)
    monkeypatch.setattr(Stat, "get_all", lambda _broker=None: [])

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            html(admin_client, "/system/live/", **HTMX)
        return len(captured)

    make_model("first", root=Root.objects.create(path=str(tmp_path)))
    few = queries()
    for number in range(10):
        make_model(f"m{number}", root=Root.objects.create(path=f"/not/there/{number}"))
        Schedule.objects.create(
            name=f"s{number}", func="f", schedule_type="H", repeats=-1, next_run=timezone.now()
        )
    assert queries() == few
