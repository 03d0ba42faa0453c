"""The Logs page: filters that say when they mean nothing, paging without counting, and a tail that
moves only on news.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from discovery.models import LogEntry, RegisteredModel, ScanRun
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

HTMX = {"HX-Request": "true"}


def tell(message: str, **fields: Any) -> LogEntry:
    defaults = {"at": timezone.now(), "level": "info", "topic": "discovery"}
    return LogEntry.objects.create(message=message, **{**defaults, **fields})


def get(client: Client, **query: Any) -> str:
    response = client.get("/logs/", query)
    assert response.status_code == 200
    return page_text(response)


def shown(html: str) -> list[str]:
    return [word for word in ("alpha", "beta", "gamma") if f"<bdi>{word}</bdi>" in html]


@pytest.fixture
def three(make_model: Make) -> ScanRun:
    make_model("known")
    run = ScanRun.objects.create(trigger="page")
    tell("alpha", level="error", model_id="known", path="shelf/known", scan=run)
    tell("beta", topic="validation", model_id="forgotten", at=timezone.now() - timedelta(hours=2))
    tell("gamma", level="warning", topic="metadata", at=timezone.now() - timedelta(days=3))
    return run


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, ["alpha", "beta", "gamma"]),
        ({"level": "error"}, ["alpha"]),
        ({"channel": "validation"}, ["beta"]),
        ({"model": "known"}, ["alpha"]),
        ({"model": "FORGOTTEN"}, []),
        ({"q": "SHELF alp"}, ["alpha"]),
        ({"since": "1h"}, ["alpha"]),
        ({"since": "1d"}, ["alpha", "beta"]),
        ({"since": "2020-01-01"}, ["alpha", "beta", "gamma"]),
        ({"since": "2999-01-01T00:00:00+02:00"}, []),
        ({"level": "warning", "channel": "validation"}, []),
    ],
)
def test_entries_are_filtered(
    query: dict[str, str], words: list[str], three: ScanRun, admin_client: Client
) -> None:
    assert shown(get(admin_client, **query)) == words


def test_entries_of_one_scan_and_the_way_to_it(three: ScanRun, admin_client: Client) -> None:
    html = get(admin_client, scan=three.pk)
    assert shown(html) == ["alpha"]
    assert f'href="/scans/{three.pk}/"' in html
    assert 'href="/models/known/"' in html
    assert "/models/forgotten/" not in get(admin_client)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"level": "fatal"}, "There is no level “fatal”"),
        ({"channel": "<b>"}, "There is no channel “&lt;b&gt;”"),
        ({"scan": "9" * 40}, "is not the number of a scan"),
        ({"scan": "１"}, "is not the number of a scan"),
        ({"since": "yesterday"}, "“yesterday” is not a time"),
        ({"since": "2026-13-45"}, "“2026-13-45” is not a time"),
    ],
)
def test_filters_that_mean_nothing_say_so_and_show_everything(
    query: dict[str, str], said: str, three: ScanRun, admin_client: Client
) -> None:
    html = get(admin_client, **query)
    assert said in html
    assert shown(html) == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize(
    "query",
    [
        {"q": "\x00" * 9},
        {"model": "x" * 10_000},
        {"before": "-1"},
        {"before": "zzz"},
        {"latest": "x"},
        {"scan": "0"},
    ],
)
def test_hostile_addresses_are_answered(
    query: dict[str, str], three: ScanRun, admin_client: Client
) -> None:
    get(admin_client, **query)


def test_the_newest_come_first_and_older_ones_by_a_link(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    LogEntry.objects.bulk_create(
        LogEntry(
            at=timezone.now(),
            level="info",
            topic="discovery",
            message=f"event {n}",
            model_id=f"m{n}",
        )
        for n in range(150)
    )
    html = get(admin_client)
    assert html.index("event 149") < html.index("event 148")
    assert "<bdi>event 49</bdi>" not in html
    oldest = LogEntry.objects.get(message="event 50").pk
    assert f'href="?before={oldest}"' in html
    with django_assert_num_queries(4):
        older = page_text(admin_client.get("/logs/", {"before": oldest}, headers=HTMX))
    assert "<bdi>event 49</bdi>" in older
    assert "Older entries" not in older
    assert 'id="tail"' not in older
    assert "To the newest" in older


def test_the_tail_moves_only_when_there_is_news(three: ScanRun, admin_client: Client) -> None:
    html = get(admin_client)
    latest = LogEntry.objects.latest("pk").pk
    assert f"""hx-vals='{{"latest":"{latest}"}}' hx-trigger="every 2s\"""" in html
    assert admin_client.get("/logs/", {"latest": latest}, headers=HTMX).status_code == 204
    tell("delta", level="error")
    answer = admin_client.get("/logs/", {"latest": latest}, headers=HTMX)
    assert "<bdi>delta</bdi>" in page_text(answer)
    assert f'"latest":"{latest + 1}"' in page_text(answer)
    assert "latest=" not in page_text(answer)
    assert (
        admin_client.get("/logs/", {"latest": latest, "level": "warning"}, headers=HTMX).status_code
        == 204
    )


def test_a_paused_tail_asks_for_nothing(three: ScanRun, admin_client: Client) -> None:
    html = get(admin_client, live="0", level="error")
    assert "every 2s" not in html
    assert 'href="?level=error"' in html


def test_without_entries_the_page_says_what_will_come(admin_client: Client) -> None:
    assert "Nothing has happened yet" in get(admin_client)
    assert "No entry matches" in get(admin_client, q="zzz")


def test_readers_have_no_business_here(client: Client, user: Any) -> None:
    client.force_login(user)
    assert client.get("/logs/").status_code == 403
