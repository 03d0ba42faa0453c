"""An OpenID Connect provider on loopback, for tests: what it says and does wrong is theirs to set.

It has the discovery document, the authorization, token and userinfo endpoints and its keys, made
anew for each run. Whoever it is sent is signed in at once, as ``claims`` say.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

CLIENT, SECRET = "karen", "a-secret-of-the-tests"


class OpenIdProvider:
    """``claims`` are about the person who is signed in there; ``token`` is laid over the ID token,
    ``document`` over the discovery document, ``userinfo`` over what userinfo answers.

    A value of ``None`` leaves a claim out. ``answers`` maps a path to a status and a body that it
    answers instead.
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.reset()

    def reset(self) -> None:
        self.claims: dict[str, Any] = {"sub": "u-1", "preferred_username": "ada"}
        self.token: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.answers: dict[str, tuple[int, str]] = {}
        self.signing_key: Any = self.key
        self.algorithm = "ES256"
        self.kid = "first"
        self.secret = SECRET
        self.error = ""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def answer(self, path: str, sent: dict[str, str], headers: Any) -> tuple[int, Any, str]:
        """Status, body and where to."""
        with self._lock:
            self.asked.append((path, sent))
        if path in self.answers:
            return *self.answers[path], ""
        if path == "/.well-known/openid-configuration":
            return 200, self._document(), ""
        if path == "/authorize":
            return 302, "", self._authorized(sent)
        if path == "/token":
            return *self._token(sent), ""
        if path == "/userinfo":
            return 200, _without(self.claims | self.userinfo), ""
        if path == "/keys":
            return 200, {"keys": [self._public()]}, ""
        return 404, {}, ""

    def _document(self) -> dict[str, Any]:
        ends = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "jwks_uri": "keys",
        }
        made: dict[str, Any] = {name: f"{self.issuer}/{end}" for name, end in ends.items()}
        made |= {
            "issuer": self.issuer,
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        return _without(made | self.document)

    def _public(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return {**public, "kid": "first", "use": "sig", "alg": "ES256"}

    def _authorized(self, sent: dict[str, str]) -> str:
        back = {"state": sent["state"]}
        if self.error:
            back["error"] = self.error
        else:
            back["code"] = secrets.token_hex(8)
            self._codes[back["code"]] = sent
        return f"{sent['redirect_uri']}?{urlencode(back)}"

    def _token(self, sent: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if (sent.get("client_id"), sent.get("client_secret")) != (CLIENT, self.secret):
            return 401, {"error": "invalid_client"}
        begun = self._codes.pop(sent.get("code", ""), None)
        proof = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if (
            begun is None
            or begun["code_challenge"] != challenge
            or begun["redirect_uri"] != sent["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": "an-access-token",
            "token_type": "Bearer",
            "id_token": self._id_token(begun["nonce"]),
        }

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        made = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce}
        headers = {"kid": self.kid} if self.kid else {}
        return jwt.encode(
            _without(made | self.claims | self.token),
            self.signing_key,
            algorithm=self.algorithm,
            headers=headers,
        )


def _without(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if value is not None}


def _handler(provider: list[OpenIdProvider]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self, sent: dict[str, str]) -> None:
            status, body, there = provider[0].answer(urlsplit(self.path).path, sent, self.headers)
            text = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            if there:
                self.send_header("Location", there)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            self._answer({name: values[0] for name, values in query.items()})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._answer(dict(parse_qsl(self.rfile.read(length).decode())))

        def log_message(self, *_: Any) -> None:
            return None

    return Handler


@contextmanager
def running() -> Iterator[OpenIdProvider]:
    held: list[OpenIdProvider] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(held)) as server:
        held.append(OpenIdProvider(server.server_port))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield held[0]
        server.shutdown()
        thread.join()


def configure(settings: Any, provider: OpenIdProvider) -> None:
    """Switch sign-in through this provider on."""
    settings.OIDC_ISSUER = provider.issuer
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT, SECRET
