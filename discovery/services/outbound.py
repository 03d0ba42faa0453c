"""Sending a body to an address that somebody entered, without letting it lead into the house.

The name is looked up once, every answer is judged, and the connection goes to the address that was judged: a name that changes its
answer in between (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from socket import SOCK_STREAM, create_connection, gaierror, getaddrinfo
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from discovery.engine.text import clean
from discovery.services.patience import ask
from discovery.services.strictness import endpoint_fault

#: Seconds of silence, and for the whole, after which an address is given up.
TIMEOUT = 10.0
PATIENCE = 30.0
#: What is read of an answer: its beginning is for the log.
MAX_ANSWER = 2_000

_NAT64 = IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """Nothing was sent; the message says why."""


class Unreachable(Exception):
    """The address did not take it; the message says what happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    seconds: float


def fault(url: str) -> str | None:
    """What is wrong with an address as somebody enters it; whether it may be reached is judged when something is sent."""
    return endpoint_fault(url.split("?", 1)[0])


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Raises ``Refused`` or ``Unreachable``. Takes at most ``PATIENCE`` seconds, whatever the other side does."""
    if reason := fault(url):
        raise Refused(f"The address {reason}.")
    parts = urlsplit(url)
    answer = ask({("post", url, body): partial(_post, parts, body, headers)}, PATIENCE)
    if not answer:
        raise Unreachable(f"It did not answer in {PATIENCE:g} seconds.")
    return next(iter(answer.values()))


def _post(parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> Answer:
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    connection = _Pinned(host, port, allowed(host, port), parts.scheme == "https")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    begun = time.monotonic()
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        text = clean(response.read(MAX_ANSWER).decode("utf-8", "replace"), 400)
        return Answer(response.status, text, round(time.monotonic() - begun, 3))
    except TimeoutError as error:
        raise Unreachable(f"It did not answer within {TIMEOUT:g} seconds.") from error
    except ssl.SSLError as error:
        raise Unreachable(f"It cannot be reached safely: {error.reason or error}.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(
            f"It cannot be reached: {clean(str(getattr(error, 'strerror', None) or error or type(error).__name__), 200)}."
        ) from error
    finally:
        connection.close()


def allowed(host: str, port: int) -> str:
    """The first address of ``host``, if all of them may be reached. Raises ``Refused`` or ``Unreachable``."""
    try:
        found = [str(entry[4][0]) for entry in getaddrinfo(host, port, type=SOCK_STREAM)]
    except (gaierror, UnicodeError, OSError) as error:
        raise Unreachable(f"There is no address for {clean(host, 200)}.") from error
    inside = [
        address for address in found if _is_inside(address) and not _is_permitted(host, address)
    ]
    if inside:
        where = (
            f"{clean(host, 200)} is" if host == inside[0] else f"{clean(host, 200)} is {inside[0]},"
        )
        raise Refused(
            f"{where} an address inside this network: nothing was sent. KAREN_WEBHOOK_PRIVATE names what may be reached."
        )
    return found[0]


def _is_inside(text: str) -> bool:
    """Everything but addresses of the public internet, also where one is wrapped in another."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        wrapped = (
            address.ipv4_mapped
            or address.sixtofour
            or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        )
        address = wrapped or address
    return not address.is_global or address.is_multicast


def _is_permitted(host: str, address: str) -> bool:
    for rule in settings.WEBHOOK_PRIVATE:
        if rule == host:
            return True
        try:
            network = ip_network(rule, strict=False)
        except ValueError:
            continue
        if ip_address(address.partition("%")[0]) in network:
            return True
    return False


class _Pinned(http.client.HTTPConnection):
    """Connects to ``address``, and speaks to ``host`` there."""

    def __init__(self, host: str, port: int, address: str, secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._address, self._context = address, ssl.create_default_context() if secure else None
        self.default_port = 443 if secure else 80

    def connect(self) -> None:
        plain: Any = create_connection((self._address, self.port), TIMEOUT)
        self.sock = (
            self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain
        )
