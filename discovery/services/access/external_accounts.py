"""The accounts of people whom a sign-in provider or a trusted proxy vouches for.

Somebody is known by the provider and by what it calls them (``ExternalIdentity``). An account that
is here already is taken for theirs only where an administrator allowed that, and never one that
may do more than the provider says of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from discovery.engine.core.service_words import SignInSource
from discovery.engine.core.text import clean
from discovery.models import ExternalIdentity
from discovery.services.access import account_journal, external_groups

#: What ``issuer`` is for a trusted proxy.
PROXY = "proxy"
_LENGTH = 255


class Refused(Exception):
    """Somebody may not sign in; the text tells them why and what to do."""


@dataclass(frozen=True, slots=True)
class Person:
    """What a provider says about somebody.

    ``email`` counts for finding an account only when it is ``verified``; ``values`` are what the
    provider calls their groups.
    """

    source: SignInSource
    issuer: str
    subject: str
    username: str
    email: str = ""
    verified: bool = False
    first_name: str = ""
    last_name: str = ""
    values: frozenset[str] = frozenset()


class _Provider:
    """Who acts in the history of accounts."""

    def __init__(self, source: SignInSource) -> None:
        self.label = source.label

    def get_username(self) -> str:
        return self.label


def admit(person: Person) -> User:
    """Return the account of ``person``, with the groups that the provider gives.

    Raises ``Refused``. From an account that is there, groups that the provider no longer gives are
    taken away even then.
    """
    if not person.subject or len(person.subject) > _LENGTH or "\0" in person.subject:
        raise Refused("The sign-in provider does not say who you are. Ask whoever manages it.")
    try:
        return _admit(person)
    except IntegrityError:
        # Two browsers of one person may sign in for the first time at once.
        return _admit(person)


def _admit(person: Person) -> User:
    rows = ExternalIdentity.objects.select_related("user")
    link = rows.filter(issuer=person.issuer, subject=person.subject).first()
    with account_journal.acting(_Provider(person.source)):
        if link is None:
            return _first_time(person)
        with transaction.atomic():
            groups = external_groups.wanted(person.values)
            external_groups.follow(link.user, person.source, person.values, groups)
    _require_active(link.user)
    _require_group(person, groups)
    return link.user


def _require_active(account: User) -> None:
    if not account.is_active:
        raise Refused(
            f"The account {account.username} is deactivated. Ask an administrator to activate it."
        )


def _require_group(person: Person, groups: Sequence[Group]) -> None:
    ranks = settings.SIGN_IN_SUPERUSERS | settings.SIGN_IN_STAFF
    if settings.SIGN_IN_REQUIRE_GROUP and not groups and not person.values & ranks:
        raise Refused(
            "You are in none of the groups that may sign in here. Ask whoever manages the sign-in"
            " provider to put you into one."
        )


@transaction.atomic
def _first_time(person: Person) -> User:
    """Nothing of it stays, created groups included, when somebody is refused."""
    groups = external_groups.wanted(person.values)
    _require_group(person, groups)
    account = _matching(person) or _created(person)
    ExternalIdentity.objects.create(
        user=account, issuer=person.issuer, subject=person.subject, linked_at=timezone.now()
    )
    account_journal.of_user(
        account, f"linked the account {account.username} with {_called(person.issuer)}"
    )
    external_groups.follow(account, person.source, person.values, groups)
    return account


def _matching(person: Person) -> User | None:
    """The account that is here already, where an administrator allowed to take it."""
    if settings.SIGN_IN_MATCH == "email" and person.email and person.verified:
        rows = User.objects.filter(email__iexact=person.email)
    elif settings.SIGN_IN_MATCH == "username" and person.username:
        rows = User.objects.filter(username=person.username)
    else:
        return None
    found = list(rows[:2])
    if len(found) > 1:
        raise Refused(
            f"Several accounts here have the email address {person.email}. Ask an administrator to"
            " leave it with one of them."
        )
    if found:
        _require_own(person, found[0])
    return found[0] if found else None


def _require_own(person: Person, account: User) -> None:
    """Nobody takes over the account of somebody else, or of an administrator."""
    _require_active(account)
    if ExternalIdentity.objects.filter(user=account, issuer=person.issuer).exists():
        raise Refused(
            f"The account {account.username} belongs to somebody else at the sign-in provider. Ask"
            " an administrator."
        )
    superuser = bool(person.values & settings.SIGN_IN_SUPERUSERS)
    staff = superuser or bool(person.values & settings.SIGN_IN_STAFF)
    if (account.is_superuser and not superuser) or (account.is_staff and not staff):
        raise Refused(
            f"The account {account.username} is that of an administrator here, and the sign-in"
            " provider does not say that you are one. Sign in with its password."
        )


def _created(person: Person) -> User:
    name = User.normalize_username(person.username)
    shown = clean(name, 150)
    if not name:
        raise Refused(
            "The sign-in provider does not say what your username is. Ask an administrator to set"
            " KAREN_OIDC_USERNAME_CLAIM to a claim that the provider sends."
        )
    account = User(
        username=name,
        email=person.email if _is_address(person.email) else "",
        first_name=clean(person.first_name, 150),
        last_name=clean(person.last_name, 150),
    )
    account.set_unusable_password()
    try:
        account.clean_fields(exclude=["password"])
    except ValidationError:
        raise Refused(
            f"“{shown}” cannot be a username here: only letters, digits and @ . + - _ can be part"
            " of one, 150 at most. Ask an administrator to set KAREN_OIDC_USERNAME_CLAIM to another"
            " claim."
        ) from None
    if User.objects.filter(username__iexact=name).exists():
        raise Refused(
            f"There is already an account {shown} here, and it is not linked with the sign-in"
            " provider. Ask an administrator to rename it, or to allow linking with"
            " KAREN_SIGN_IN_MATCH."
        )
    if not settings.SIGN_IN_CREATE_ACCOUNTS:
        raise Refused("You do not have an account here. Ask an administrator to create one.")
    account.save()
    return account


@transaction.atomic
def unlink(link: ExternalIdentity) -> None:
    """Whom the provider calls so no longer signs in as this account.

    What the provider gave goes along; somebody who comes again begins anew.
    """
    source = SignInSource.PROXY if link.issuer == PROXY else SignInSource.OPENID
    external_groups.follow(link.user, source, frozenset(), [])
    link.delete()
    account_journal.of_user(
        link.user, f"unlinked the account {link.user.username} from {_called(link.issuer)}"
    )


def _called(issuer: str) -> str:
    return "the proxy" if issuer == PROXY else issuer


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


def text_of(claim: Any) -> str:
    """A claim that should be text; empty for anything else, and for what no database stores."""
    return claim.strip() if isinstance(claim, str) and "\0" not in claim else ""
