"""The Account page: a new password, and what one may do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import Right
from tests.people import permit
from tests.support.page_text import page_text

OLD, NEW = "reader", "correct horse battery"


def send(client: Client, old: str, new: str, again: str | None = None) -> tuple[int, str]:
    response = client.post(
        "/account/",
        {
            "old_password": old,
            "new_password1": new,
            "new_password2": new if again is None else again,
        },
    )
    return response.status_code, page_text(response)


def test_everybody_reaches_it_from_their_name(reader_client: Client) -> None:
    assert 'href="/account/"' in page_text(reader_client.get("/models/"))
    html = page_text(reader_client.get("/account/"))
    assert "Change the password" in html
    assert "at least 8 characters" in html
    assert "See the models that are public or granted to their groups." in html


def test_a_new_password_signs_out_everywhere_else(user: User, client: Client) -> None:
    elsewhere = Client()
    for one in (client, elsewhere):
        one.login(username="reader", password=OLD)
    assert send(client, OLD, NEW)[0] == 302
    assert client.get("/models/").status_code == 200
    assert elsewhere.get("/models/").status_code == 302
    user.refresh_from_db()
    assert user.check_password(NEW)


@pytest.mark.parametrize(
    ("new", "again", "why"),
    [
        ("short", "short", "too short"),
        ("password123", "password123", "too common"),
        ("reader12", "reader12", "too similar to the username"),
        (NEW, "other", "didn’t match"),
        ("", "", "required"),
    ],
)
def test_what_is_wrong_stands_beside_the_field_and_nothing_changes(
    new: str, again: str, why: str, user: User, reader_client: Client
) -> None:
    status, html = send(reader_client, OLD, new, again)
    assert status == 422
    assert why in html
    assert 'aria-invalid="true"' in html
    user.refresh_from_db()
    assert user.check_password(OLD)


def test_no_password_is_sent_back(reader_client: Client) -> None:
    html = send(reader_client, "wrong-old-secret", "new-secret-1", "new-secret-2")[1]
    assert "secret" not in html.replace("karen", "")


def test_the_old_password_is_guessed_as_slowly_as_on_the_sign_in_page(
    user: User, reader_client: Client
) -> None:
    statuses = [send(reader_client, f"wrong-{number}", NEW)[0] for number in range(7)]
    assert statuses == [422] * 5 + [429] * 2
    assert send(reader_client, OLD, NEW)[0] == 429
    user.refresh_from_db()
    assert user.check_password(OLD)


def test_it_says_what_somebody_may_do(user: User, client: Client) -> None:
    client.force_login(permit(user, Right.SCAN, Right.GRANT))
    html = page_text(client.get("/account/"))
    assert "Can start and stop scans" in html
    assert "Can set who sees a model" in html
    assert "Can change the rules" not in html


def test_visitors_sign_in_first(db: None, client: Client) -> None:
    assert client.get("/account/")["Location"].startswith("/login/")


def test_djangos_own_page_leads_here(admin_client: Client) -> None:
    for address in ("/admin/password_change/", "/admin/password_change/done/"):
        assert admin_client.get(address)["Location"] == "/account/"
