"""Keys of hosted models, each bound to the hosts that it may be sent to.

Keys and hosts are stored in the environment and nowhere else.

``KAREN_ENDPOINT_KEY_LAB`` goes to the hosts of ``KAREN_ENDPOINT_HOSTS_LAB``; ``KAREN_ENDPOINT_KEY``
alone to those of ``KAREN_ENDPOINT_HOSTS``. A key without hosts is not sent.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from discovery.engine.core.addresses import Address, read_hosts
from discovery.engine.core.service_words import KEY_PREFIX
from discovery.services.integrations import http_client

HOSTS_PREFIX = "KAREN_ENDPOINT_HOSTS"


@dataclass(frozen=True, slots=True)
class Key:
    """A variable that holds a key, and the hosts that it is bound to.

    The key itself is read when it is sent.
    """

    variable: str
    hosts_variable: str
    is_set: bool
    hosts: tuple[tuple[str, int | None], ...]
    faults: tuple[str, ...]

    def goes_to(self, address: Address) -> bool:
        return any(
            name == address.host and port in (None, address.port) for name, port in self.hosts
        )

    @property
    def places(self) -> list[str]:
        """``api.example.org``, ``[::1]:8080``."""
        named = [(f"[{name}]" if ":" in name else name, port) for name, port in self.hosts]
        return [f"{name}:{port}" if port else name for name, port in named]


def key(variable: str) -> Key:
    hosts_variable = HOSTS_PREFIX + variable.removeprefix(KEY_PREFIX)
    hosts, faults = read_hosts(os.environ.get(hosts_variable, ""))
    told = [f"{hosts_variable}: {fault}." for fault in faults]
    is_set = bool(os.environ.get(variable, "").strip())
    if is_set and not hosts:
        told.insert(
            0,
            f"{variable} is sent nowhere: set {hosts_variable} to the hosts that it may be sent to,"
            " such as api.example.org.",
        )
    if not is_set:
        told.insert(0, f"{hosts_variable} names hosts, but {variable} is not set.")
    return Key(variable, hosts_variable, is_set, tuple(hosts), tuple(told))


def keys() -> list[Key]:
    """All that the environment names, by a key or by hosts."""
    names = {name for name in os.environ if re.fullmatch(rf"{KEY_PREFIX}(_[A-Z0-9_]+)?", name)}
    names |= {
        KEY_PREFIX + name.removeprefix(HOSTS_PREFIX)
        for name in os.environ
        if re.fullmatch(rf"{HOSTS_PREFIX}(_[A-Z0-9_]+)?", name)
    }
    return [key(name) for name in sorted(names)]


def faults() -> list[str]:
    """Return what is wrong with the keys, hosts and permissions in the environment.

    The sentences are for ``manage.py check`` and the System page.
    """
    return [fault for each in keys() for fault in each.faults] + http_client.permission_faults()


def key_for(variable: object, address: Address) -> tuple[str, str]:
    """(the key to send to ``address``, what is to be said of that).

    Only variables made for that are ever read.
    """
    if not isinstance(variable, str) or not re.fullmatch(rf"{KEY_PREFIX}[A-Z0-9_]*", variable):
        return "", ""
    found = key(variable)
    if not found.is_set:
        return "", f"No key was sent: {variable} is not set."
    if not found.hosts:
        return "", f"The key was not sent: {' '.join(found.faults)}"
    if not found.goes_to(address):
        bound = f"{found.hosts_variable} names {', '.join(found.places[:5])}"
        return (
            "",
            (
                f"The key was not sent to {address.place}: {bound}. Add {address.place} to"
                f" {found.hosts_variable} if it may have the key."
            ),
        )
    return os.environ[variable].strip(), ""
