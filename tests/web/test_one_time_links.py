"""One-time links: for an invitation and for a new password; once, in time, and only the newest."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from discovery.models import AccountChange
from discovery.services.access import accounts
from tests.support.page_text import page_text

NEW = "correct horse battery"
GONE = "This link is no longer valid"


def choose(client: Client, link: str, password: str = NEW, again: str | None = None) -> Any:
    """Opens the link as a browser does and sends the form."""
    form = client.get(link)
    assert form.status_code == 302, form.status_code
    sent = {"new_password1": password, "new_password2": password if again is None else again}
    return client.post(form["Location"], sent)


def test_an_invitation_is_shown_once_and_lets_in_who_was_invited(admin_client: Client) -> None:
    sent = admin_client.post("/users/new/", {"username": "ada"})
    ada = User.objects.get(username="ada")
    assert sent["Location"] == f"/users/{ada.pk}/link/"
    assert not ada.has_usable_password()
    page = admin_client.get(sent["Location"])
    found = re.search(r'id="link">(http://testserver(/set-password/[^<]+))<', page.text)
    assert found
    assert "no-store" in page["Cache-Control"]
    assert "no longer shown" in page_text(admin_client.get(sent["Location"]))
    invited = Client()
    response = choose(invited, found[2])
    assert response["Location"] == "/"
    assert invited.get("/models/").status_code == 200
    assert Client().login(username="ada", password=NEW)
    assert [
        change.by for change in AccountChange.objects.filter(text__contains="new password")
    ] == ["ada"]


def test_a_link_that_waits_to_be_shown_is_for_whoever_made_it(
    admin_client: Client, user: User
) -> None:
    sent = admin_client.post(f"/users/{user.pk}/act/", {"action": "link"})
    other = Client()
    other.force_login(User.objects.create_superuser("second", password="x"))
    other.cookies = admin_client.cookies.__class__(
        {
            "shown_once": sent.cookies["shown_once"].value,
            "sessionid": other.cookies["sessionid"].value,
        }
    )
    assert "no longer shown" in page_text(other.get(sent["Location"]))


def test_a_link_works_once(user: User) -> None:
    link = accounts.one_time_link(user)
    assert choose(Client(), link).status_code == 302
    again = Client().get(link)
    assert again.status_code == 410
    assert GONE in page_text(again)


def test_the_page_that_was_open_when_it_was_used_elsewhere_sets_nothing(user: User) -> None:
    link, first, second = accounts.one_time_link(user), Client(), Client()
    there = second.get(link)["Location"]
    choose(first, link)
    sent = {"new_password1": "another good one", "new_password2": "another good one"}
    assert second.post(there, sent).status_code == 410
    user.refresh_from_db()
    assert user.check_password(NEW)


@pytest.mark.parametrize(("days", "status"), [(2.9, 302), (3.1, 410)])
def test_a_link_expires(days: float, status: int, user: User) -> None:
    link = accounts.one_time_link(user)
    later = accounts.one_time_links._now() + timedelta(days=days)
    with patch.object(accounts.one_time_links, "_now", lambda: later):
        assert Client().get(link).status_code == status


def test_a_newer_link_and_a_deactivated_account_make_a_link_invalid(user: User) -> None:
    old, new = accounts.one_time_link(user), accounts.one_time_link(user)
    assert Client().get(old).status_code == 410
    assert Client().get(new).status_code == 302
    user.is_active = False
    user.save()
    assert Client().get(new).status_code == 410


def test_other_methods_are_not_allowed(user: User, client: Client) -> None:
    link = accounts.one_time_link(user)
    for method in (client.put, client.patch, client.delete):
        assert method(link).status_code == 405


@pytest.mark.parametrize(
    "link", ["/set-password/MQ/x-y/", "/set-password/!/x-y/", "/set-password/OTk5OQ/choose/"]
)
def test_nonsense_is_told_as_such(link: str, db: None, client: Client) -> None:
    response = client.get(link)
    assert response.status_code == 410
    assert GONE in page_text(response)


@pytest.mark.parametrize(
    ("password", "again", "why"),
    [("short", "short", "too short"), (NEW, "other", "didn’t match"), ("", "", "required")],
)
def test_password_rules_hold_and_the_link_stays_valid(
    password: str, again: str, why: str, user: User, client: Client
) -> None:
    link = accounts.one_time_link(user)
    response = choose(client, link, password, again)
    assert response.status_code == 422
    assert why in page_text(response)
    assert choose(client, link).status_code == 302


def test_a_new_password_by_link_ends_the_sessions_of_before(
    user: User, reader_client: Client
) -> None:
    choose(Client(), accounts.one_time_link(user))
    assert reader_client.get("/models/").status_code == 302


def run(*words: str) -> str:
    out = StringIO()
    call_command("reset_password", *words, stdout=out)
    return out.getvalue()


def test_the_command_prints_a_link_that_works(user: User) -> None:
    line = run("reader", "--url", "https://karen.example.org/")
    assert line.startswith("https://karen.example.org/set-password/")
    assert (
        choose(Client(), line.strip().removeprefix("https://karen.example.org")).status_code == 302
    )
    assert run("reader").startswith("http://127.0.0.1:8000/set-password/")
    assert AccountChange.objects.filter(by="", text="made a one-time link for reader").count() == 2


def test_the_command_says_what_is_wrong(user: User) -> None:
    user.is_active = False
    user.save()
    for words, why in (
        (["nobody"], "There is no account nobody"),
        (["a\0b"], "There is no account"),
        (["reader"], "is deactivated"),
        (["reader", "--url", "karen"], "is not an address"),
    ):
        with pytest.raises(CommandError, match=why) as caught:
            run(*words)
        assert caught.value.returncode == 2
