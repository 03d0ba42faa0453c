"""The signatures that a receiver of webhooks verifies."""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import sha256

from standardwebhooks import Webhook as Signer

#: What secrets begin with by the Standard Webhooks specification; base64 follows. Those made before
#: are plain text.
SECRET_PREFIX = "whsec_"  # noqa: S105


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA-256 of ``timestamp.body``.

    The receiver computes the same, and rejects old timestamps.
    """
    return (
        "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()
    )


def standard_headers(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that ready-made verifiers in many languages check.

    They are ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.

    Source:
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    signer = Signer(secret if secret.startswith(SECRET_PREFIX) else secret.encode())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign(message_id, at, body.decode()),
    }
