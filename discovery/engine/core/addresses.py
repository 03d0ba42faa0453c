"""Parses and compares the addresses of servers, and recognizes those of this network.

Hosts are compared in their canonical form: lower case, without a dot at the end, IDNA as ASCII, an
IPv4 address as four numbers whatever its spelling (``0x7f.1``, ``2130706433``). Addresses that
programs parse differently (backslashes, percent signs, zones) are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import inet_aton
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}

_MAX_HOST = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: RFC 3493 and WHATWG: a host whose last label is a number is an IPv4 address.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")

#: What of IPv6 leads to the internet (RFC 4291); all else is local, reserved, or carries an IPv4
#: address.
_GLOBAL = IPv6Network("2000::/3")
#: The prefix of translators to IPv4 (RFC 6052). ``64:ff9b:1::/48`` is for translation inside a
#: network (RFC 8215).
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Address:
    """An http or https address, without a name and password.

    ``host`` is in the form that is compared, ``path`` may be empty.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def place(self) -> str:
        """The host as lists name it, without the usual port: ``api.example.org``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def read(text: str) -> Address:
    """Raises ``ValueError`` with what is wrong, to be said of an address: ``must be …``."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not an address: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS or not parts.hostname or port == 0:
        raise ValueError("must be an http:// or https:// address with a host")
    if "\\" in text:
        raise ValueError("must not contain a backslash")
    return Address(scheme, host(parts.hostname), port or PORTS[scheme], parts.path, parts.query)


def host(text: str) -> str:
    """The form of a host name or IP address that is compared.

    Raises ``ValueError`` with what is wrong, to be said of an address.
    """
    if ":" in text:
        return _ipv6(text)
    try:
        name = text.removesuffix(".").encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise ValueError("has a host that is not a valid host name") from error
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name)
    if len(name) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("has a host that is not a valid host name")
    return name


def _ipv6(text: str) -> str:
    if "%" in text:
        raise ValueError("must not name a zone of this machine (%)")
    try:
        return str(IPv6Address(text))
    except ValueError as error:
        raise ValueError("has a host that is not an IPv6 address") from error


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(inet_aton(text)))
    except (OSError, ValueError) as error:
        raise ValueError("has a host that is not an IPv4 address") from error


def is_literal(name: str) -> bool:
    """Whether a host is an IP address and needs no DNS lookup."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_inside(text: str) -> bool:
    """Everything but addresses of the public internet, also where one is wrapped in another."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        carried = (
            address.ipv4_mapped
            or address.sixtofour
            or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        )
        if carried is None:
            return address not in _GLOBAL or not address.is_global
        address = carried
    return not address.is_global or address.is_multicast


def read_hosts(text: str) -> tuple[list[tuple[str, int | None]], list[str]]:
    """Reads a list of hosts (``api.example.org, [::1]:8080``).

    Returns ([(host, port or ``None`` for any)], [what is wrong with the others]).
    """
    found: list[tuple[str, int | None]] = []
    faults: list[str] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(_entry(entry))
        except ValueError as error:
            faults.append(f"“{entry[:80]}” {error}")
    return found, faults


def _entry(text: str) -> tuple[str, int | None]:
    if "*" in text or "?" in text:
        raise ValueError("has a wildcard: name each host in full")
    if "/" in text or "@" in text or "\\" in text:
        raise ValueError(
            "must be a host name alone, with or without a port (api.example.org, 127.0.0.1:8080)"
        )
    if is_literal(text):
        return host(text), None
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        name, port = text, ""
    if colon and port == "" and not text.endswith("]"):
        raise ValueError("has a colon and no port")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65_536):
        raise ValueError("has a port that is not a number from 1 to 65535")
    if name.startswith("[") != name.endswith("]") or (":" in name and not name.startswith("[")):
        raise ValueError(
            "must be a host name alone, with or without a port (api.example.org, 127.0.0.1:8080)"
        )
    return host(name.removeprefix("[").removesuffix("]")), int(port) if port else None
