"""Connects to the IP address that was checked, wherever the host's name leads now.

DNS rebinding gains nothing.
"""

from __future__ import annotations

import http.client
import ssl
from socket import create_connection
from typing import Any

from discovery.engine.core.addresses import PORTS, Address


class Pinned(http.client.HTTPConnection):
    """Connects to the IP address ``place``, and sends requests for the host of ``address`` there.

    Redirects are answers like any other.
    """

    def __init__(self, address: Address, place: str, timeout: float) -> None:
        super().__init__(address.host, address.port, timeout=timeout)
        self.default_port = PORTS[address.scheme]
        self._place, self._seconds = place, timeout
        self._context = ssl.create_default_context() if address.scheme == "https" else None

    def connect(self) -> None:
        plain: Any = create_connection((self._place, self.port), self._seconds)
        self.sock = (
            self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain
        )
