"""Signing in through an OpenID Connect provider that runs on loopback: everything that it says
goes over HTTP, and what is wrong with it is a sentence on the sign-in page.
"""

from __future__ import annotations

import html
import logging
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django.urls import get_resolver

from discovery.models import AccountChange, ExternalIdentity, LogEntry, UserSession, roles
from discovery.services.access import external_accounts
from discovery.web import openid
from tests.support.openid_provider import CLIENT, SECRET, OpenIdProvider, configure, running
from tests.support.page_text import page_text

BEGIN, BACK = "/login/provider/", "/login/provider/callback/"


@pytest.fixture(scope="module")
def _server() -> Iterator[OpenIdProvider]:
    with running() as provider:
        yield provider


@pytest.fixture
def provider(_server: OpenIdProvider, settings: Any, db: None) -> OpenIdProvider:
    _server.reset()
    cache.clear()
    configure(settings, _server)
    settings.SIGN_IN_GROUPS = {"model-editors": ("Editors",), "ops": ("Registry administrators",)}
    return _server


def there_and_back(client: Client, to: str = BEGIN) -> str:
    """To the provider and to the address that it sends a browser back to."""
    begun = client.get(to)
    assert begun.status_code == 302, begun.content
    assert begun["Location"].startswith("http://127.0.0.1:"), begun["Location"]
    sent = requests.get(begun["Location"], allow_redirects=False, timeout=30)
    back = urlsplit(sent.headers["Location"])
    assert f"{back.scheme}://{back.netloc}" == "http://testserver"
    return f"{back.path}?{back.query}"


def sign_in(client: Client, to: str = BEGIN) -> Any:
    """The page that somebody is on in the end."""
    return client.get(there_and_back(client, to), follow=True)


def person(client: Client) -> User | None:
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key) if key else None


def fault(response: Any) -> str:
    """What the sign-in page says is wrong."""
    assert response.status_code == 200
    assert response.wsgi_request.path == "/login/"
    found = re.search(r'id="sign-in-fault">([^<]+)<', page_text(response))
    assert found, page_text(response)
    return html.unescape(found[1])


def groups(name: str = "ada") -> set[str]:
    return set(User.objects.get(username=name).groups.values_list("name", flat=True))


def test_somebody_is_signed_in_with_the_right_role_and_loses_it_when_the_provider_takes_it_away(
    provider: OpenIdProvider, client: Client
) -> None:
    provider.claims |= {"groups": ["model-editors", "football"], "given_name": "Ada"}
    provider.claims |= {"email": "ada@example.org", "email_verified": True}
    response = sign_in(client)
    assert response.wsgi_request.path == "/"
    ada = person(client)
    assert ada is not None
    assert (ada.username, ada.first_name, ada.email) == ("ada", "Ada", "ada@example.org")
    assert groups() == {"Editors"}
    assert ada.has_perms(roles.EDITOR.rights)
    assert not ada.has_usable_password()
    assert not ada.is_staff
    assert not ada.is_superuser

    provider.claims["groups"] = []
    sign_in(Client())
    assert groups() == set()
    assert User.objects.filter(username="ada").count() == 1
    texts = AccountChange.objects.filter(key=ada.pk).values_list("text", "by")
    assert ("put ada into the group Editors", "Sign-in provider") in texts
    assert ("took ada out of the group Editors", "Sign-in provider") in texts


def test_the_address_of_the_page_that_somebody_wanted_is_kept(
    provider: OpenIdProvider, client: Client
) -> None:
    page = page_text(client.get("/login/?next=/models/%3Fsearch%3Dx"))
    link = re.search(r'href="(/login/provider/[^"]*)"', page)
    assert link
    assert sign_in(client, link[1]).wsgi_request.get_full_path() == "/models/?search=x"


@pytest.mark.parametrize("next_url", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_no_other_site_is_led_to(next_url: str, provider: OpenIdProvider, client: Client) -> None:
    response = client.get(BEGIN, {"next": next_url})
    assert "evil" not in response["Location"]
    requests.get(response["Location"], allow_redirects=False, timeout=30)
    assert sign_in(client).wsgi_request.path == "/"
    assert client.get(BEGIN, {"next": next_url})["Location"] == "/"


def test_the_request_holds_state_nonce_and_pkce_and_nothing_that_a_visitor_adds(
    provider: OpenIdProvider, client: Client
) -> None:
    response = client.get(f"{BEGIN}?scope=admin&auth_params=prompt%3Dnone&process=connect")
    sent = {name: one for name, [one] in parse_qs(urlsplit(response["Location"]).query).items()}
    assert sent.pop("redirect_uri") == f"http://testserver{BACK}"
    assert set(sent.pop("scope").split()) == {"openid", "profile", "email"}
    assert len(sent.pop("state")) >= 16
    assert len(sent.pop("nonce")) >= 40
    assert len(sent.pop("code_challenge")) >= 40
    assert sent == {
        "client_id": CLIENT,
        "response_type": "code",
        "code_challenge_method": "S256",
    }


WRONG_TOKENS: list[tuple[dict[str, Any], str]] = [
    ({"nonce": "another"}, "not made for this sign-in"),
    ({"nonce": None}, "not made for this sign-in"),
    ({"iss": "https://evil.example"}, "another provider made it"),
    ({"aud": "another-application"}, "for another application"),
    ({"aud": [CLIENT, "another-application"]}, "for another application"),
    ({"azp": "another-application"}, "for another application"),
    ({"exp": 1}, "it has expired"),
    ({"iat": int(time.time()) + 9_000}, "from the future"),
    ({"exp": None}, "lacks a part"),
    ({"sub": None}, "lacks a part"),
    ({"sub": 7}, "not readable"),
]


@pytest.mark.parametrize(("token", "said"), WRONG_TOKENS)
def test_a_token_that_is_wrong_is_refused(
    token: dict[str, Any], said: str, provider: OpenIdProvider, client: Client
) -> None:
    provider.token = token
    assert said in fault(sign_in(client))
    assert person(client) is None
    assert not User.objects.exists()


def test_a_token_that_somebody_else_signed_is_refused(
    provider: OpenIdProvider, client: Client
) -> None:
    provider.signing_key = ec.generate_private_key(ec.SECP256R1())
    assert "its signature is wrong" in fault(sign_in(client))
    provider.kid = "unknown"
    assert "its signature is wrong" in fault(sign_in(client))


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("none", None), ("HS256", SECRET * 4)],
)
def test_a_token_without_a_signature_of_the_provider_s_own_is_refused(
    algorithm: str, key: Any, provider: OpenIdProvider, client: Client
) -> None:
    provider.algorithm, provider.signing_key = algorithm, key
    assert "not signed with a key of the provider" in fault(sign_in(client))
    assert person(client) is None


def test_rsa_and_keys_without_an_id_are_fine(provider: OpenIdProvider, client: Client) -> None:
    provider.kid = ""
    sign_in(client)
    assert person(client) is not None


def test_a_state_counts_once_and_in_the_browser_that_began(
    provider: OpenIdProvider, client: Client
) -> None:
    back = there_and_back(client)
    stranger = Client()
    assert fault(stranger.get(back, follow=True)) == openid.STALE
    assert client.get(back, follow=True).wsgi_request.path == "/"
    client.logout()
    assert fault(client.get(back, follow=True)) == openid.STALE
    assert fault(client.get(BACK, follow=True)) == openid.STALE
    assert fault(client.get(f"{BACK}?code=x&state=wrong", follow=True)) == openid.STALE


def test_the_code_of_somebody_else_does_not_sign_a_victim_in_as_them(
    provider: OpenIdProvider, client: Client
) -> None:
    code = parse_qs(urlsplit(there_and_back(Client())).query)["code"][0]
    mine = urlsplit(there_and_back(client))
    state = parse_qs(mine.query)["state"][0]
    response = client.get(f"{mine.path}?code={code}&state={state}", follow=True)
    assert fault(response) == openid.STALE  # PKCE: the code belongs to another browser
    assert person(client) is None


def test_a_provider_that_is_down_is_a_sentence(
    provider: OpenIdProvider, client: Client, settings: Any
) -> None:
    back = there_and_back(client)
    provider.answers["/token"] = (503, "away")
    assert fault(client.get(back, follow=True)) == openid.AWAY
    provider.answers = {"/.well-known/openid-configuration": (502, "<h1>Bad gateway")}
    assert fault(client.get(BEGIN, follow=True)) == openid.AWAY
    provider.answers = {"/keys": (503, "")}
    assert fault(sign_in(client)) == openid.AWAY
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    assert fault(client.get(BEGIN, follow=True)) == openid.AWAY
    response = client.get(f"{BEGIN}?next=/tags/", follow=True)
    assert response.wsgi_request.GET["next"] == "/tags/"


STRANGE_ANSWERS: list[tuple[str, int, str]] = [
    ("/.well-known/openid-configuration", 404, "{}"),
    ("/.well-known/openid-configuration", 200, "<html>"),
    ("/.well-known/openid-configuration", 200, "[]"),
    ("/token", 200, "[1]"),
    ("/token", 200, '"access_token"'),
    ("/token", 500, "Traceback"),
    ("/keys", 200, "[]"),
    ("/userinfo", 200, "a.b.c"),
]


@pytest.mark.parametrize(("path", "status", "body"), STRANGE_ANSWERS)
def test_an_answer_that_is_not_understood_is_a_sentence(
    path: str, status: int, body: str, provider: OpenIdProvider, client: Client
) -> None:
    provider.answers[path] = (status, body)
    begun = client.get(BEGIN, follow=False)
    response = client.get("/login/") if begun["Location"] == "/login/" else sign_in(client)
    assert fault(response) in (openid.STRANGE, openid.AWAY)
    assert person(client) is None


@pytest.mark.parametrize("body", ['{"keys": []}', '{"keys": [1, {"kty": "EC"}]}', '{"keys": 1}'])
def test_keys_that_are_none_of_the_token_s_are_a_wrong_signature(
    body: str, provider: OpenIdProvider, client: Client
) -> None:
    provider.answers["/keys"] = (200, body)
    assert "its signature is wrong" in fault(sign_in(client))


DOCUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"issuer": "https://evil.example"}, "another name than KAREN_OIDC_ISSUER"),
    ({"token_endpoint": "http://evil.example/token"}, openid.STRANGE),
    ({"jwks_uri": None}, openid.STRANGE),
    ({"authorization_endpoint": "javascript:alert(1)"}, openid.STRANGE),
]


@pytest.mark.parametrize(("document", "said"), DOCUMENTS)
def test_a_discovery_document_that_leads_elsewhere_is_not_followed(
    document: dict[str, Any], said: str, provider: OpenIdProvider, client: Client
) -> None:
    provider.document = document
    assert said in fault(client.get(BEGIN, follow=True))


def test_a_wrong_secret_a_refusal_and_a_cancelled_sign_in_are_sentences(
    provider: OpenIdProvider, client: Client
) -> None:
    provider.secret = "changed"
    assert fault(sign_in(client)) == openid.BAD_CLIENT
    provider.error = "access_denied"
    assert fault(sign_in(client)) == openid.CANCELLED
    provider.error = "temporarily_unavailable"
    assert fault(sign_in(client)) == openid.NOT_ALLOWED


def test_nothing_secret_is_in_pages_or_logs(
    provider: OpenIdProvider, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.secret = "changed"
    back = there_and_back(client)
    code = parse_qs(urlsplit(back).query)["code"][0]
    response = client.get(back, follow=True)
    provider.reset()
    provider.token = {"aud": "x"}
    second = sign_in(client)
    logs = "\n".join([*LogEntry.objects.values_list("message", flat=True)])
    assert "A sign-in through the provider failed" in logs
    # What urllib3 says at DEBUG is not shown: the root logger begins at WARNING.
    heard = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    for text in (logs, *heard, page_text(response), page_text(second)):
        for secret in (SECRET, code, "an-access-token", "Traceback"):
            assert secret not in text


def test_the_same_failure_is_told_once_a_minute(provider: OpenIdProvider, client: Client) -> None:
    for _ in range(5):
        client.get(f"{BACK}?state=of-the-test", follow=True)
    assert LogEntry.objects.filter(message__contains="A sign-in through the provider").count() == 1


def test_userinfo_says_what_the_token_does_not_and_only_about_the_same_person(
    provider: OpenIdProvider, client: Client
) -> None:
    provider.claims |= {"groups": ["model-editors"]}
    provider.token = {"groups": None, "preferred_username": None}
    sign_in(client)
    assert groups() == {"Editors"}
    provider.userinfo = {"sub": "somebody-else"}
    other = Client()
    assert "about somebody else" in fault(sign_in(other))
    assert person(other) is None


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["model-editors"]}}),
        ("https://example.org/groups", {"https://example.org/groups": ["model-editors"]}),
        ("role", {"role": "model-editors"}),
    ],
)
def test_groups_are_in_the_claim_that_is_configured(
    name: str, claims: dict[str, Any], provider: OpenIdProvider, client: Client, settings: Any
) -> None:
    settings.OIDC_GROUPS_CLAIM = name
    provider.claims |= claims
    sign_in(client)
    assert groups() == {"Editors"}


@pytest.mark.parametrize("sent", [None, 7, {"a": 1}, [1, None, ["x"]], ["x" * 5000, "\0"]])
def test_groups_that_are_none_give_none(
    sent: Any, provider: OpenIdProvider, client: Client, settings: Any
) -> None:
    settings.SIGN_IN_UNKNOWN_GROUPS = "create"
    provider.claims["groups"] = sent
    sign_in(client)
    assert groups() == set()


def test_more_groups_than_a_provider_sends_change_nothing(
    provider: OpenIdProvider, client: Client
) -> None:
    provider.claims["groups"] = ["model-editors"]
    sign_in(client)
    provider.claims |= {"groups": None, "_claim_names": {"groups": "src1"}}
    assert fault(sign_in(Client())) == openid.TOO_MANY_GROUPS
    assert groups() == {"Editors"}


def test_whoever_is_in_no_group_may_be_kept_out(
    provider: OpenIdProvider, client: Client, settings: Any
) -> None:
    settings.SIGN_IN_REQUIRE_GROUP = True
    assert "none of the groups that may sign in" in fault(sign_in(client))
    assert not User.objects.exists()


def test_an_account_that_is_here_already_is_not_taken_over(
    provider: OpenIdProvider, client: Client
) -> None:
    User.objects.create_user("ada", "ada@example.org", "a-long-password")
    provider.claims |= {"email": "ada@example.org", "email_verified": True}
    assert "already an account ada here" in fault(sign_in(client))
    provider.claims["preferred_username"] = "ADA"
    assert "already an account ADA here" in fault(sign_in(client))
    assert person(client) is None


def test_signing_out_and_the_list_of_sessions_work(
    provider: OpenIdProvider, client: Client
) -> None:
    client.defaults["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
    sign_in(client)
    text = page_text(client.get("/account/"))
    assert "Firefox on Linux" in text
    assert "signs you in" in text
    other = Client()
    sign_in(other)
    client.post("/account/sessions/end/")
    assert other.get("/models/").status_code == 302
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/models/").status_code == 302
    assert not UserSession.objects.filter(user_id__isnull=False).exists()


def test_the_session_key_is_another_one_after_signing_in(
    provider: OpenIdProvider, client: Client
) -> None:
    back = there_and_back(client)
    before = client.session.session_key
    client.get(back)
    assert client.session.session_key != before


def test_wrong_passwords_do_not_keep_anybody_from_the_provider(
    provider: OpenIdProvider, client: Client
) -> None:
    sign_in(client)
    client.logout()
    for number in range(7):
        client.post("/login/", {"username": "ada", "password": f"wrong-{number}"})
    assert client.post("/login/", {"username": "ada", "password": "x"}).status_code == 429
    sign_in(client)
    assert person(client) is not None


def test_whoever_is_signed_in_is_led_on(provider: OpenIdProvider, client: Client) -> None:
    sign_in(client)
    assert client.get(BEGIN)["Location"] == "/"
    assert client.get(f"{BEGIN}?next=/tags/")["Location"] == "/tags/"


def test_without_a_provider_its_addresses_do_not_exist(
    db: None, client: Client, settings: Any
) -> None:
    for path in (BEGIN, BACK):
        assert client.get(path).status_code == 404
    assert "login/provider" not in page_text(client.get("/login/"))
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = "https://id.example.org", "karen"
    assert client.get(BEGIN).status_code == 404, "half a configuration is none"


@pytest.mark.parametrize("who", ["anybody", "viewer", "staff", "superuser"])
def test_each_role_and_method_at_the_addresses_of_the_provider(
    who: str, provider: OpenIdProvider, client: Client
) -> None:
    if who != "anybody":
        ranks = {"is_staff": who != "viewer", "is_superuser": who == "superuser"}
        client.force_login(User.objects.create_user(who, **ranks))
    there = client.get(BEGIN)["Location"]
    assert there.startswith(provider.issuer) if who == "anybody" else there == "/"
    assert client.get(BACK)["Location"] == "/login/"
    for path in (BEGIN, BACK):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert client.generic(method, path).status_code == 405
    assert not User.objects.exclude(username=who).exists()


def test_no_address_of_allauth_is_reachable(provider: OpenIdProvider, admin_client: Client) -> None:
    names = [str(name) for name in get_resolver().reverse_dict if isinstance(name, str)]
    assert not [name for name in names if name.startswith(("account_", "socialaccount_"))]
    for path in ("accounts/login/", "accounts/signup/", "accounts/email/", "oidc/x/login/",
                 "admin/socialaccount/socialapp/", "admin/account/emailaddress/"):  # fmt: skip
        assert admin_client.get(f"/{path}").status_code in (302, 404), path
    assert "socialaccount" not in page_text(admin_client.get("/admin/"))


def test_the_content_policy_of_the_sign_in_page_stays_as_it_is_everywhere(
    provider: OpenIdProvider, client: Client
) -> None:
    policy = client.get("/login/")["Content-Security-Policy"]
    assert "form-action 'self';" in f"{policy};"
    assert "127.0.0.1" not in policy


def test_two_people_of_two_providers_are_two_even_with_one_subject(
    provider: OpenIdProvider, client: Client
) -> None:
    sign_in(client)
    ExternalIdentity.objects.update(issuer="https://of-before.example")
    assert "already an account ada" in fault(sign_in(Client()))


class TestWithoutPasswords:
    @pytest.fixture(autouse=True)
    def turned_off(self, provider: OpenIdProvider, settings: Any) -> None:
        settings.SIGN_IN_LOCAL = False
        User.objects.create_user("grace", password="a-long-password", is_staff=True)
        User.objects.create_superuser("root", password="a-long-password")

    @pytest.mark.parametrize("at", ["/login/", "/admin/login/"])
    def test_only_superusers_sign_in_with_one(self, at: str, client: Client) -> None:
        sent = {"username": "grace", "password": "a-long-password"}
        refused = client.post(at, sent)
        assert "Only superusers sign in with a password here." in page_text(refused)
        assert person(client) is None
        assert client.post(at, {**sent, "username": "root"}).status_code == 302
        assert person(client) is not None

    def test_the_page_shows_the_button_and_leads_to_the_password(self, client: Client) -> None:
        page = page_text(client.get("/login/?next=/tags/"))
        assert 'name="password"' not in page
        assert 'href="/login/provider/?next=%2Ftags%2F"' in page
        link = re.search(r'href="(/login/\?password[^"]*)"', page)
        assert link
        form = page_text(client.get(link[1].replace("&amp;", "&")))
        assert 'name="password"' in form
        assert 'name="next" value="/tags/"' in form


def test_claims_of_odd_kinds_are_read_as_nothing() -> None:
    assert openid.claim({"a": 1}, "a.b") is None
    assert openid.claim({"a": {"b": 2}}, "a.b") == 2
    assert openid.claim({"a.b": 3, "a": {"b": 2}}, "a.b") == 3
    assert external_accounts.text_of(7) == external_accounts.text_of("a\0b") == ""


def test_created_groups_hold_nothing_and_are_seen_in_the_history(
    provider: OpenIdProvider, client: Client, settings: Any
) -> None:
    settings.SIGN_IN_UNKNOWN_GROUPS = "create"
    provider.claims["groups"] = ["lab", "Registry administrators"]
    sign_in(client)
    assert groups() == {"lab"}, "a role is given by the map alone"
    assert not Group.objects.get(name="lab").permissions.exists()
