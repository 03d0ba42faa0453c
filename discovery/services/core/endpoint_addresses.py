"""Addresses of servers that somebody enters, and the variables that hold their keys."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from discovery.engine.core.addresses import read
from discovery.engine.core.fields import FIELDS
from discovery.engine.core.service_words import KEY_PREFIX

MAX_ADDRESS = FIELDS["endpoint"].limit

_ONLY_AN_ADDRESS = "must hold neither a name nor a key: only scheme, host and path"


#: What no database stores, or no page shows as it was meant.
UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def address_fault(address: str) -> str | None:
    """Return what is wrong with the spelling of an http or https address.

    Returns ``None`` for a valid address without a user name or a key in it.
    """
    if UNSTORABLE.search(address) or any(letter.isspace() for letter in address):
        return "has characters that no address has"
    if len(address) > MAX_ADDRESS:
        return f"has {len(address):,} characters, at most {MAX_ADDRESS:,} are kept"
    try:
        read(address)
    except ValueError as error:
        return str(error)
    parts = urlsplit(address)
    return _ONLY_AN_ADDRESS if "@" in parts.netloc or parts.fragment else None


def endpoint_fault(address: str) -> str | None:
    """The same of the base address of a server, which has no query either."""
    if reason := address_fault(address):
        return reason
    return _ONLY_AN_ADDRESS if read(address).query else None


def key_fault(name: str) -> str | None:
    """Return what is wrong with the name of the variable for a server's key."""
    if re.fullmatch(rf"{KEY_PREFIX}[A-Z0-9_]{{0,60}}", name):
        return None
    return (
        f"must be the name of an environment variable that begins with {KEY_PREFIX}, in capitals:"
        " the key itself is never stored"
    )
