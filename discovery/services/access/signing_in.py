"""Slow down guessing of passwords and tokens.

Failures are counted by account, by address and by both together; too many of them make everybody
wait.

Counts live in the database, so that all processes share them. After ``allowed`` failures in a row
each further one doubles the wait, from ``FIRST_WAIT`` up to ``longest``; until then nothing is
checked, not even the right password. A stranger who locks an account from elsewhere does not lock
out its owner: where somebody has signed in before, only the count of that account from that address
applies. ``manage.py unlock`` ends the wait at once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from discovery.engine.core.service_words import SignInKind
from discovery.engine.core.text import clean, plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, SignInCount
from discovery.services.core import event_log
from discovery.services.core.client_address import address

logger = logging.getLogger("karen.sign_in")

FIRST_WAIT = timedelta(minutes=1)
#: So long after the last failure, or the last sign-in from there, a row is forgotten.
FORGET = timedelta(hours=24)
FORGET_KNOWN = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Limit:
    allowed: int
    longest: timedelta


LIMITS = {
    SignInKind.PAIR: Limit(5, timedelta(hours=1)),
    SignInKind.ACCOUNT: Limit(20, timedelta(minutes=15)),
    SignInKind.ADDRESS: Limit(30, timedelta(hours=1)),
    SignInKind.TOKEN: Limit(20, timedelta(minutes=15)),
}


class Locked(Exception):
    """Sign-in is locked: nothing is checked before ``until``.

    ``account`` is what was typed as a name; empty where a token was guessed.
    """

    def __init__(self, until: datetime, account: str = "") -> None:
        super().__init__(f"locked until {until:%H:%M:%S} UTC")
        self.until, self.account = until, account

    @property
    def seconds(self) -> int:
        return max(1, -int((timezone.now() - self.until).total_seconds() // 1))

    @property
    def wait(self) -> str:
        """``4 minutes``"""
        if self.seconds <= 60:
            return plural(self.seconds, "second")
        return plural(-(-self.seconds // 60), "minute")


def _digest(text: str) -> str:
    return salted_hmac("karen.sign_in", text, algorithm="sha256").hexdigest() if text else ""


def _account(name: str) -> str:
    return _digest(name.strip().casefold()[:150])


def _doors(account: str, origin: str) -> list[tuple[SignInKind, str, str]]:
    who, where = _account(account), _digest(origin)
    doors = [
        (SignInKind.PAIR, who, where),
        (SignInKind.ACCOUNT, who, ""),
        (SignInKind.ADDRESS, "", where),
    ]
    return [
        (kind, one, other)
        for kind, one, other in doors
        if (one or other) and (kind != SignInKind.PAIR or (one and other))
    ]


def _matching(doors: list[tuple[SignInKind, str, str]]) -> Q:
    found = Q(pk__in=())
    for kind, account, where in doors:
        found |= Q(kind=kind, account=account, address=where)
    return found


def check(account: str, origin: str) -> None:
    """Raise ``Locked`` while passwords for this account from this address are not checked."""
    doors = _doors(account, origin)
    known = (SignInKind.KNOWN, _account(account), _digest(origin))
    rows = SignInCount.objects.filter(_matching([*doors, known]))
    held = {row.kind: row for row in rows}
    mine = held.pop(SignInKind.KNOWN, None)
    if mine and mine.last_at > timezone.now() - FORGET_KNOWN:
        held.pop(SignInKind.ACCOUNT, None)
    _raise(held.values(), account)


def check_token(origin: str) -> None:
    """Raise ``Locked`` while tokens from this address are not checked."""
    _raise(
        SignInCount.objects.filter(kind=SignInKind.TOKEN, account="", address=_digest(origin)), ""
    )


def _raise(rows: Any, account: str) -> None:
    until = max((row.locked_until for row in rows if row.locked_until), default=None)
    if until and until > timezone.now():
        raise Locked(until, account)


def failed(account: str, origin: str) -> None:
    """A wrong password."""
    known = get_user_model().objects.filter(username=account.replace("\0", "")[:150]).exists()
    told = f"the account {clean(account, 150)}" if known else "an account that does not exist"
    for kind, who, where in _doors(account, origin):
        _count(kind, who, where, f"{told} from {origin or 'an unknown address'}")


def failed_token(origin: str) -> None:
    """Count a token that never existed."""
    if origin:
        _count(SignInKind.TOKEN, "", _digest(origin), f"API tokens from {origin}")


def _count(kind: SignInKind, account: str, where: str, told: str) -> None:
    now, limit = timezone.now(), LIMITS[kind]
    with transaction.atomic():
        SignInCount.objects.filter(last_at__lt=now - FORGET).exclude(kind=SignInKind.KNOWN).delete()
        SignInCount.objects.get_or_create(
            kind=kind, account=account, address=where, defaults={"last_at": now}
        )
        row = SignInCount.objects.select_for_update().get(kind=kind, account=account, address=where)
        SignInCount.objects.filter(pk=row.pk).update(failures=F("failures") + 1, last_at=now)
        row.refresh_from_db()
        if row.failures < limit.allowed:
            return
        wait = min(FIRST_WAIT * 2 ** min(row.failures - limit.allowed, 20), limit.longest)
        SignInCount.objects.filter(pk=row.pk).update(locked_until=now + wait)
    minutes = plural(-(-int(wait.total_seconds()) // 60), "minute")
    what = {SignInKind.PAIR: "from there", SignInKind.ACCOUNT: "from new addresses"}.get(
        kind, "for the whole address"
    )
    text = f"Sign-in is locked for {minutes} {what} after {row.failures} failures: {told}"
    logger.warning(text)
    event_log.record(LogTopic.ACCESS, Severity.WARNING, text)


def succeeded(account: str, origin: str) -> None:
    """Reset the account's count for this address after a right password.

    The address is then known for the account.
    """
    if not origin:
        return
    who, where, now = _account(account), _digest(origin), timezone.now()
    SignInCount.objects.filter(kind=SignInKind.PAIR, account=who, address=where).delete()
    SignInCount.objects.filter(kind=SignInKind.KNOWN, last_at__lt=now - FORGET_KNOWN).delete()
    SignInCount.objects.update_or_create(
        kind=SignInKind.KNOWN, account=who, address=where, defaults={"last_at": now}
    )


def unlock(account: str = "", *, origin: str = "") -> int:
    """Forget the failures of an account or an address, or all; return the number of counts removed.

    Whoever unlocks an account can sign in from anywhere: locked addresses are released with it.
    """
    rows = SignInCount.objects.exclude(kind=SignInKind.KNOWN)
    if origin:
        rows = rows.filter(address=_digest(origin))
    elif account:
        rows = rows.filter(Q(account=_account(account)) | Q(kind=SignInKind.ADDRESS))
    return rows.delete()[0]


class Guard:
    """The first authentication backend: while sign-in is locked no other one is asked."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> None:
        if request is not None and username:
            check(username, address(request))


def _on_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    name = credentials.get("username")
    if request is not None and isinstance(name, str):
        failed(name, address(request))


def _on_success(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None:
        succeeded(user.get_username(), address(request))


def listen() -> None:
    """Called once, when the application is ready."""
    user_login_failed.connect(_on_failure, dispatch_uid="karen-sign-in-failed")
    user_logged_in.connect(_on_success, dispatch_uid="karen-signed-in")
