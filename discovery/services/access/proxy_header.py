"""People whom a trusted proxy in front of the server names in a header.

The header counts only when the machine that is connected to the server is one of
``KAREN_PROXY_ADDRESSES``: that is the address of the connection, never one that a header tells.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest

from discovery.engine.core.service_words import SignInSource
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic
from discovery.services.access import external_accounts
from discovery.services.core import event_log

#: Where a session keeps whom the proxy named when it began, and with which groups.
_KEY = "proxy_header"
_BACKEND = "discovery.services.access.signed_in.Accounts"
#: Addresses whose header was ignored, each of which is told once. More than this are not.
_told: set[str] = set()
_MOST_TOLD = 1_000
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Named:
    """What the headers of a request say."""

    user: str
    groups: str

    @property
    def values(self) -> frozenset[str]:
        return frozenset(part.strip() for part in self.groups.split(",") if part.strip())


def is_on() -> bool:
    return bool(settings.PROXY_USER_HEADER and settings.PROXY_ADDRESSES)


def is_trusted(request: HttpRequest) -> bool:
    """Whether the machine at the other end of the connection is one of the proxies."""
    try:
        peer = ip_address(str(request.META.get("REMOTE_ADDR", "")).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in settings.PROXY_ADDRESSES)


def named(request: HttpRequest) -> Named | None:
    """Whom a trusted proxy names; ``None`` where nobody is named or the header is not believed."""
    user = request.headers.get(settings.PROXY_USER_HEADER, "").strip()
    if not user:
        return None
    if not is_trusted(request):
        _tell(str(request.META.get("REMOTE_ADDR", "")) or "an unknown address")
        return None
    header = settings.PROXY_GROUPS_HEADER
    return Named(_utf8(user), _utf8(request.headers.get(header, "")) if header else "")


def _utf8(text: str) -> str:
    """What WSGI hands over as Latin-1."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


def follow(request: HttpRequest) -> None:
    """Sign in whom the proxy names, and sign out whom it no longer names.

    Raises ``external_accounts.Refused`` for somebody who may not sign in.
    """
    who = named(request)
    began = request.session.get(_KEY)
    if who is None:
        if began:
            logout(request)
        return
    mark = [who.user, who.groups]
    if began == mark and request.user.is_authenticated:
        return
    try:
        account = external_accounts.admit(
            external_accounts.Person(
                source=SignInSource.PROXY,
                issuer=external_accounts.PROXY,
                subject=who.user,
                username=who.user,
                values=who.values,
            )
        )
    except external_accounts.Refused:
        if request.user.is_authenticated:
            logout(request)
        raise
    if request.user != account or not began:
        login(request, account, backend=_BACKEND)
    else:
        request.user = User.objects.select_related("profile").get(pk=account.pk)
    request.session[_KEY] = mark


def holds(request: HttpRequest) -> bool:
    """Whether the session of a request of the API may be used.

    One that began by the header counts only while the proxy names the same person.
    """
    began = request.session.get(_KEY)
    if not began:
        return True
    who = named(request)
    return who is not None and who.user == began[0]


def began(request: HttpRequest) -> bool:
    """Whether this session began by the header."""
    return bool(request.session.get(_KEY)) and BACKEND_SESSION_KEY in request.session


def _tell(address: str) -> None:
    with _lock:
        if address in _told or len(_told) >= _MOST_TOLD:
            return
        _told.add(address)
    event_log.record(
        LogTopic.ACCESS,
        Severity.WARNING,
        f"The header {settings.PROXY_USER_HEADER} from {address} is ignored:"
        " KAREN_PROXY_ADDRESSES does not name that address.",
    )
