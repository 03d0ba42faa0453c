"""``manage.py check``: what is misconfigured about sign-in from elsewhere, one sentence each."""

from __future__ import annotations

from io import StringIO
from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.core.management import call_command

from discovery import checks as ours
from discovery.services.access import elsewhere

WHOLE = {
    "OIDC_ISSUER": "https://id.example.org/realms/main",
    "OIDC_CLIENT_ID": "karen",
    "OIDC_CLIENT_SECRET": "secret-of-the-test",
}
HEADER, PEERS = {"PROXY_USER_HEADER": "Remote-User"}, {"PROXY_ADDRESSES": [ip_network("10.1.0.5")]}


def told(settings: Any, **given: Any) -> list[str]:
    for name, value in given.items():
        setattr(settings, name, value)
    found = [*elsewhere.errors(), *elsewhere.warnings()]
    assert not [text for text in found if "secret-of-the-test" in text]
    return found


def test_what_is_off_and_what_is_whole_are_fine(settings: Any, db: None) -> None:
    assert told(settings) == []
    assert not elsewhere.provider_is_on()
    assert told(settings, **WHOLE, **HEADER, **PEERS, SIGN_IN_LOCAL=False) == []
    assert elsewhere.provider_is_on()


@pytest.mark.parametrize("missing", WHOLE)
def test_half_a_configuration_names_what_is_missing(missing: str, settings: Any, db: None) -> None:
    [text] = told(settings, **{**WHOLE, missing: ""})
    assert f"KAREN_{missing} is not set" in text
    assert not elsewhere.provider_is_on()


ISSUERS = [
    ("http://id.example.org", "use https://"),
    ("http://127.0.0.1.example.org", "use https://"),
    ("id.example.org", "is not an address"),
    ("ftp://id.example.org", "is not an address"),
    ("https://", "is not an address"),
    ("https://id.example.org:x", "is not an address"),
    ("https://id.example.org/" + "x" * 200, "is not an address"),
    ("https://id.example.org/.well-known/openid-configuration", "leave out"),
    ("https://id.example.org/?a=b", "leave out"),
    ("https://me:pass@id.example.org/", "leave out"),
]


@pytest.mark.parametrize(("issuer", "said"), ISSUERS)
def test_an_issuer_that_cannot_be_one_is_refused(
    issuer: str, said: str, settings: Any, db: None
) -> None:
    [text] = told(settings, **{**WHOLE, "OIDC_ISSUER": issuer})
    assert said in text
    assert not elsewhere.provider_is_on()


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]", "id.localhost"])
def test_loopback_needs_no_tls(host: str, settings: Any, db: None) -> None:
    assert told(settings, **{**WHOLE, "OIDC_ISSUER": f"http://{host}/realms/main"}) == []


def test_a_missing_extra_is_one_sentence_that_names_it(settings: Any, db: None) -> None:
    [text] = told(settings, **WHOLE, OIDC_INSTALLED=False)
    assert 'pip install -e ".[oidc]"' in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (HEADER, "set KAREN_PROXY_ADDRESSES"),
        (PEERS, "set KAREN_PROXY_USER_HEADER"),
        ({"PROXY_GROUPS_HEADER": "Remote-Groups"}, "but KAREN_PROXY_USER_HEADER is not"),
        ({**HEADER, "PROXY_ADDRESSES": [ip_network("0.0.0.0/0")]}, "which is everybody"),
        ({**WHOLE, "OIDC_SCOPES": ["profile"]}, "lacks openid"),
        ({"SIGN_IN_LOCAL": False}, "only superusers can sign in"),
        (
            {**WHOLE, "OIDC_GROUPS_CLAIM": "", "SIGN_IN_GROUPS": {"a": ("Editors",)}},
            "KAREN_OIDC_GROUPS_CLAIM is empty",
        ),
        ({**WHOLE, "SIGN_IN_GROUPS": {"a": ("Nobody's",)}}, "“Nobody's”, which does not exist"),
    ],
)
def test_what_cannot_work_is_told(
    given: dict[str, Any], said: str, settings: Any, db: None
) -> None:
    [text] = told(settings, **given)
    assert said in text


def test_cookies_that_are_not_secure_are_told_for_deployment(settings: Any, db: None) -> None:
    told(settings, **WHOLE)
    assert "no https:// address" in next(elsewhere.deployment_warnings())
    settings.SESSION_COOKIE_SECURE = True
    assert [*elsewhere.deployment_warnings()] == []


def test_the_checks_are_django_s(settings: Any, db: None) -> None:
    settings.OIDC_CLIENT_ID, settings.SIGN_IN_LOCAL = "karen", False
    found = {(row.id, row.level) for row in ours.sign_in_from_elsewhere()}
    assert found == {("discovery.W009", checks.WARNING), ("discovery.W006", checks.WARNING)}
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check", stderr=output)
    assert ended.value.code == 1
    assert "KAREN_OIDC_ISSUER and KAREN_OIDC_CLIENT_SECRET are not set" in output.getvalue()


def test_a_broken_configuration_stops_no_emergency_access(settings: Any, db: None) -> None:
    settings.OIDC_CLIENT_ID, settings.SIGN_IN_LOCAL = "karen", False
    User.objects.create_superuser("root")
    output = StringIO()
    call_command("reset_password", "root", stdout=output)
    assert "/set-password/" in output.getvalue()
    assert not [row for row in checks.run_checks() if row.is_serious()], "commands would stop"


def test_what_is_for_deployment_is_told_there(settings: Any, db: None) -> None:
    told(settings, **WHOLE)
    assert [row.id for row in ours.sign_in_from_elsewhere_deployed()] == ["discovery.W007"]
