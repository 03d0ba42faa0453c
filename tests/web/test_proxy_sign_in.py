"""A trusted proxy's header signs people in; from anybody else it is ignored."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import ExternalIdentity, LogEntry, UserSession
from discovery.services.access import external_accounts, proxy_header
from tests.support.page_text import page_text

PROXY = "10.1.0.5"


@pytest.fixture(autouse=True)
def switched_on(settings: Any, db: None) -> None:
    settings.PROXY_USER_HEADER, settings.PROXY_GROUPS_HEADER = "Remote-User", "Remote-Groups"
    settings.PROXY_ADDRESSES = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    settings.SIGN_IN_GROUPS = {"editors": ("Editors",)}
    proxy_header._told.clear()


def named(user: str = "ada", groups: str = "", **more: Any) -> dict[str, Any]:
    sent = {"headers": {"Remote-User": user}, "REMOTE_ADDR": PROXY, **more}
    if groups:
        sent["headers"]["Remote-Groups"] = groups
    return sent


def groups() -> set[str]:
    return set(User.objects.get(username="ada").groups.values_list("name", flat=True))


def test_whom_the_proxy_names_is_signed_in_with_the_roles_that_it_names(client: Client) -> None:
    response = client.get("/models/", **named(groups="football, editors"))
    assert response.status_code == 200
    assert response.wsgi_request.user.username == "ada"
    assert groups() == {"Editors"}
    assert not User.objects.get(username="ada").has_usable_password()
    assert client.get("/login/", **named(groups="football, editors"))["Location"] == "/"

    client.get("/models/", **named(groups="football"))
    assert groups() == set(), "the proxy no longer says so"
    assert UserSession.objects.count() == 1
    assert User.objects.count() == 1


def test_accounts_are_looked_up_only_when_the_headers_say_something_new(client: Client) -> None:
    client.get("/tags/", **named(groups="editors"))
    with patch.object(external_accounts, "admit") as admit:
        assert client.get("/tags/", **named(groups="editors")).status_code == 200
    admit.assert_not_called()


@pytest.mark.parametrize(
    "peer", ["192.0.2.7", "127.0.0.1", "10.2.0.1", "", "unix:", "::1", "not-an-address"]
)
def test_from_anybody_else_the_header_is_ignored_and_told_once(peer: str, client: Client) -> None:
    sent = {**named(), "REMOTE_ADDR": peer}
    sent["headers"]["X-Forwarded-For"] = PROXY
    for _ in range(3):
        assert client.get("/models/", **sent)["Location"].startswith("/login/")
    assert not User.objects.exists()
    told = LogEntry.objects.get()
    assert "is ignored: KAREN_PROXY_ADDRESSES does not name that address." in told.message
    assert (peer or "an unknown address") in told.message


def test_the_address_of_the_connection_counts_and_not_the_one_behind_proxies(
    client: Client, settings: Any
) -> None:
    settings.API_PROXIES = 1
    sent = named()
    sent["headers"]["X-Forwarded-For"] = "192.0.2.7"
    assert client.get("/models/", **sent).status_code == 200
    stranger = {**named(), "REMOTE_ADDR": "192.0.2.7"}
    stranger["headers"]["X-Forwarded-For"] = PROXY
    assert Client().get("/models/", **stranger).status_code == 302


@pytest.mark.parametrize("peer", ["::ffff:10.1.0.5", "fd00::5"])
def test_addresses_of_both_kinds_are_known(peer: str, client: Client) -> None:
    assert client.get("/models/", **{**named(), "REMOTE_ADDR": peer}).status_code == 200


def test_without_addresses_or_a_header_it_is_off(client: Client, settings: Any) -> None:
    settings.PROXY_ADDRESSES = []
    assert client.get("/models/", **named()).status_code == 302
    settings.PROXY_ADDRESSES, settings.PROXY_USER_HEADER = [ip_network("10.1.0.0/16")], ""
    assert client.get("/models/", **named()).status_code == 302
    assert not User.objects.exists()


def test_a_session_ends_with_the_header_and_with_another_name(client: Client) -> None:
    client.get("/models/", **named())
    assert client.get("/models/").status_code == 302, "past the proxy the cookie is worth nothing"
    client.get("/models/", **named())
    response = client.get("/models/", **named("grace"))
    assert response.wsgi_request.user.username == "grace"
    assert ExternalIdentity.objects.count() == 2


def test_a_session_with_a_password_stays_without_the_proxy(client: Client) -> None:
    client.force_login(User.objects.create_user("root"))
    assert client.get("/models/").status_code == 200


def test_an_account_that_is_here_already_is_not_taken_over_and_the_page_says_so(
    client: Client, settings: Any
) -> None:
    ada = User.objects.create_user("ada", password="a-long-password")
    response = client.get("/models/", **named(), follow=True)
    assert "There is already an account ada here" in page_text(response)
    assert client.get("/models/", **named()).status_code == 302
    settings.SIGN_IN_MATCH = "username"
    assert client.get("/models/", **named()).wsgi_request.user == ada


def test_whoever_is_deactivated_is_out_at_once(client: Client) -> None:
    client.get("/models/", **named())
    User.objects.update(is_active=False)
    response = client.get("/models/", **named(), follow=True)
    assert "The account ada is deactivated" in page_text(response)


@pytest.mark.parametrize("name", ["ada,root", "a b", "x" * 151, "<script>"])
def test_a_name_that_cannot_be_one_is_refused(name: str, client: Client) -> None:
    response = client.get("/models/", **named(name), follow=True)
    assert "cannot be a username here" in page_text(response)
    assert not User.objects.exists()


def test_names_beyond_ascii_are_read_as_utf_8(client: Client) -> None:
    sent = named("Åsa".encode().decode("latin-1"))
    assert client.get("/models/", **sent).wsgi_request.user.username == "Åsa"


def test_the_api_signs_nobody_in_and_takes_a_session_only_with_its_header(client: Client) -> None:
    assert client.get("/api/models/discovery/scans", **named()).status_code == 401
    assert not User.objects.exists()
    assert not UserSession.objects.exists()
    client.get("/models/", **named())
    history = "/api/collections"
    assert client.get(history, **named()).status_code == 200
    assert client.get(history, **named("grace")).status_code == 401
    assert client.get(history).status_code == 401


def test_signing_out_leads_to_the_proxy_s_own_page_where_it_is_known(
    client: Client, settings: Any
) -> None:
    client.get("/models/", **named())
    assert client.post("/logout/", **named())["Location"] == "/login/"
    settings.PROXY_SIGN_OUT_URL = "/oauth2/sign_out"
    client.get("/models/", **named())
    assert client.post("/logout/", **named())["Location"] == "/oauth2/sign_out"
    assert not UserSession.objects.filter(user_id__isnull=False).exists()
    client.force_login(User.objects.create_user("root"))
    assert client.post("/logout/")["Location"] == "/login/"
