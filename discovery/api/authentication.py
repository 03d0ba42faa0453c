"""Who calls, and with which rights.

A caller is a signed-in session (CSRF enforced), a bearer token, or anonymous.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest
from django.urls import reverse
from ninja.utils import check_csrf

from discovery.api import throttle
from discovery.api.errors import ApiError
from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Right
from discovery.models.permissions import WORDS
from discovery.services.access import permissions, signing_in
from discovery.services.core import config_files
from discovery.services.core.client_address import address
from discovery.services.integrations import api_tokens
from discovery.services.registry import aliases

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_RANK = {None: 0, TokenScope.READ: 1, TokenScope.WRITE: 2, TokenScope.ADMIN: 3}
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Caller:
    """``scope`` is ``None`` for somebody without credentials."""

    user: User | AnonymousUser
    scope: TokenScope | None
    key: str

    @property
    def person(self) -> User:
        """The user behind a call that takes credentials."""
        return cast("User", self.user)

    def has(self, scope: TokenScope) -> bool:
        return _RANK[self.scope] >= _RANK[scope]

    def may(self, *rights: Right, scope: TokenScope = TokenScope.READ) -> bool:
        """Return whether both the token's scope and its owner's permissions allow this."""
        return self.has(scope) and permissions.may_all(self.user, rights)


class Access:
    """The access check of an endpoint.

    It has the scope that a token needs, the permissions that its owner needs, and those of which
    one is enough (``some``).

    Without a scope the endpoint is open to everybody, for what they may see.
    """

    def __init__(
        self, needed: TokenScope | None, *rights: Right, some: Iterable[Right] = ()
    ) -> None:
        self.needed, self.rights, self.some = needed, rights, tuple(dict.fromkeys(some))

    def __call__(self, request: HttpRequest) -> Caller:
        if _length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise ApiError(413)
        return self.admit(_caller(request))

    def admit(self, caller: Caller) -> Caller:
        """Return the caller, or raise ``ApiError`` with what is missing."""
        if self.needed is None:
            return caller
        if caller.scope is None:
            raise ApiError(401)
        if reason := permissions.lacking(caller.user, self.rights):
            raise ApiError(403, reason)
        if self.some and not permissions.may_any(caller.user, self.some):
            raise ApiError(403, f"You need one of the permissions {words(self.some, ' or ')}.")
        if not caller.has(self.needed):
            raise ApiError(
                403,
                f"This needs a token with the scope {self.needed}; this one has {caller.scope}.",
            )
        return caller


def words(rights: Iterable[Right], between: str) -> str:
    """``“Can change model” and “Can change tag”``."""
    return between.join(f"“{WORDS[right]}”" for right in rights)


PUBLIC = Access(None)
READ = Access(TokenScope.READ)


def _length(request: HttpRequest) -> int:
    given = str(request.META.get("CONTENT_LENGTH") or "0")
    if not (given.isascii() and given.isdigit()):
        raise ApiError(400, "The Content-Length is not a number.")
    return int(given[:20])


def _caller(request: HttpRequest) -> Caller:
    given = request.headers.get("Authorization", "")
    origin = address(request)
    if given:
        scheme, _, token = given.partition(" ")
        _refuse_while_locked(origin)
        row = api_tokens.find(token.strip()) if scheme.lower() == "bearer" else None
        if row is None:
            _count(request, f"address:{origin}", _address_rate())  # guessing is slow
            if not api_tokens.was_given(token.strip()):
                signing_in.failed_token(origin)
            raise ApiError(
                401,
                "This token is not valid: it is unknown, expired or revoked, or its user may not"
                " sign in.",
            )
        _count(request, f"token:{row.pk}", _token_rate())
        return Caller(row.user, TokenScope(row.scope), f"token:{row.pk}")
    user = request.user
    if user.is_authenticated and user.is_active:
        _count(request, f"user:{user.pk}", _token_rate())
        if request.method not in _SAFE and check_csrf(request):
            raise ApiError(
                403,
                "The CSRF token is missing or wrong: send the cookie csrftoken as the header"
                " X-CSRFToken, or use an API token.",
            )
        return Caller(user, TokenScope.ADMIN, f"user:{user.pk}")
    _count(request, f"address:{origin}", _address_rate())
    return Caller(AnonymousUser(), None, f"address:{origin}")


def _token_rate() -> str:
    given: str | None = settings.API_RATE_TOKEN
    return config_files.throttles().api_per_caller if given is None else given


def _address_rate() -> str:
    given: str | None = settings.API_RATE_ADDRESS
    return config_files.throttles().api_per_address if given is None else given


def _refuse_while_locked(origin: str) -> None:
    try:
        signing_in.check_token(origin)
    except signing_in.Locked as locked:
        text = f"Too many wrong tokens came from this address: wait {locked.wait}."
        raise ApiError(429, text, headers={"Retry-After": str(locked.seconds)}) from None


def _count(request: HttpRequest, key: str, rate: str) -> None:
    """Count the request; the middleware tells every caller what is left."""
    allowance = throttle.count(key, rate)
    cast("Any", request).allowance = allowance
    if allowance is not None and allowance.is_spent:
        raise ApiError(
            429,
            f"Too many requests: wait {allowance.seconds} s.",
            headers={"Retry-After": str(allowance.seconds)},
        )


def caller_of(request: HttpRequest) -> Caller:
    """Who passed the door."""
    return cast("Caller", cast("Any", request).auth)


def fetch(request: HttpRequest, model_id: str) -> RegisteredModel:
    """The model, if this caller may see it; otherwise it does not exist.

    Where an alias is named, the answer says where the model itself is (``Content-Location``).
    """
    visible = RegisteredModel.objects.visible_to(caller_of(request).user).select_related("root")
    record = aliases.find(visible, model_id)
    if record is None:
        raise Http404(f"There is no model {model_id[:200]}.")
    if record.model_id != model_id:
        cast("Any", request).own_path = own_path(request, record)
    return record


def own_path(request: HttpRequest, record: RegisteredModel) -> str:
    """Return the path of the request with the model's own id instead of an alias."""
    match = request.resolver_match
    assert match is not None
    return reverse(match.view_name, kwargs={**match.kwargs, "model_id": record.model_id})
