"""The API tokens page: a token is shown once, belongs to somebody, and can be revoked; and the
command that makes one.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from discovery.models import ApiToken
from discovery.services.integrations import api_tokens
from tests.support.page_text import page_text


def test_a_new_token_is_shown_once_and_works(reader_client: Client) -> None:
    sent = reader_client.post(
        "/tokens/", {"name": "nightly <b>job</b>", "scope": "read", "life": "30"}
    )
    assert (sent.status_code, sent["Location"]) == (302, "/tokens/")
    made = reader_client.get("/tokens/")
    token = re.search(r'id="token">([^<]+)<', made.text)
    assert token
    assert "nightly &lt;b&gt;job" in made.text
    assert api_tokens.find(token[1]) == ApiToken.objects.get()
    assert token[1] not in reader_client.get("/tokens/").text
    assert "no-store" in made["Cache-Control"]
    assert token[1] not in sent["Location"] + sent.text


def test_a_reload_after_making_a_token_makes_no_second_one_and_shows_it_no_more(
    reader_client: Client,
) -> None:
    page = reader_client.post(
        "/tokens/", {"name": "nightly", "scope": "read", "life": "30"}, follow=True
    )
    token = re.search(r'id="token">([^<]+)<', page.text)
    assert token
    again = reader_client.get(page.request["PATH_INFO"])
    assert 'id="token"' not in again.text
    assert ApiToken.objects.count() == 1


def test_a_token_that_waits_to_be_shown_is_for_its_owner_and_its_page_alone(
    reader_client: Client, admin_user: User
) -> None:
    sent = reader_client.post("/tokens/", {"name": "nightly", "scope": "read", "life": "30"})
    cookie = sent.cookies["shown_once"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (
        "/tokens/",
        True,
        "Strict",
        60,
    )
    reader_client.force_login(admin_user)
    for address in ("/tokens/", "/webhooks/"):
        assert "copy the token now" not in reader_client.get(address).text.lower()


def test_a_cookie_of_somebodys_own_making_shows_nothing(reader_client: Client) -> None:
    for value in ("", "x", signing.dumps({"name": "n", "token": "t"}), "a:b:c" * 500):
        reader_client.cookies["shown_once"] = value
        page = reader_client.get("/tokens/")
        assert (page.status_code, 'id="token"' in page.text) == (200, False)


@pytest.mark.parametrize(
    "given", [{"name": ""}, {"scope": "admin"}, {"scope": "x"}, {"life": "7"}, {"name": "\0"}]
)
def test_what_cannot_be_made_is_said_beside_the_form_with_what_was_typed(
    given: dict[str, str], reader_client: Client
) -> None:
    response = reader_client.post(
        "/tokens/", {"name": "mine", "scope": "read", "life": "30", **given}
    )
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert not ApiToken.objects.exists()


def test_people_see_and_revoke_their_own_tokens_and_administrators_all(
    reader_client: Client, admin_client: Client, admin_user: User
) -> None:
    row, token = api_tokens.create(admin_user, "of the administrator", "admin")
    assert "of the administrator" not in reader_client.get("/tokens/").text
    assert reader_client.post(f"/tokens/{row.pk}/revoke/").status_code == 404
    mine, _ = api_tokens.create(User.objects.get(username="reader"), "of the reader")
    assert "of the reader" in admin_client.get("/tokens/").text
    assert admin_client.post(f"/tokens/{mine.pk}/revoke/", follow=True).status_code == 200
    mine.refresh_from_db()
    assert mine.revoked_at
    assert admin_client.post(f"/tokens/{row.pk}/revoke/").status_code == 302
    assert api_tokens.find(token) is None
    assert "already" in admin_client.post(f"/tokens/{row.pk}/revoke/", follow=True).text


def test_visitors_have_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/tokens/").status_code == 302


def test_the_command_prints_a_token_that_works(
    user: User, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("create_token", "reader", "script", "--days", "7")
    row = api_tokens.find(capsys.readouterr().out.strip())
    assert row
    assert (row.scope, row.expires_at is not None) == ("read", True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nobody", "x"],
        ["reader", " "],
        ["reader", "x", "--scope", "admin"],
        *(
            ["reader", "x", "--days", days]
            for days in ("-1", "0", "00", "36501", "9" * 30, "NaN", "inf", "1.5", "", " ", "٣")
        ),
    ],
)
def test_the_command_says_why_it_makes_none(
    arguments: list[str], user: User, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("create_token", *arguments)
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.err
    assert not told.out


@pytest.mark.parametrize("days", [0, -1, 36_501, "0", "nan", "1e3", ""])
def test_no_number_of_days_stands_for_ever(days: int | str) -> None:
    with pytest.raises(api_tokens.TokenError, match="from 1 to 36,500"):
        api_tokens.expiry(days)


def test_a_day_beyond_the_calendar_of_tokens_is_refused(user: User) -> None:
    with pytest.raises(api_tokens.TokenError, match="within 36,500 days"):
        api_tokens.create(user, "x", expires_at=timezone.now() + timedelta(days=400_000))


def test_the_page_tells_when_each_token_expires(client: Client, user: User) -> None:
    client.force_login(user)
    day = api_tokens.expiry(7)
    api_tokens.create(user, "for a while", expires_at=day)
    api_tokens.create(user, "for good")
    html = page_text(client.get("/tokens/"))
    assert f'<td class="wide-only muted nowrap">{day:%-d %b %Y}</td>' in html
    assert '<td class="wide-only muted nowrap">never</td>' in html
