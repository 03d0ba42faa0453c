"""Signing in through an OpenID Connect provider, by django-allauth.

Imported only where its extra is installed and the provider is configured. Of allauth we use the
OpenID Connect provider: the state in the session, PKCE, and the exchange of the code. What its
accounts, sign-up pages and email addresses are for is ours (``external_accounts``), and none of
its own addresses is in the URL conf.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Any

import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from discovery.engine.core.service_words import SignInSource
from discovery.services.access import elsewhere, external_accounts, id_tokens
from discovery.services.access.external_accounts import Refused, text_of

_BACKEND = "discovery.services.access.signed_in.Accounts"
#: Answers of a provider are small.
_MOST_BYTES = 1 << 20

AWAY = "The sign-in provider cannot be reached. Try again in a moment."
STRANGE = (
    "The sign-in provider's answer is not understood. Ask an administrator to check the address of"
    " the provider (KAREN_OIDC_ISSUER)."
)
STALE = "This sign-in has expired or was begun in another browser. Start again."
CANCELLED = "The sign-in was cancelled at the provider."
NOT_ALLOWED = "The sign-in provider refused the sign-in. Ask whoever manages it to let you in."
BAD_CLIENT = (
    "The sign-in provider does not accept this server's client ID and secret. Ask an administrator"
    " to correct KAREN_OIDC_CLIENT_ID and KAREN_OIDC_CLIENT_SECRET."
)
TOO_MANY_GROUPS = (
    "The sign-in provider did not send your groups, because there are too many. Ask whoever manages"
    " it to send only the groups that belong to this application."
)

#: Error codes of RFC 6749, section 5.2 → what people are told.
_OF_TOKENS = {
    "invalid_client": BAD_CLIENT,
    "unauthorized_client": BAD_CLIENT,
    "invalid_grant": STALE,
}


def nonce_for(verifier: str) -> str:
    """The nonce of a sign-in, made of the secret that its session keeps for PKCE."""
    return urlsafe_b64encode(hashlib.sha256(f"nonce {verifier}".encode()).digest()).decode()


class Exchange(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """What is asked of the provider, and what of its answers is believed."""

    def __init__(self, request: HttpRequest, provider_id: str) -> None:
        super().__init__(request, provider_id)
        self._nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        if not hasattr(self, "_openid_config"):
            found = _json(f"{settings.OIDC_ISSUER.rstrip('/')}/.well-known/openid-configuration")
            if text_of(found.get("issuer")).rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
                raise Refused(
                    "The sign-in provider calls itself by another name than KAREN_OIDC_ISSUER. Ask"
                    " an administrator to set it to the issuer that the provider tells."
                )
            needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            for name in (*needed, "userinfo_endpoint"):
                given = text_of(found.get(name))
                if (name in needed or given) and not elsewhere.is_safe(given):
                    raise Refused(STRANGE)
            self._openid_config = found
        return self._openid_config

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return request.build_absolute_uri(reverse("openid-callback"))

    def get_access_token_data(
        self, request: HttpRequest, app: Any, client: Any, pkce_code_verifier: Any = None
    ) -> Any:
        self._nonce = nonce_for(str(pkce_code_verifier))
        try:
            found = super().get_access_token_data(request, app, client, pkce_code_verifier)
        except KeyError:  # an answer that does not say what it is
            found = None
        if not isinstance(found, dict):
            raise Refused(STRANGE)
        return found

    def parse_token(self, data: dict[str, Any]) -> Any:
        return super().parse_token({"access_token": text_of(data.get("access_token"))})

    @property
    def basic_auth(self) -> bool:
        """Where a provider does not say, the specification says so."""
        methods = self.openid_config.get("token_endpoint_auth_methods_supported")
        return not isinstance(methods, list) or "client_secret_post" not in methods

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> Any:
        config = self.openid_config
        claims = id_tokens.verify(
            text_of(kwargs["response"].get("id_token")),
            _json(config["jwks_uri"]),
            issuer=config["issuer"],
            client=settings.OIDC_CLIENT_ID,
            nonce=self._nonce,
        )
        wanted = [settings.OIDC_USERNAME_CLAIM, settings.OIDC_GROUPS_CLAIM]
        if config.get("userinfo_endpoint") and any(
            name and claim(claims, name) is None for name in wanted
        ):
            more = _json(config["userinfo_endpoint"], bearer=token.token)
            if more.get("sub") != claims["sub"]:
                raise id_tokens.BadToken("it is about somebody else than the provider's answer.")
            claims = {**more, **claims}
        return Vouched(claims)


class Provider(OpenIDConnectProvider):  # type: ignore[misc]
    """With PKCE, whatever the provider says of it, and with a nonce."""

    oauth2_adapter_class = Exchange

    def get_pkce_params(self) -> dict[str, Any]:
        made: dict[str, Any] = generate_code_challenge()
        return {**made, "nonce": nonce_for(made["code_verifier"])}


class Vouched(SocialLogin):  # type: ignore[misc]
    """Somebody whom the provider vouches for; accounts are looked up by ``external_accounts``."""

    def __init__(self, claims: dict[str, Any]) -> None:
        super().__init__()
        self.claims = claims

    def lookup(self) -> None:
        return None


class Adapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """The provider is that of the environment; whoever it vouches for is signed in here."""

    def get_provider(self, request: HttpRequest, provider: Any, client_id: Any = None) -> Provider:
        app = SocialApp(
            provider=Provider.id,
            provider_id=settings.OIDC_ISSUER,
            name=settings.OIDC_LABEL,
            client_id=settings.OIDC_CLIENT_ID,
            secret=settings.OIDC_CLIENT_SECRET,
            settings={"server_url": settings.OIDC_ISSUER, "scope": settings.OIDC_SCOPES},
        )
        return Provider(request, app=app)

    def get_requests_session(self) -> Any:
        """A provider that fails by itself is as good as away."""
        session = super().get_requests_session()
        session.hooks["response"].append(_require_answer)
        return session

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        account = external_accounts.admit(person(sociallogin.claims))
        login(request, account, backend=_BACKEND)
        there = sociallogin.state.get("next")
        query = f"?{urlencode({'next': there})}" if there else ""
        # The sign-in page leads to where somebody wanted to go, or to their start page.
        raise ImmediateHttpResponse(redirect(reverse("login") + query))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,
    ) -> None:
        raise Refused(self._sentence(request, error, exception, extra_context or {}))

    def _sentence(
        self, request: HttpRequest, error: Any, exception: Any, context: dict[str, Any]
    ) -> str:
        if isinstance(exception, requests.RequestException):
            return AWAY
        if exception is not None:
            code = re.search(r'"error"\s*:\s*"([a-z_]{1,40})"', str(exception))
            return _OF_TOKENS.get(code[1] if code else "", STRANGE)
        if not context.get("state"):
            return STALE
        return CANCELLED if error == AuthError.CANCELLED else NOT_ALLOWED


def person(claims: dict[str, Any]) -> external_accounts.Person:
    """What the claims say about somebody."""
    return external_accounts.Person(
        source=SignInSource.OPENID,
        issuer=settings.OIDC_ISSUER.rstrip("/"),
        subject=text_of(claims["sub"]),
        username=text_of(claim(claims, settings.OIDC_USERNAME_CLAIM)),
        email=text_of(claims.get("email")),
        verified=claims.get("email_verified") is True,
        first_name=text_of(claims.get("given_name")),
        last_name=text_of(claims.get("family_name")),
        values=_values(claims),
    )


def _values(claims: dict[str, Any]) -> frozenset[str]:
    name = settings.OIDC_GROUPS_CLAIM
    found = claim(claims, name) if name else None
    elsewhere_kept = claims.get("_claim_names")
    if found is None and isinstance(elsewhere_kept, dict) and name in elsewhere_kept:
        raise Refused(TOO_MANY_GROUPS)
    if isinstance(found, str):
        found = [found]
    return frozenset(
        each
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, str) and each
    )


def claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name or its path (``realm_access.roles``); ``None`` where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _require_answer(answer: Any, *_: Any, **__: Any) -> None:
    if answer.status_code >= 500:
        answer.raise_for_status()


def _json(url: str, *, bearer: str = "") -> dict[str, Any]:
    """What the provider answers; raises ``Refused`` where it does not, or not with an object."""
    headers = {"Accept": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    try:
        with Adapter().get_requests_session() as session:
            answer = session.get(url, headers=headers)
    except requests.RequestException:
        raise Refused(AWAY) from None
    try:
        found = answer.json() if answer.ok and len(answer.content) <= _MOST_BYTES else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(STRANGE)
    return found


def begin(request: HttpRequest, there: str) -> HttpResponse:
    """Redirect to the provider; ``there`` is where somebody wants to go afterwards.

    Raises ``Refused`` where the provider cannot be asked.
    """
    provider = Adapter(request).get_provider(request, settings.OIDC_ISSUER)
    response: HttpResponse = provider.redirect(request, "login", next_url=there or None)
    return response


def finish(request: HttpRequest) -> HttpResponse:
    """Sign in whom the provider sends back. Raises ``Refused``."""
    exchange = Exchange(request, settings.OIDC_ISSUER)
    response: HttpResponse = OAuth2CallbackView.adapter_view(exchange)(request)
    return response
