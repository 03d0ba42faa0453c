"""The Scans pages: asking, watching, stopping, frozen roots, past runs, what they did, and what
lies between two.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_q.brokers import Broker

from discovery.engine.core.vocabulary import Severity
from discovery.models import LogEntry, LogTopic, RegisteredModel, Root, ScanRun, SkippedPath
from discovery.services import jobs
from discovery.services.machine import root_states
from tests.hanging import hanging
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

HTMX = {"HX-Request": "true"}
POLL = {**HTMX, "HX-Trigger": "run"}


def make_run(**fields: Any) -> ScanRun:
    now = timezone.now()
    defaults = {
        "state": "done",
        "trigger": "page",
        "started_at": now - timedelta(seconds=90),
        "finished_at": now,
    }
    return ScanRun.objects.create(**{**defaults, **fields})


def running(**fields: Any) -> ScanRun:
    alive = {
        "heartbeat_at": timezone.now(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "finished_at": None,
        "started_at": timezone.now(),
    }
    return make_run(**{**alive, "state": "running", **fields})


def get(client: Client, path: str = "/scans/", **query: Any) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    return page_text(response)


def test_roots_are_listed_with_models_and_reachability(
    admin_client: Client, make_model: Make, tmp_path: Path
) -> None:
    here = Root.objects.create(path=str(tmp_path), last_scan_at=timezone.now() - timedelta(hours=3))
    Root.objects.create(path="/not/there")
    make_model("a", root=here)
    make_model("b", root=here)
    html = get(admin_client)
    assert "2 models, scanned 3 h ago" in html
    assert "Reachable" in html
    assert "Out of reach" in html
    assert "the folder is not there" in html


def test_a_root_that_does_not_answer_holds_nobody_up(admin_client: Client) -> None:
    Root.objects.create(path="/mnt/hanging")
    with hanging("/mnt/hanging"):
        assert "it does not answer" in get(admin_client)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("file", "it is not a folder"), ("none", "the folder is not there"), (".", "")],
)
def test_the_reason_a_root_cannot_be_scanned_is_told(
    path: str, reason: str, tmp_path: Path, db: None
) -> None:
    (tmp_path / "file").touch()
    Root.objects.create(path=str(tmp_path / path))
    assert [state.fault for state in root_states.roots()] == [reason]


def test_scan_now_queues_a_scan_in_ones_own_name(
    admin_client: Client, admin_user: User, task_queue: Broker
) -> None:
    response = admin_client.post("/scans/start/", follow=True)
    run = ScanRun.objects.get()
    assert (run.state, run.trigger, run.requested_by, run.full, run.path) == (
        "queued",
        "page",
        admin_user,
        False,
        "",
    )
    assert task_queue.queue_size() == 1
    html = page_text(response)
    assert "Scan started." in html
    assert "About to begin" in html
    assert '<span class="count" id="nav-scans">queued</span>' in html


def test_reading_everything_again_is_a_full_scan(admin_client: Client) -> None:
    admin_client.post("/scans/start/", {"full": "1"})
    assert ScanRun.objects.get().full


def test_a_second_scan_of_the_same_is_not_started(admin_client: Client) -> None:
    admin_client.post("/scans/start/")
    assert "under way already" in page_text(admin_client.post("/scans/start/", follow=True))
    assert ScanRun.objects.count() == 1


def test_a_frozen_root_explains_itself_and_lets_a_person_decide(
    admin_client: Client, tmp_path: Path
) -> None:
    root = Root.objects.create(
        path=str(tmp_path), frozen_reason="3 of 4 models are gone, more than half.", missing_count=3
    )
    html = get(admin_client)
    assert "3 of 4 models are gone, more than half." in html
    assert "If the 3 models are really gone, say so" in html
    assert html.count(f'<input type="hidden" name="root" value="{root.pk}">') == 2
    admin_client.post("/scans/start/", {"root": root.pk, "accept_missing": "1"})
    run = ScanRun.objects.get()
    assert (run.path, run.accept_missing) == (str(tmp_path), True)


def test_scanning_a_frozen_root_again_accepts_nothing(admin_client: Client, tmp_path: Path) -> None:
    root = Root.objects.create(path=str(tmp_path), frozen_reason="x", missing_count=1)
    assert "This model is gone: mark it missing" in get(admin_client)
    admin_client.post("/scans/start/", {"root": root.pk})
    assert not ScanRun.objects.get().accept_missing


def test_models_of_a_root_out_of_reach_can_be_given_up(admin_client: Client) -> None:
    Root.objects.create(
        path="/not/there", frozen_reason="The folder cannot be read.", missing_count=4
    )
    html = get(admin_client)
    assert "Scan again" in html
    assert "mark them missing" in html


def test_frozen_roots_are_told_on_other_pages_too(admin_client: Client) -> None:
    Root.objects.create(path="/mnt/nas", frozen_reason="It is empty.")
    assert "<code>/mnt/nas</code> is frozen.</strong> It is empty." in get(admin_client, "/models/")
    Root.objects.create(path="/mnt/attic", frozen_reason="It is empty, too.")
    html = get(admin_client, "/models/")
    assert "2 roots are frozen.</strong> No model was marked missing." in html
    assert "<code>/mnt/attic</code>: It is empty, too." in html
    assert "roots are frozen" not in get(admin_client)


@pytest.mark.parametrize("root", ["999", "abc", "-1", "9" * 40, "１"])
def test_roots_that_do_not_exist_are_not_scanned(root: str, admin_client: Client) -> None:
    assert admin_client.post("/scans/start/", {"root": root}).status_code == 404
    assert not ScanRun.objects.exists()


def test_the_panel_shows_where_a_scan_is(admin_client: Client) -> None:
    running(
        expected=200,
        found=77,
        new=6,
        changed=4,
        unchanged=66,
        missing=1,
        errors=1,
        current_path="chat/llama",
    )
    html = page_text(admin_client.get("/scans/progress/", headers=HTMX))
    assert 'aria-valuenow="38"><rect width="38" height="1"/>' in html
    assert "77 found · 6 new · 4 changed · 1 missing · 1 error" in html
    assert "chat/llama" in html
    assert "<html" not in html


def test_without_known_models_progress_is_not_pretended(admin_client: Client) -> None:
    running(found=5, new=5)
    html = get(admin_client)
    assert "aria-valuenow" not in html
    assert 'class="progress unsure"' in html
    assert 'hx-trigger="every 1s"' in html
    assert '<span class="count" id="nav-scans">running</span>' in html


def test_a_queued_scan_that_nobody_begins_waits_for_a_worker(admin_client: Client) -> None:
    run = make_run(state="queued", started_at=None, finished_at=None)
    ScanRun.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(seconds=75))
    html = get(admin_client)
    assert "Waiting for a worker for 1 min " in html
    assert "qcluster" in html


def test_when_it_is_over_polling_stops_and_the_lists_are_fresh(
    admin_client: Client, make_model: Make
) -> None:
    make_model()
    make_run(found=5, new=2)
    response = admin_client.get("/scans/progress/", headers=HTMX)
    html = page_text(response)
    assert response.status_code == 286
    assert "Scan finished: 2 new, 0 changed, 0 missing." in html
    for part in (
        '<section id="results"',
        '<section class="panel" id="roots"',
        '<span class="count" id="nav-models" hx-swap-oob="true">1</span>',
    ):
        assert part in html
    assert html.count("hx-swap-oob") == 6
    assert "hx-trigger" not in html


def test_the_panel_by_itself_leads_to_the_page(admin_client: Client) -> None:
    assert admin_client.get("/scans/progress/").headers["Location"] == "/scans/"


def test_looking_at_scans_changes_none_and_the_housekeeper_tells_of_a_dead_one(
    admin_client: Client,
) -> None:
    run = running(heartbeat_at=timezone.now() - timedelta(hours=1))
    get(admin_client)
    run.refresh_from_db()
    assert run.state == "running"
    jobs.reap_all()
    assert "Interrupted" in get(admin_client)


def test_stop_ends_a_queued_scan_and_asks_a_running_one(admin_client: Client) -> None:
    queued, busy = make_run(state="queued", finished_at=None, path="/a"), running()
    assert "The scan stops." in page_text(
        admin_client.post(f"/scans/{queued.pk}/stop/", follow=True)
    )
    admin_client.post(f"/scans/{busy.pk}/stop/")
    queued.refresh_from_db()
    busy.refresh_from_db()
    assert queued.state == "cancelled"
    assert busy.cancel_requested
    assert "Stopping…" in get(admin_client)


def test_stopping_what_is_over_says_so(admin_client: Client) -> None:
    run = make_run()
    assert "The scan has already finished." in page_text(
        admin_client.post(f"/scans/{run.pk}/stop/", follow=True)
    )


def test_past_scans_tell_who_how_long_and_how_it_ended(
    admin_client: Client, admin_user: User
) -> None:
    make_run(requested_by=admin_user, found=1284, errors=3)
    make_run(state="failed", trigger="schedule", message="/mnt/nas does not exist.")
    make_run(state="cancelled", full=True)
    html = get(admin_client)
    for text in (
        "1,284",
        "1 min 30 s",
        "Scan now",
        "Schedule",
        "Failed",
        "/mnt/nas does not exist.",
        "Stopped",
        "Done",
    ):
        assert text in html


def test_past_scans_are_paged(admin_client: Client, django_assert_num_queries: Any) -> None:
    for _ in range(60):
        make_run()
    assert "26–50 of 60" in get(admin_client, page=2)
    with django_assert_num_queries(8):
        html = page_text(admin_client.get("/scans/", {"page": 3}, headers=HTMX))
    assert "51–60 of 60" in html
    assert "<html" not in html


def tell(run: ScanRun, event: str, **fields: Any) -> LogEntry:
    defaults = {
        "at": timezone.now(),
        "level": Severity.INFO,
        "topic": LogTopic.DISCOVERY,
        "message": "<b>text</b>",
        "path": "a/b",
    }
    return LogEntry.objects.create(scan=run, event=event, **{**defaults, **fields})


def test_a_run_shows_what_it_did_and_filters_it(admin_client: Client, make_model: Make) -> None:
    make_model("known")
    run = make_run(message="Something to know.")
    tell(run, "new", model_id="known")
    tell(run, "missing", model_id="forgotten")
    tell(run, "skipped", path="a/broken")
    tell(run, "", message="only in the log")
    html = get(admin_client, f"/scans/{run.pk}/")
    assert "Something to know." in html
    assert '<a class="name" href="/models/known/">known</a>' in html
    assert '<span class="strong break">forgotten</span>' in html
    assert "<bdi>&lt;b&gt;text" in html
    assert "a/broken" in html
    assert "only in the log" not in html
    assert f'href="/logs/?scan={run.pk}"' in html
    assert 'New <span class="faint">1</span>' in html
    only = get(admin_client, f"/scans/{run.pk}/", event="missing")
    assert "forgotten" in only
    assert "a/broken" not in only
    assert "a/broken" in get(admin_client, f"/scans/{run.pk}/", event="nonsense")
    assert "No entry holds “zzz”." in get(admin_client, f"/scans/{run.pk}/", q="zzz")


def test_what_a_run_did_comes_a_hundred_at_a_time(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    run = make_run()
    LogEntry.objects.bulk_create(
        LogEntry(
            at=timezone.now(),
            level="info",
            topic="discovery",
            scan=run,
            model_id=f"m{n}",
            message=f"entry {n}",
            event="new",
        )
        for n in range(250)
    )
    with django_assert_num_queries(13):
        html = get(admin_client, f"/scans/{run.pk}/", page="9999")
    assert "201–250 of 250" in html


@pytest.mark.parametrize(
    ("show", "found"),
    [("", "1234"), ("different", "2"), ("trouble", "3"), ("unfinished", "4"), ("nonsense", "1234")],
)
def test_past_scans_are_narrowed_to_those_that_matter(
    show: str, found: str, admin_client: Client
) -> None:
    runs = [make_run(), make_run(new=1), make_run(errors=2), make_run(state="cancelled")]
    html = get(admin_client, show=show)
    assert (
        "".join(
            str(n)
            for n, run in enumerate(runs, 1)
            if f'href="/scans/{run.pk}/"' in html.partition("Past scans")[2]
        )
        == found
    )


def test_two_scans_are_compared(admin_client: Client, make_model: Make) -> None:
    make_model("here")
    first, second, third = make_run(), make_run(), make_run()
    tell(second, "new", model_id="here", path="shelf/here")
    tell(third, "missing", model_id="away", path="shelf/away")
    html = get(admin_client, "/scans/compare/", **{"from": first.pk, "to": third.pk})
    assert "2 scans after" in html
    assert '<a class="name" href="/models/here/">here</a>' in html
    assert "away" in html
    only = get(
        admin_client, "/scans/compare/", **{"from": third.pk, "to": first.pk, "kind": "gone"}
    )
    assert "away" in only
    assert "shelf/here" not in only
    assert "shelf/away" in get(admin_client, "/scans/compare/")
    assert f'href="/scans/compare/?from={second.pk}&amp;to={third.pk}"' in get(
        admin_client, f"/scans/{third.pk}/"
    )


def test_a_comparison_with_nonsense_says_what_is_the_matter(admin_client: Client) -> None:
    assert "Two scans must have ended." in get(admin_client, "/scans/compare/")
    first, second = make_run(), make_run()
    html = get(admin_client, "/scans/compare/", **{"from": "9" * 40, "to": second.pk})
    assert "There is no scan “" + "9" * 30 + "” that has ended." in html
    assert "Choose two different scans" in html
    assert "Choose two different scans" in get(
        admin_client, "/scans/compare/", **{"from": first.pk, "to": first.pk}
    )


def test_skipped_places_are_listed_with_their_reasons_and_searched(admin_client: Client) -> None:
    root = Root.objects.create(path="/srv/models")
    for place, reason in (
        ("a/broken", "no weights in a known format"),
        ("b/<i>odd</i>", "its manifests name no model"),
    ):
        SkippedPath.objects.create(root=root, place=place, signature="0", reason=reason)
    assert "2 places skipped" in get(admin_client)
    html = get(admin_client, "/scans/skipped/")
    assert "no weights in a known format" in html
    assert "b/&lt;i&gt;odd&lt;/i&gt;" in html
    only = page_text(admin_client.get("/scans/skipped/", {"q": "manifests"}, headers=HTMX))
    assert "a/broken" not in only
    assert "odd" in only
    assert "<html" not in only
    assert "No place and no reason holds “zzz”." in get(admin_client, "/scans/skipped/", q="zzz")


def test_the_page_of_a_run_under_way_refreshes_until_it_is_over(admin_client: Client) -> None:
    run = running()
    assert 'hx-trigger="every 1s"' in get(admin_client, f"/scans/{run.pk}/", event="new")
    assert admin_client.get(f"/scans/{run.pk}/", headers=POLL).status_code == 200
    ScanRun.objects.filter(pk=run.pk).update(state="done", finished_at=timezone.now())
    response = admin_client.get(f"/scans/{run.pk}/", headers=POLL)
    assert response.status_code == 286
    assert "every 1s" not in page_text(response)


@pytest.mark.parametrize("pk", ["0", "99999", "9" * 40])
def test_runs_that_do_not_exist_are_not_found(pk: str, admin_client: Client) -> None:
    assert admin_client.get(f"/scans/{pk}/").status_code == 404
    assert admin_client.post(f"/scans/{pk}/stop/").status_code == 404


@pytest.mark.parametrize(
    "path", ["/scans/", "/scans/progress/", "/scans/1/", "/scans/compare/", "/scans/skipped/"]
)
def test_readers_have_no_business_here(path: str, reader_client: Client) -> None:
    make_run(pk=1)
    assert reader_client.get(path).status_code == 403


@pytest.mark.parametrize("path", ["/scans/start/", "/scans/1/stop/"])
def test_readers_can_neither_start_nor_stop(path: str, reader_client: Client) -> None:
    run = running(pk=1)
    assert reader_client.post(path).status_code == 403
    run.refresh_from_db()
    assert not run.cancel_requested
    assert ScanRun.objects.count() == 1


@pytest.mark.parametrize("path", ["/scans/start/", "/scans/1/stop/"])
def test_scans_are_never_started_or_stopped_by_a_link(path: str, admin_client: Client) -> None:
    assert admin_client.get(path).status_code == 405


def test_forms_without_a_token_are_refused(admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    response = client.post("/scans/start/")
    assert response.status_code == 403
    assert b"The form has expired" in response.content
    assert not ScanRun.objects.exists()
