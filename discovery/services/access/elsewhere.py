"""What is configured of sign-in from elsewhere, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User

from discovery.services.access import external_groups, proxy_header

EXTRA = 'pip install -e ".[oidc]"'
_VARIABLES = {
    "KAREN_OIDC_ISSUER": "OIDC_ISSUER",
    "KAREN_OIDC_CLIENT_ID": "OIDC_CLIENT_ID",
    "KAREN_OIDC_CLIENT_SECRET": "OIDC_CLIENT_SECRET",
}
_LONGEST = 200


def provider_is_on() -> bool:
    """Whether people can sign in through the OpenID Connect provider."""
    return bool(
        all(getattr(settings, name) for name in _VARIABLES.values())
        and apps.is_installed("allauth.socialaccount")
        and not issuer_fault(settings.OIDC_ISSUER)
    )


def local_is_on() -> bool:
    """Whether everybody may sign in with a password; superusers always may."""
    return bool(settings.SIGN_IN_LOCAL)


def password_fault(person: User) -> str:
    """Why somebody may not sign in with their password; empty where they may."""
    if settings.SIGN_IN_LOCAL or person.is_superuser:
        return ""
    return "Only superusers sign in with a password here."


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_safe(url: str) -> bool:
    """Whether nobody on the way can read or change what is sent to this address."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )


def issuer_fault(issuer: str) -> str:
    """Why this cannot be the address of a provider; empty where it can."""
    try:
        parts = urlsplit(issuer)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or len(issuer) > _LONGEST
        _ = parts.port
    except ValueError:
        bad = True
    if bad:
        return (
            "KAREN_OIDC_ISSUER is not an address: write the issuer of the provider, like"
            " https://id.example.org/realms/main."
        )
    if parts.query or parts.fragment or "/.well-known/" in parts.path or parts.username:
        return (
            "KAREN_OIDC_ISSUER holds more than the issuer: leave out"
            " /.well-known/openid-configuration, user names, and what follows ? or #."
        )
    if not is_safe(issuer):
        return (
            f"KAREN_OIDC_ISSUER begins with http://: use https://, because whoever reads the"
            f" traffic to {parts.hostname} could sign in as anybody. Only loopback addresses may do"
            " without."
        )
    return ""


def errors() -> Iterator[str]:
    """What keeps sign-in from elsewhere from working as it is configured."""
    missing = [name for name, setting in _VARIABLES.items() if not getattr(settings, setting)]
    if missing and len(missing) < len(_VARIABLES):
        yield (
            f"Sign-in through OpenID Connect is off: {' and '.join(missing)}"
            f" {'is' if len(missing) == 1 else 'are'} not set."
        )
    if settings.OIDC_ISSUER and (fault := issuer_fault(settings.OIDC_ISSUER)):
        yield fault
    if not missing and not settings.OIDC_INSTALLED:
        yield (
            f"Sign-in through OpenID Connect is off, because its extra is not installed: {EXTRA}"
        )
    if not missing and "openid" not in settings.OIDC_SCOPES:
        yield "KAREN_OIDC_SCOPES lacks openid, without which a provider says nothing about people."
    if settings.PROXY_USER_HEADER and not settings.PROXY_ADDRESSES:
        yield (
            "Sign-in by a proxy's header is off: set KAREN_PROXY_ADDRESSES to the addresses of the"
            " proxies whose header is to be believed."
        )
    if settings.PROXY_ADDRESSES and not settings.PROXY_USER_HEADER:
        yield (
            "Sign-in by a proxy's header is off: set KAREN_PROXY_USER_HEADER to the header that"
            " names the user."
        )
    if settings.PROXY_GROUPS_HEADER and not settings.PROXY_USER_HEADER:
        yield "KAREN_PROXY_GROUPS_HEADER is set, but KAREN_PROXY_USER_HEADER is not."
    for network in settings.PROXY_ADDRESSES:
        if network.prefixlen == 0:
            yield (
                f"KAREN_PROXY_ADDRESSES holds {network}, which is everybody: whoever reaches the"
                " server could sign in as anybody. Name the proxies alone."
            )


def warnings() -> Iterator[str]:
    """What works, and hardly as it is meant."""
    on = provider_is_on() or proxy_header.is_on()
    if not settings.SIGN_IN_LOCAL and not on:
        yield (
            "KAREN_SIGN_IN_LOCAL is false, and neither a sign-in provider nor a proxy's header is"
            " in force: only superusers can sign in."
        )
    used = settings.SIGN_IN_GROUPS or settings.SIGN_IN_SUPERUSERS or settings.SIGN_IN_STAFF
    if used and provider_is_on() and not settings.OIDC_GROUPS_CLAIM:
        yield (
            "KAREN_OIDC_GROUPS_CLAIM is empty: the groups and statuses that KAREN_SIGN_IN_… names"
            " are given to nobody by the provider."
        )
    if on and settings.SIGN_IN_UNKNOWN_GROUPS == "ignore":
        for name in external_groups.missing():
            yield (
                f"KAREN_SIGN_IN_GROUPS names the group “{name}”, which does not exist: create it on"
                " the Groups page, or correct the name."
            )


def deployment_warnings() -> Iterator[str]:
    """What is fine on one machine alone, for ``check --deploy``."""
    loopback = is_loopback(urlsplit(settings.OIDC_ISSUER).hostname or "")
    if provider_is_on() and not loopback and not settings.SESSION_COOKIE_SECURE:
        yield (
            "KAREN_CSRF_TRUSTED_ORIGINS names no https:// address: the provider sends people back"
            " over http://, and cookies are not secure."
        )
