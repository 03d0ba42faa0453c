"""Ports for servers that tests start."""

from __future__ import annotations

import secrets
import socket


def free_port() -> int:
    """A port of this machine that nobody listens on.

    It lies below those that systems give to outgoing connections: until the server of the test has
    taken it, nothing else does by chance.
    """
    while True:
        port = secrets.randbelow(22_000) + 10_000  # not the one that another worker chooses
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
