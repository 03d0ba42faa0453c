"""The API tokens page: a token is shown once, belongs to somebody, and can be revoked; and the command that makes one."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from discovery.models import ApiToken
from discovery.services import tokens


def test_a_new_token_is_shown_once_and_works(reader_client: Client) -> None:
    made = reader_client.post(
        "/tokens/", {"name": "nightly <b>job</b>", "scope": "read", "life": "30"}
    )
    token = re.search(r'id="token">([^<]+)<', made.text)
    assert token
    assert "nightly &lt;b&gt;job" in made.text
    assert tokens.find(token[1]) == ApiToken.objects.get()
    assert token[1] not in reader_client.get("/tokens/").text
    assert "no-store" in made["Cache-Control"]


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
    row, token = tokens.create(admin_user, "of the administrator", "admin")
    assert "of the administrator" not in reader_client.get("/tokens/").text
    assert reader_client.post(f"/tokens/{row.pk}/revoke/").status_code == 404
    mine, _ = tokens.create(User.objects.get(username="reader"), "of the reader")
    assert "of the reader" in admin_client.get("/tokens/").text
    assert admin_client.post(f"/tokens/{mine.pk}/revoke/", follow=True).status_code == 200
    mine.refresh_from_db()
    assert mine.revoked_at
    assert admin_client.post(f"/tokens/{row.pk}/revoke/").status_code == 302
    assert tokens.find(token) is None
    assert "already" in admin_client.post(f"/tokens/{row.pk}/revoke/", follow=True).text


def test_visitors_have_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/tokens/").status_code == 302


def test_the_command_prints_a_token_that_works(
    user: User, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("create_token", "reader", "script", "--days", "7")
    row = tokens.find(capsys.readouterr().out.strip())
    assert row
    assert (row.scope, row.expires_at is not None) == ("read", True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nobody", "x"],
        ["reader", " "],
        ["reader", "x", "--scope", "admin"],
        ["reader", "x", "--days", "-1"],
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
