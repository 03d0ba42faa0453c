"""The Plugins page: what is loaded, how it fails, and a switch for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import LogEntry, Plugin, Right
from discovery.services.plugins import catalogue
from tests.people import permit
from tests.support.page_text import page_text
from tests.support.plugin_files import no_plugins_after as no_plugins_after
from tests.support.plugin_files import plugins_dir as plugins_dir
from tests.support.plugin_files import write_plugin

pytestmark = pytest.mark.django_db

PAGE = "/settings/plugins/"


@pytest.fixture
def failing() -> Plugin:
    return Plugin.objects.create(
        key="odd.Sample",
        module="odd",
        class_name="Sample",
        source="folder",
        label="Odd one",
        format="odd-one",
        suffixes=[".odd"],
        enabled=False,
        off_reason="It failed 5 times in a row. The last time: ValueError: x",
        failures=[
            {"at": "2026-11-29T12:00:00+00:00", "path": "/m/a.odd", "reason": "ValueError: x"}
        ],
    )


def test_without_plugins_it_says_how_to_get_one(plugins_dir: Path, admin_client: Client) -> None:
    html = page_text(admin_client.get(PAGE))
    assert "No plugins are installed" in html
    assert "startplugin NAME" in html
    assert str(plugins_dir) in html


def test_it_shows_what_is_loaded_and_what_it_handles(
    plugins_dir: Path, admin_client: Client
) -> None:
    write_plugin(plugins_dir, "good", "version = '1.2'\nlabel = 'Good one'\nsuffixes = ('.good',)")
    before = page_text(admin_client.get(PAGE))
    assert "New or changed files" in before
    assert Plugin.objects.count() == 0
    admin_client.post("/settings/plugins/reload/")
    html = page_text(admin_client.get(PAGE))
    for text in ("Good one", "1.2", "*.good", "good.Sample", "no models yet", "On</span>"):
        assert text in html
    assert "New or changed files" not in html


def test_it_tells_why_one_was_switched_off_and_switches_it_on(
    plugins_dir: Path, failing: Plugin, admin_client: Client
) -> None:
    write_plugin(plugins_dir, "odd", "label = 'Odd one'")
    html = page_text(admin_client.get(PAGE))
    assert "It failed 5 times in a row. The last time: ValueError: x" in html
    assert "/m/a.odd" in html
    answer = admin_client.post(
        f"/settings/plugins/{failing.pk}/switch/", {"action": "on"}, follow=True
    )
    assert "Odd one is on. The next scan asks it again." in page_text(answer)
    failing.refresh_from_db()
    assert (failing.enabled, failing.off_reason, failing.generation) == (True, "", 1)
    assert "admin switched the plugin Odd one on" in LogEntry.objects.get().message
    admin_client.post(f"/settings/plugins/{failing.pk}/switch/", {"action": "off"})
    failing.refresh_from_db()
    assert failing.enabled is False


def test_files_that_are_refused_are_named(plugins_dir: Path, admin_client: Client) -> None:
    write_plugin(plugins_dir, "open", "").chmod(0o666)
    html = page_text(admin_client.get(PAGE))
    assert "1 file refused" in html
    assert "Run chmod go-w on it" in html


def test_who_may_not_see_every_model_sees_no_paths(
    plugins_dir: Path, failing: Plugin, client: Client, django_user_model: Any
) -> None:
    client.force_login(permit(django_user_model.objects.create_user("ada"), Right.SETTINGS))
    html = page_text(client.get(PAGE))
    assert "/m/a.odd" not in html
    assert "1 recent failure" in html


def test_it_asks_the_database_the_same_for_many(
    plugins_dir: Path, admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        Plugin.objects.create(
            key=f"m{number}.P",
            module=f"m{number}",
            class_name="P",
            source="folder",
            format=f"f{number}",
        )
    admin_client.get(PAGE)
    with django_assert_max_num_queries(10):
        admin_client.get(PAGE)


def test_the_api_lists_and_switches_them(
    plugins_dir: Path, admin_client: Client, admin_user: User
) -> None:
    write_plugin(plugins_dir, "good", "label = 'Good one'")
    catalogue.refresh()
    [row] = admin_client.get("/api/plugins").json()["results"]
    assert (row["key"], row["state"], row["enabled"]) == ("good.Sample", "On", True)
    answer = admin_client.put(
        "/api/plugins/good.Sample", {"enabled": False}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "Off")
    assert Plugin.objects.get().enabled is False
    wrong = admin_client.put(
        "/api/plugins/good.Sample", {"enabled": "no"}, content_type="application/json"
    )
    assert wrong.status_code == 422
    missing = admin_client.put(
        "/api/plugins/bad.Sample", {"enabled": True}, content_type="application/json"
    )
    assert missing.status_code == 404


def test_a_refused_file_is_told_of_once(plugins_dir: Path, admin_client: Client) -> None:
    write_plugin(plugins_dir, "open", "").chmod(0o666)
    catalogue.refresh()
    html = page_text(admin_client.get(PAGE))
    assert html.count("Run chmod go-w on it") == 1
    assert "Not loaded" in html
