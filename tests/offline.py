"""Names of servers for tests: what they lead to is written here, and nothing is asked of a name
server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from discovery.engine.core.addresses import is_literal
from discovery.services.integrations import http_client

#: What every name leads to, unless a test says otherwise: a public address that is never connected
#: to.
ELSEWHERE = "93.184.216.34"

#: Registries that are asked of themselves once they are enabled: an address that is refused.
REGISTRIES = ("huggingface.co", "registry.ollama.ai", "modelscope.cn", "modelzoo.co")

Names = dict[str, list[str]]


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """``names["models.example"] = ["10.0.0.1"]``; empty for a name that nobody knows."""
    known: Names = {"localhost": ["127.0.0.1"], **{key: ["10.0.0.1"] for key in REGISTRIES}}
    monkeypatch.setattr(http_client, "getaddrinfo", _lookup(known, socket.getaddrinfo))
    return known


def _lookup(known: Names, real: Callable[..., Any]) -> Callable[..., list[Any]]:
    def lookup(host: str, port: int, **options: Any) -> list[Any]:
        if is_literal(host):
            return list(real(host, port, **options))
        found = known.get(host, [ELSEWHERE])
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (
                socket.AF_INET6 if ":" in each else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (each, port),
            )
            for each in found
        ]

    return lookup
