"""ID tokens of OpenID Connect: whether one is what the provider made for this very sign-in.

The rules are those of OpenID Connect Core 1.0, section 3.1.3.7. The signature is always checked,
also where the specification lets TLS stand in for it.
"""

from __future__ import annotations

import hmac
from typing import Any

import jwt

from discovery.services.access.external_accounts import Refused

#: Those made with the provider's private key. A key that both sides share proves too little.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
#: Seconds by which the clocks of two machines may differ.
LEEWAY = 60

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired. Are the clocks of both servers right?"),
    (jwt.ImmatureSignatureError, "it is from the future. Are the clocks of both servers right?"),
    (jwt.InvalidIssuerError, "another provider made it."),
    (jwt.InvalidAudienceError, "it is for another application."),
    (jwt.InvalidSignatureError, "its signature is wrong."),
    (jwt.MissingRequiredClaimError, "it lacks a part that every such token has."),
)


class BadToken(Refused):
    """``reason`` is the end of the sentence that people are told."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The sign-in provider's token is not accepted: {reason}")


def verify(token: str, keys: dict[str, Any], *, issuer: str, client: str, nonce: str) -> Any:
    """Return the claims of a token that is right in every respect; raise ``BadToken``.

    ``keys`` is the provider's JSON Web Key Set.
    """
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise BadToken(
                "it is not signed with a key of the provider's own (RS256 or ES256, for example)."
                " Ask whoever manages the provider to choose one."
            )
        claims = _decoded(token, _fitting(keys, header), algorithm, issuer, client)
    except jwt.PyJWTError as error:
        raise BadToken(
            next(
                (text for kind, text in _REASONS if isinstance(error, kind)), "it is not readable."
            )
        ) from None
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise BadToken("it was not made for this sign-in. Start again.")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != client:
        raise BadToken("it is for another application.")
    return claims


def _decoded(
    token: str, keys: list[jwt.PyJWK], algorithm: str, issuer: str, client: str
) -> dict[str, Any]:
    """By the first key that made the signature; the last one's error where none did."""
    failed: jwt.PyJWTError = jwt.InvalidSignatureError()
    for key in keys:
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=client,
                issuer=issuer,
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.InvalidSignatureError as error:
            failed = error
    raise failed


def _fitting(keys: dict[str, Any], header: dict[str, Any]) -> list[jwt.PyJWK]:
    """The keys of the set that may have signed: those of the header's ``kid`` where it has one."""
    found = []
    rows = keys.get("keys") if isinstance(keys, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict) or row.get("kty") == "oct" or row.get("use") == "enc":
            continue
        if header.get("kid") is not None and row.get("kid") != header["kid"]:
            continue
        if row.get("alg") not in (None, header["alg"]):
            continue
        try:
            found.append(jwt.PyJWK(row, algorithm=header["alg"]))
        except jwt.PyJWTError:
            continue  # of another kind than the signature
    return found
