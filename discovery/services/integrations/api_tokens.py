"""Tokens of the HTTP API: made once, recognized by their digest, revoked for good."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from discovery.engine.core.service_words import TokenScope
from discovery.engine.core.text import clean
from discovery.models import ApiToken
from discovery.services.access import permissions

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: What every token starts with: programs that look for leaked secrets know it by that.
MARK = "karen_"
MAX_NAME = 100
#: Characters that lists show.
_PREFIX = len(MARK) + 6
_MAX_LENGTH = 200
#: A token that expires does so within a hundred years.
MAX_DAYS = 36_500
#: ``last_used_at`` is written no more often: a busy client would otherwise write with every
#: request.
_TOUCH = timedelta(minutes=1)


class TokenError(Exception):
    """No token was made; the message says what to do."""


def create(
    user: User, name: str, scope: str = TokenScope.READ, *, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Return (row, the token itself, which cannot be read again).

    The names of somebody's tokens differ. One that has expired leaves its name to its successor.

    Raises ``TokenError``.
    """
    name = " ".join(clean(name, MAX_NAME).split())
    if not name:
        raise TokenError("Give the token a name that says what it is for.")
    if scope not in TokenScope.values:
        raise TokenError(f"The scope must be one of {', '.join(TokenScope.values)}.")
    if scope not in scopes(user):
        raise TokenError(
            f"{user.get_username()} has no permission that the scope {scope} would be for: choose"
            f" {' or '.join(scopes(user))}."
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenError("It would have expired already: choose a later day.")
    if expires_at is not None and expires_at > timezone.now() + timedelta(days=MAX_DAYS):
        raise TokenError(
            f"A token that expires does so within {MAX_DAYS:,} days: choose an earlier day."
        )
    token = MARK + secrets.token_urlsafe(32)
    namesakes = ApiToken.objects.filter(user=user, name=name, revoked_at=None)
    try:
        with transaction.atomic():
            namesakes.filter(expires_at__lte=timezone.now()).update(revoked_at=timezone.now())
            row = ApiToken.objects.create(
                user=user,
                name=name,
                prefix=token[:_PREFIX],
                digest=_digest(token),
                scope=scope,
                expires_at=expires_at,
            )
    except IntegrityError:
        if not namesakes.exists():
            raise
        raise TokenError(
            f"{user.get_username()} has a token named {name} already: choose another name, or"
            " revoke that one first."
        ) from None
    return row, token


def expiry(days: str | int) -> datetime:
    """The end of a validity of so many days from now.

    Raises ``TokenError``: no number of days stands for "for ever".
    """
    text = str(days).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MAX_DAYS):
        raise TokenError(
            f"A token is valid for a whole number of days from 1 to {MAX_DAYS:,}, not"
            f" {clean(text, 40) or 'nothing'}."
        )
    return timezone.now() + timedelta(days=int(text))


def scopes(user: User) -> list[str]:
    """The scopes that open something for this person.

    A token never opens more than its owner's permissions do.
    """
    return [
        scope
        for scope in TokenScope.values
        if (rights := permissions.OF_SCOPES[scope]) == ()
        or any(permissions.may(user, right) for right in rights)
    ]


def find(token: str) -> ApiToken | None:
    """Return the valid token of a user who may still sign in, and mark it as used.

    Returns ``None`` for everything else.
    """
    if not token.startswith(MARK) or len(token) > _MAX_LENGTH:
        return None
    row = ApiToken.objects.select_related("user").filter(digest=_digest(token)).first()
    if row is None or not row.is_valid or not row.user.is_active:
        return None
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > _TOUCH:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _TOUCH)
        ApiToken.objects.filter(stale, pk=row.pk).update(last_used_at=now)
    return row


def was_given(token: str) -> bool:
    """Return whether this token exists or existed.

    A program that uses an old token is not guessing.
    """
    return (
        token.startswith(MARK)
        and ApiToken.objects.filter(digest=_digest(token[:_MAX_LENGTH])).exists()
    )


def revoke(row: ApiToken) -> bool:
    """``False`` when it was revoked before."""
    return (
        ApiToken.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=timezone.now()) == 1
    )


def _digest(token: str) -> str:
    """The token is 256 random bits: a slow hash would protect nothing more."""
    return sha256(token.encode()).hexdigest()
