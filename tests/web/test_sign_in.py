"""Guessing passwords: counted by account and address, told to the person and the log, undone by the
command line.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from discovery.models import LogEntry, LogTopic, SignInCount
from discovery.services.access import signing_in
from tests.people import administer
from tests.support.page_text import page_text

PASSWORD = "a-long-password"
PAGES = ["/login/", "/admin/login/"]


@pytest.fixture
def ada(db: None) -> User:
    return administer(User.objects.create_user("ada", password=PASSWORD))


class Clock:
    """Time as the counts see it."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> datetime:
        return self.now

    def go(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Any:
    time = Clock()
    with patch.object(signing_in.timezone, "now", time):
        yield time


def attempt(
    client: Client,
    password: str,
    *,
    name: str = "ada",
    page: str = "/login/",
    origin: str = "10.0.0.1",
) -> Any:
    return client.post(page, {"username": name, "password": password}, REMOTE_ADDR=origin)


@pytest.mark.parametrize("page", PAGES)
def test_25_wrong_passwords_lock_the_right_one_waits_and_the_page_says_how_long(
    page: str, ada: User, client: Client, clock: Clock
) -> None:
    statuses = [attempt(client, f"wrong-{number}", page=page).status_code for number in range(25)]
    assert statuses[:5] == [200] * 5
    assert set(statuses[5:]) == {429}
    locked = attempt(client, PASSWORD, page=page)
    assert locked.status_code == 429
    assert int(locked["Retry-After"]) == 60
    text = page_text(locked)
    assert "Wait 60 seconds" in text
    assert "python manage.py unlock" in text
    assert "_auth_user_id" not in client.session
    clock.go(seconds=61)
    assert attempt(client, PASSWORD, page=page).status_code == 302
    assert client.session["_auth_user_id"] == str(ada.pk)


def test_each_further_failure_doubles_the_wait_up_to_an_hour(
    ada: User, client: Client, clock: Clock
) -> None:
    waits = []
    for number in range(14):
        response = attempt(client, f"wrong-{number}")
        if number >= 4:
            refused = attempt(client, PASSWORD)
            waits.append(int(refused["Retry-After"]))
            clock.go(seconds=waits[-1] + 1)
        assert response.status_code == 200
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert "Wait 60 minutes" in attempt_locked(client, clock)


def attempt_locked(client: Client, clock: Clock) -> str:
    attempt(client, "wrong again")
    return page_text(attempt(client, PASSWORD))


def test_an_attempt_while_it_is_locked_makes_nobody_wait_longer(
    ada: User, client: Client, clock: Clock
) -> None:
    for number in range(5):
        attempt(client, f"wrong-{number}")
    for _ in range(40):
        clock.go(seconds=1)
        assert attempt(client, "wrong").status_code == 429
    clock.go(seconds=21)
    assert attempt(client, PASSWORD).status_code == 302


def test_a_success_starts_the_count_anew(ada: User, client: Client, clock: Clock) -> None:
    for _ in range(3):
        for number in range(4):
            assert attempt(client, f"wrong-{number}").status_code == 200
        assert attempt(client, PASSWORD).status_code == 302
        client.logout()


def test_a_stranger_locks_nobody_out_of_where_they_signed_in_before(
    ada: User, client: Client, clock: Clock
) -> None:
    assert attempt(client, PASSWORD, origin="10.0.0.7").status_code == 302
    client.logout()
    for number in range(60):
        attempt(Client(), "guess", origin=f"172.16.0.{number}")
    assert attempt(Client(), PASSWORD, origin="172.16.1.1").status_code == 429, (
        "a new address waits"
    )
    assert attempt(Client(), PASSWORD, origin="10.0.0.7").status_code == 302, "a known one does not"


@pytest.mark.slow
def test_a_locked_account_opens_again_within_a_quarter_of_an_hour(ada: User, clock: Clock) -> None:
    for number in range(200):
        attempt(Client(), "guess", origin=f"172.16.{number // 200}.{number % 200}")
        clock.go(minutes=1)
    refused = attempt(Client(), PASSWORD, origin="192.0.2.1")
    clock.go(minutes=15, seconds=1)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) <= 900
    assert attempt(Client(), PASSWORD, origin="192.0.2.1").status_code == 302


def test_an_address_that_tries_many_accounts_is_locked_for_all_of_them(
    ada: User, clock: Clock
) -> None:
    for number in range(30):
        attempt(Client(), "guess", name=f"nobody-{number}")
    assert attempt(Client(), PASSWORD).status_code == 429
    assert attempt(Client(), PASSWORD, origin="10.0.0.2").status_code == 302


def test_accounts_that_do_not_exist_are_locked_alike(
    db: None, client: Client, clock: Clock
) -> None:
    statuses = [attempt(client, "x", name="nobody").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2


def test_the_name_counts_however_it_is_written(ada: User, client: Client, clock: Clock) -> None:
    for name in ("ada", "Ada", "ADA", " ada", "ada "):
        attempt(client, "wrong", name=name)
    assert attempt(client, PASSWORD).status_code == 429


def test_behind_proxies_the_address_is_the_one_that_they_saw(
    ada: User, settings: Any, clock: Clock
) -> None:
    settings.API_PROXIES = 1
    for number in range(30):
        Client().post(
            "/login/",
            {"username": f"x{number}", "password": "x"},
            REMOTE_ADDR="127.0.0.1",
            HTTP_X_FORWARDED_FOR="1.2.3.4, 198.51.100.9",
        )
    there = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "5.6.7.8, 198.51.100.9"}
    assert (
        Client().post("/login/", {"username": "ada", "password": PASSWORD}, **there).status_code
        == 429
    )
    elsewhere = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.9, 198.51.100.10"}
    assert (
        Client().post("/login/", {"username": "ada", "password": PASSWORD}, **elsewhere).status_code
        == 302
    )


def test_the_log_names_account_and_address_and_no_password(
    ada: User, client: Client, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "karen"):
        for _ in range(6):
            attempt(client, "hunter2-secret")
        for _ in range(6):
            attempt(client, "x", name="my-own-password-typed-as-name")
    entries = [
        entry.message for entry in LogEntry.objects.filter(topic=LogTopic.ACCESS).order_by("pk")
    ]
    assert (
        entries[0]
        == "Sign-in is locked for 1 minute from there after 5 failures: the account ada from"
        " 10.0.0.1"
    )
    assert "an account that does not exist from 10.0.0.1" in entries[1]
    everything = caplog.text + "".join(entries) + str(list(SignInCount.objects.values()))
    assert entries[0] in caplog.text
    assert "hunter2" not in everything
    assert "typed-as-name" not in everything


def test_the_command_line_lets_somebody_in_at_once(
    ada: User, client: Client, clock: Clock, capsys: Any
) -> None:
    for _ in range(9):
        attempt(client, "wrong")
    for number in range(40):
        attempt(client, "wrong", name=f"x{number}")
    assert attempt(client, PASSWORD).status_code == 429
    call_command("unlock", "ada")
    assert "ada can sign in again now." in capsys.readouterr().out
    assert attempt(client, PASSWORD).status_code == 302


def test_the_command_line_unlocks_an_address_or_everybody(
    ada: User, client: Client, clock: Clock
) -> None:
    for options in ({"address": "10.0.0.1"}, {"all": True}):
        for number in range(31):
            attempt(client, "wrong", name=f"x{number}")
        assert attempt(client, PASSWORD).status_code == 429
        call_command("unlock", **options)
        assert attempt(client, PASSWORD).status_code == 302
        client.logout()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Name one account"),
        (["nobody"], "There is no account nobody"),
        (["ada", "--all"], "Name one"),
    ],
)
def test_the_command_says_what_it_needs(arguments: list[str], why: str, ada: User) -> None:
    with pytest.raises(CommandError, match=why) as raised:
        call_command("unlock", *arguments)
    assert raised.value.returncode == 2


def test_rows_are_forgotten_a_day_after_the_last_failure(ada: User, clock: Clock) -> None:
    for number in range(25):
        attempt(Client(), "wrong", name=f"x{number}", origin=f"10.1.0.{number}")
    assert SignInCount.objects.count() == 75
    clock.go(hours=25)
    attempt(Client(), "wrong")
    assert SignInCount.objects.count() == 3


def test_a_form_without_a_name_or_with_odd_characters_breaks_nothing(
    ada: User, client: Client, clock: Clock
) -> None:
    for name in ("", "\0", "a" * 5_000, "‮语", "'; DROP TABLE"):
        for page in PAGES:
            assert attempt(client, "x", name=name, page=page).status_code in (200, 429)


def test_tokens_are_guessed_slowly_too(ada: User, clock: Clock) -> None:
    from discovery.services.integrations import api_tokens

    _, right = api_tokens.create(ada, "mine", "admin")

    def ask(token):
        return Client().get(
            "/api/models/discovery/scans", headers={"Authorization": f"Bearer {token}"}
        )

    assert ask(right).status_code == 200
    answers = [ask(f"karen_guess{number}").status_code for number in range(25)]
    assert answers == [401] * 20 + [429] * 5
    refused = ask(right)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "60"
    assert "wait 60 seconds" in refused.json()["detail"]
    assert Client().get("/api/tags").status_code == 200, "what needs no token is answered"
    assert attempt(Client(), PASSWORD, origin="127.0.0.1").status_code == 302, (
        "the sign-in page counts for itself"
    )
    clock.go(seconds=61)
    assert ask(right).status_code == 200


def test_a_program_that_comes_with_an_old_token_locks_nobody_out(ada: User, clock: Clock) -> None:
    from discovery.services.integrations import api_tokens

    row, old = api_tokens.create(ada, "old", "read")
    api_tokens.revoke(row)
    _, right = api_tokens.create(ada, "new", "read")
    for _ in range(60):
        assert (
            Client().get("/api/tags", headers={"Authorization": f"Bearer {old}"}).status_code == 401
        )
    assert (
        Client().get("/api/tags", headers={"Authorization": f"Bearer {right}"}).status_code == 200
    )
