"""Connect to servers that people entered, without being led into the internal network.

These are the receivers of webhooks and the servers of hosted models; ``filtered_client`` asks
external registries through the same filter.

The name is looked up once, every address is checked, and the connection goes to an address that was
checked. Redirects are not followed. An address that would be refused is also refused when it is
saved.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from socket import SOCK_STREAM, getaddrinfo

from django.conf import settings

from discovery.engine.core.addresses import Address, host, is_inside, is_literal, read
from discovery.engine.core.text import clean
from discovery.engine.untrusted.pinned import Pinned
from discovery.services.core import endpoint_addresses
from discovery.services.core.endpoint_addresses import address_fault
from discovery.services.core.timeouts import ask

#: Seconds of silence, and for the whole, after which an address is given up.
TIMEOUT = 10.0
PATIENCE = 30.0
#: Seconds that looking up a name may take, and while somebody waits for a form.
LOOKUP, LOOKUP_OF_FORMS = 10.0, 3.0
#: What is read of an answer: its beginning is for the log.
MAX_ANSWER = 2_000

WEBHOOKS, ENDPOINTS = "KAREN_WEBHOOK_PRIVATE", "KAREN_ENDPOINT_PRIVATE"
REGISTRIES = "KAREN_REGISTRY_PRIVATE"


class AddressRefused(Exception):
    """Nothing was sent; the message says why."""


class Unreachable(Exception):
    """The address did not take it; the message says what happened."""


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    status: int
    text: str
    seconds: float


# -- what may be reached


def permitted(variable: str) -> Sequence[str]:
    """The hosts and networks inside this one that an environment variable names.

    Endpoints without a list of their own have the webhooks'.
    """
    if variable == REGISTRIES:
        return list(settings.REGISTRY_PRIVATE)
    if variable == ENDPOINTS and settings.ENDPOINT_PRIVATE is not None:
        return list(settings.ENDPOINT_PRIVATE)
    return list(settings.WEBHOOK_PRIVATE)


def permission_faults() -> list[str]:
    """Entries of those lists that name nothing, in sentences."""
    named = {
        WEBHOOKS: settings.WEBHOOK_PRIVATE,
        ENDPOINTS: settings.ENDPOINT_PRIVATE or (),
        REGISTRIES: settings.REGISTRY_PRIVATE,
    }
    return [
        f"{variable}: “{rule[:80]}” is neither a host name nor an address or network such as"
        " 10.1.0.0/16, and permits nothing."
        for variable, rules in named.items()
        for rule in rules
        if not _is_rule(rule)
    ]


def _is_rule(rule: str) -> bool:
    try:
        ip_network(rule, strict=False)
    except ValueError:
        try:
            host(rule)
        except ValueError:
            return False
    return True


def fault(url: str, variable: str = WEBHOOKS) -> str | None:
    """Return what is wrong with an address that somebody enters.

    The text completes a sentence: ``must be …``, ``leads to 10.0.0.1, …``. A name that cannot be
    looked up now is accepted: it is checked again whenever something is sent.
    """
    if reason := address_fault(url):
        return reason
    address = read(url)
    inside = _inside(
        address.host, _addresses(address.host, address.port, LOOKUP_OF_FORMS), variable
    )
    if not inside:
        return None
    return (
        f"leads to {inside}, which is inside this network: it is refused unless {variable} names it"
        " in the server's environment"
    )


def endpoint_fault(text: str) -> str | None:
    """The same of the base address of a hosted model's server."""
    return endpoint_addresses.endpoint_fault(text) or fault(text, ENDPOINTS)


def allowed(name: str, port: int, variable: str = WEBHOOKS) -> str:
    """The first address of a host, if all of them may be reached.

    Raises ``Refused`` or ``Unreachable``.
    """
    try:
        name = host(name)
    except ValueError as error:
        raise AddressRefused(f"The address {error}.") from error
    found = _addresses(name, port, LOOKUP)
    if not found:
        raise Unreachable(f"There is no address for {clean(name, 200)}.")
    if inside := _inside(name, found, variable):
        where = f"{name} is" if name == inside else f"{clean(name, 200)} is {inside},"
        raise AddressRefused(
            f"{where} an address inside this network: nothing was sent. {variable} names what may"
            " be reached."
        )
    return found[0]


def _addresses(name: str, port: int, seconds: float) -> list[str]:
    """All that a host leads to; none where that is not known within so many seconds."""
    if is_literal(name):
        return [name]
    answers = ask({("address", name, port): partial(_looked_up, name, port)}, seconds)
    return next(iter(answers.values()), [])


def _looked_up(name: str, port: int) -> list[str]:
    try:
        return [str(entry[4][0]) for entry in getaddrinfo(name, port, type=SOCK_STREAM)]
    except (UnicodeError, OSError):
        return []


def _inside(name: str, found: Sequence[str], variable: str) -> str:
    """Return the first address in the internal network that is not permitted.

    The result is empty when there is none.
    """
    rules = permitted(variable)
    return next(
        (
            address
            for address in found
            if is_inside(address) and not _is_permitted(name, address, rules)
        ),
        "",
    )


def _is_permitted(name: str, address: str, rules: Sequence[str]) -> bool:
    for rule in rules:
        try:
            if ip_address(address.partition("%")[0]) in ip_network(rule, strict=False):
                return True
        except ValueError:
            try:
                if host(rule) == name:
                    return True
            except ValueError:
                continue
    return False


# -- sending


def post(url: str, body: bytes, headers: Mapping[str, str]) -> OutboundResponse:
    """Send a POST request; raises ``Refused`` or ``Unreachable``.

    Takes at most ``PATIENCE`` seconds, whatever the other side does.
    """
    if reason := address_fault(url):
        raise AddressRefused(f"The address {reason}.")
    answer = ask({("post", url, body): partial(_post, read(url), body, headers)}, PATIENCE)
    if not answer:
        raise Unreachable(f"It did not answer in {PATIENCE:g} seconds.")
    return next(iter(answer.values()))


def _post(address: Address, body: bytes, headers: Mapping[str, str]) -> OutboundResponse:
    connection = Pinned(address, allowed(address.host, address.port), TIMEOUT)
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    begun = time.monotonic()
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        text = clean(response.read(MAX_ANSWER).decode("utf-8", "replace"), 400)
        return OutboundResponse(response.status, text, round(time.monotonic() - begun, 3))
    except TimeoutError as error:
        raise Unreachable(f"It did not answer within {TIMEOUT:g} seconds.") from error
    except ssl.SSLError as error:
        raise Unreachable(f"It cannot be reached safely: {error.reason or error}.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = clean(str(getattr(error, "strerror", None) or error or type(error).__name__), 200)
        raise Unreachable(f"It cannot be reached: {said}.") from error
    finally:
        connection.close()
