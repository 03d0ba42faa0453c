"""Sign-in, the frame around the pages, notices, error pages, and the policy that nothing inline may
break.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import URLPattern
from django.utils import timezone

from discovery.models import RegisteredModel, ScanRun, Visibility
from discovery.templatetags import karen
from discovery.web.shared import errors
from discovery.web.urls import urlpatterns
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

PAGES = (
    "/",
    "/models/",
    "/models/tiny-model/",
    "/models/tiny-model/files/",
    "/models/tiny-model/tensors/",
    "/scans/",
    "/scans/1/",
)


def test_signing_in_leads_to_where_one_wanted_to_go(client: Client, user: User) -> None:
    response = client.post(
        "/login/?next=/models/%3Fq%3Dx",
        {"username": "reader", "password": "reader", "next": "/models/?q=x"},
    )
    assert response.headers["Location"] == "/models/?q=x"


def test_signing_in_leads_to_no_other_site(client: Client, user: User) -> None:
    response = client.post(
        "/login/", {"username": "reader", "password": "reader", "next": "//evil.example/"}
    )
    assert response.headers["Location"] == "/"


def test_a_wrong_password_says_so_and_keeps_the_name(client: Client, user: User) -> None:
    html = page_text(client.post("/login/", {"username": "reader", "password": "wrong"}))
    assert 'role="alert"' in html
    assert 'value="reader"' in html
    assert "wrong" not in html


def test_the_address_of_a_form_says_that_there_is_nothing_to_look_at(
    admin_client: Client, db: None
) -> None:
    response = admin_client.get("/scans/start/")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert "only takes what a form sends" in page_text(response)
    part = admin_client.get("/scans/start/", headers={"HX-Request": "true"})
    assert part.headers["Content-Type"].startswith("text/plain")
    assert b"<" not in part.content


def test_signing_out_takes_a_form(reader_client: Client) -> None:
    assert reader_client.get("/logout/").status_code == 405
    assert reader_client.post("/logout/").headers["Location"] == "/login/"
    assert reader_client.get("/models/").status_code == 302


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_every_page_wants_a_visitor_to_sign_in(
    pattern: URLPattern, client: Client, db: None
) -> None:
    path = "/" + re.sub(
        r"<(?:(\w+):)?\w+>", lambda match: "1" if match[1] == "int" else "x", str(pattern.pattern)
    )
    assert client.get(path).headers["Location"].startswith("/login/")


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_nothing_inline_and_load_only_from_here(
    path: str, admin_client: Client, make_model: Make
) -> None:
    make_model()
    ScanRun.objects.create(
        pk=1,
        state="running",
        trigger="page",
        expected=5,
        new=2,
        heartbeat_at=timezone.now() + timedelta(hours=1),
        host="elsewhere",
        pid=1,
    )
    response = admin_client.get(path)
    html = page_text(response)
    assert "'unsafe" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|hx-on|hx-vals=.js:", html)
    assert re.findall(r"<script[^>]*>(?!</script>)", html) == []
    assert all(
        url.startswith("/static/")
        for url in re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]+)"', html)
    )
    assert html.count("<h1") == 1
    assert len(re.findall(r'\sid="([^"]+)"', html)) == len(set(re.findall(r'\sid="([^"]+)"', html)))


@pytest.mark.slow
def test_links_lead_to_pages_that_exist(admin_client: Client, make_model: Make) -> None:
    make_model()
    ScanRun.objects.create(
        pk=1, state="done", trigger="page", started_at=timezone.now(), finished_at=timezone.now()
    )
    seen: set[str] = set()
    for path in PAGES:
        html = page_text(admin_client.get(path))
        links = {
            href if href.startswith("/") else path + href
            for href in re.findall(r'href="([^"#]+)"', html)
        }
        for address in sorted(links - seen):
            if not address.startswith("/static/"):
                response = admin_client.get(address.replace("&amp;", "&"))
                assert response.status_code == 200, (path, address)
        seen |= links  # every page has the navigation
        for asset in set(re.findall(r'"/static/([^"#]+)', html)):
            assert finders.find(asset), asset


def test_the_script_of_htmx_is_told_to_evaluate_nothing(admin_client: Client) -> None:
    html = page_text(admin_client.get("/models/"))
    for setting in (
        '"allowEval":false',
        '"allowScriptTags":false',
        '"includeIndicatorStyles":false',
        '"historyCacheSize":0',
        '"code":"422|409","swap":true',
    ):
        assert setting in html


def test_the_foot_tells_who_is_there_and_when_the_last_scan_was(admin_client: Client) -> None:
    assert "Not scanned yet" in page_text(admin_client.get("/models/"))
    ScanRun.objects.create(
        state="done", trigger="page", finished_at=timezone.now() - timedelta(minutes=4)
    )
    html = page_text(admin_client.get("/models/"))
    assert "Last scan <time" in html
    assert "4 min ago" in html
    assert 'href="/account/" title="admin: your account">admin</a>' in html


def test_a_faulty_config_file_is_told_to_administrators_only(
    config_dir: Path, admin_client: Client, user: User
) -> None:
    (config_dir / "model_discovery.json").write_text('{"discovery": {"max_scan_depht": 3}}')
    html = page_text(admin_client.get("/models/"))
    assert (
        "model_discovery.json</code>: discovery.max_scan_depht: this key is not known here" in html
    )
    assert "The last good version stays in force" in html
    reader = Client()
    reader.force_login(user)
    assert b"model_discovery.json" not in reader.get("/models/").content


def test_readers_find_no_way_to_what_is_not_theirs(reader_client: Client, make_model: Make) -> None:
    make_model(visibility=Visibility.PUBLIC)
    html = page_text(reader_client.get("/models/"))
    assert "/scans/" not in html
    assert "/admin/" not in html


def test_pages_that_do_not_exist_say_so_in_the_house_style(client: Client, db: None) -> None:
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert b"Page not found" in response.content
    assert b"base.css" in response.content


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/models/gone/", 404, "It is not there any more, or not shared with you."),
        ("/scans/", 403, "You need the permission “Can view scan run” for this."),
    ],
)
def test_an_error_in_place_of_a_part_is_one_sentence(
    address: str, status: int, said: str, reader_client: Client
) -> None:
    response = reader_client.get(address, headers={"HX-Request": "true"})
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/plain")
    assert response.content.decode().startswith(said)
    whole = reader_client.get(address)
    assert whole.status_code == status
    assert b"<h1>" in whole.content


def test_a_form_without_a_token_says_so_in_place_of_a_part_too(admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    response = client.post("/scans/start/", headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["Content-Type"]) == (
        403,
        "text/plain; charset=utf-8",
    )
    assert response.content.startswith(b"The form has expired.")


def test_a_part_that_fails_says_so_without_a_trace(
    reader_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discovery.web.help_pages.topic", lambda _name: 1 / 0)
    reader_client.raise_request_exception = False
    response = reader_client.get("/help/", headers={"HX-Request": "true"})
    assert response.status_code == 500
    assert response.content == b"The server failed. What went wrong is in its log; try again."


def test_the_page_for_our_own_failures_needs_no_database(rf: RequestFactory) -> None:
    """Without the ``db`` fixture any query fails."""
    response = errors.server_error(rf.get("/"))
    assert response.status_code == 500
    assert b"Something broke on our side" in response.content


def test_a_view_that_fails_shows_that_page(
    reader_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr("discovery.web.models.numbered", broken)
    reader_client.raise_request_exception = False
    response = reader_client.get("/models/")
    assert response.status_code == 500
    assert b"Something broke on our side" in response.content


def test_bad_requests_have_a_page_too(rf: RequestFactory) -> None:
    response = errors.bad_request(rf.get("/"), Exception("x"))
    assert response.status_code == 400
    assert b"Bad request" in response.content


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"), (0, "–"), (999, "999"), (1_000, "1.0 K"), (66_362, "66 K"), (999_600, "1.0 M"),
        (4_200_000, "4.2 M"), (427_616_513, "428 M"),
        (999_950_000, "1.0 B"), (8_030_261_248, "8.0 B"), (46_702_792_704, "46.7 B"),
        (99_960_000_000, "100 B"), (671_026_419_200, "671 B"),
        (1_000_000_000_000, "1.0 T"),
    ],
)  # fmt: skip
def test_parameters_are_told_in_three_digits(count: int | None, text: str) -> None:
    assert karen.parameters(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (40, "just now"),
        (50, "1 min ago"),
        (3_500, "58 min ago"),
        (3_590, "1 h ago"),
        (80_000, "22 h ago"),
        (86_000, "1 day ago"),
        (20 * 86_400, "20 days ago"),
    ],
)
def test_times_past_are_told_in_words(seconds: int, text: str) -> None:
    assert karen.ago(timezone.now() - timedelta(seconds=seconds)) == text


def test_times_long_past_are_dates() -> None:
    past = timezone.now() - timedelta(days=400)
    assert karen.ago(past) == f"{past.day} {past:%b %Y}"
    assert karen.ago(None) == "never"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_told_in_two_units_at_most(seconds: float | None, text: str) -> None:
    assert karen.duration(seconds) == text


FULL = OSError(errno.ENOSPC, "No space left on device", "/srv/data/secret")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FULL, "The disk of the server is full: nothing can be written."),
        (
            OperationalError("attempt to write a readonly database"),
            "The database cannot be written.",
        ),
    ],
)
def test_a_page_that_meets_a_full_disk_or_a_database_it_cannot_write_says_so(
    reader_client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error from _readonly() if error is not FULL else None

    monkeypatch.setattr("discovery.web.models.numbered", broken)
    reader_client.raise_request_exception = False
    page, part = (
        reader_client.get("/models/"),
        reader_client.get("/models/", headers={"HX-Request": "true"}),
    )
    assert (page.status_code, part.status_code) == (503, 503)
    assert said in page_text(page)
    assert "/srv/data" not in page_text(page)
    assert page_text(part) == said


def _readonly() -> sqlite3.Error:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    return error


def test_signing_in_on_a_full_disk_says_so_although_no_view_failed(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions are saved after the view, by the middleware around it."""

    def full(*_: Any, **__: Any) -> None:
        raise FULL

    client.raise_request_exception = False
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.save", full)
    response = client.post("/login/", {"username": "reader", "password": "reader"})
    assert response.status_code == 503
    assert "The disk of the server is full" in page_text(response)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ten_thousand_values_are_refused_with_the_reason(admin_client: Client, method: str) -> None:
    values = "&".join(f"id=x{number}" for number in range(10_000))
    if method == "GET":
        refused = admin_client.get(f"/models/?{values}")
    else:
        form = "application/x-www-form-urlencoded"
        refused = admin_client.generic("POST", "/bulk/", values, form)
    assert refused.status_code == 400
    assert "The request has more than 1,000 values. Nothing was changed." in page_text(refused)
