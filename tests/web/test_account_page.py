"""The Account page: a new password, and what one may do."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from discovery.models import Profile, Right, UserSession
from discovery.services.access import signed_in
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
    assert "Change password" in html
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


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_sessions_are_listed_and_all_but_this_one_end(user: User, client: Client) -> None:
    other = Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR="10.0.0.7")
    other.post("/login/", {"username": "reader", "password": OLD})
    client.login(username="reader", password=OLD)
    stranger = Client()
    stranger.force_login(User.objects.create_user("stranger"))
    html = page_text(client.get("/account/"))
    assert "Firefox on Linux" in html
    assert "10.0.0.7" in html
    assert html.count("This session") == 1
    assert "1 other session ended." in page_text(client.post("/account/sessions/end/", follow=True))
    assert client.get("/models/").status_code == 200
    assert other.get("/models/").status_code == 302
    assert stranger.get("/models/").status_code == 200
    assert "Sign out all other sessions" not in page_text(client.get("/account/"))


def test_a_session_ends_with_its_browser_and_knows_whose_it_is(user: User, client: Client) -> None:
    client.login(username="reader", password=OLD)
    assert UserSession.objects.get().user_id == user.pk
    send(client, OLD, NEW)
    assert UserSession.objects.get().user_id == user.pk
    client.post("/logout/")
    assert not UserSession.objects.filter(user_id=user.pk).exists()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537.36 Edg/140", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; like Mac OS X) Version/18 Safari/604", "Safari on iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
        ("x" * 500, "x" * 60),
    ],
)
def test_browsers_are_told_by_what_they_say(agent: str, name: str) -> None:
    assert signed_in.browser(agent) == name


def test_times_are_shown_in_the_zone_that_somebody_chose(user: User, client: Client) -> None:
    Profile.objects.create(user=user, time_zone="Asia/Kathmandu")
    client.force_login(user)
    began = signed_in.places(user, None)[0].began
    assert began is not None
    there = began.astimezone(ZoneInfo("Asia/Kathmandu"))
    assert f"{there:%H:%M}" in page_text(client.get("/account/"))
    Profile.objects.update(time_zone="Nowhere/City")
    assert f"{began:%H:%M}" in page_text(client.get("/account/"))


def test_preferences_are_saved_and_hold_from_then_on(user: User, client: Client) -> None:
    client.force_login(user)
    sent = {"time_zone": "Europe/Berlin", "theme": "dark", "start_page": "models"}
    assert client.post("/account/preferences/", sent)["Location"] == "/account/"
    html = page_text(client.get("/models/"))
    assert 'data-theme="dark"' in html
    assert 'name="color-scheme" content="dark"' in html
    fresh = Client()
    response = fresh.post("/login/", {"username": "reader", "password": OLD})
    assert response["Location"] == "/models/"
    asked = fresh.post("/logout/") and fresh.post(
        "/login/?next=/tags/", {"username": "reader", "password": OLD, "next": "/tags/"}
    )
    assert asked["Location"] == "/tags/"


@pytest.mark.parametrize(
    "sent",
    [
        {"time_zone": "Mars/Olympus", "theme": "dark", "start_page": ""},
        {"time_zone": "", "theme": "neon", "start_page": ""},
        {"time_zone": "", "theme": "dark", "start_page": "admin:index"},
    ],
)
def test_preferences_that_cannot_be_are_refused(
    sent: dict[str, str], user: User, client: Client
) -> None:
    client.force_login(user)
    response = client.post("/account/preferences/", sent)
    assert response.status_code == 422
    assert "Select a valid choice" in page_text(response)
    profile = Profile.objects.get(user=user)
    assert (profile.time_zone, profile.theme, profile.start_page) == ("", "system", "")


def test_a_start_page_that_one_may_not_open_any_more_is_the_overview(
    user: User, client: Client
) -> None:
    Profile.objects.create(user=user, start_page="scans")
    response = client.post("/login/", {"username": "reader", "password": OLD})
    assert response["Location"] == "/"


def test_a_page_asks_for_preferences_together_with_the_account(user: User, client: Client) -> None:
    client.force_login(user)
    with CaptureQueriesContext(connection) as asked:
        client.get("/tags/")
    about = [each["sql"] for each in asked if "discovery_profile" in each["sql"]]
    assert len(about) == 1
    assert "auth_user" in about[0]
