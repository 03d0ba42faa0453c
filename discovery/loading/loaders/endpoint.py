"""Hosted models: does the address answer ``GET /v1/models`` as OpenAI-compatible servers do?

The only loader that uses the network.

Redirects are not followed: the key must not travel to a host that nobody entered.
Source: https://platform.openai.com/docs/api-reference/models/list
"""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from discovery.engine.core.addresses import Address, read
from discovery.engine.core.text import clean, plural
from discovery.engine.untrusted.pinned import Pinned
from discovery.loading.errors import LoadFailed, LoadRefused
from discovery.loading.job import Job

NAME = "endpoint"

#: Seconds of silence after which the server is given up; the parent's limit bounds the whole.
TIMEOUT = 10
MAX_BYTES = 1 << 20


def load(job: Job) -> str:
    address = _address(job.endpoint)
    path = models_path(address.path)
    status, headers, body = _get(address, job.place or address.host, path, job.api_key)
    shown = f"{address.scheme}://{address.place}{path}"
    if status in (401, 403):
        which = "refuses the key" if job.api_key else "asks for a key"
        raise LoadFailed(f"{shown} {which} ({status} {_phrase(status)}).")
    if 300 <= status < 400:
        target = clean(headers.get("Location", "another address"), 200)
        raise LoadFailed(
            f"{shown} sends on to {target}, which is not followed. If that is the right place,"
            " enter it as the endpoint."
        )
    if status != 200:
        raise LoadFailed(f"{shown} answers {status} {_phrase(status)}.")
    return f"{shown} answers: {_told(_names(body, headers, shown), job.name)}"


def _address(endpoint: str) -> Address:
    """Return the address of the endpoint.

    Raises ``Refused`` for anything but an http or https address with a host.
    """
    try:
        return read(endpoint)
    except ValueError as error:
        raise LoadRefused(f"The endpoint {error}: nothing was asked.") from error


def models_path(path: str) -> str:
    """Return the path of ``/v1/models`` for an address.

    The address may point to a base, to ``/v1``, or to ``/v1/chat/completions``.
    """
    before, version, _ = f"{path.rstrip('/')}/".partition("/v1/")
    return f"{before.rstrip('/')}/v1/models" if version else f"{path.rstrip('/')}/v1/models"


def _get(
    address: Address, place: str, path: str, key: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    host, connection = address.host, Pinned(address, place, TIMEOUT)
    headers = {"Accept": "application/json", "User-Agent": "karen-admin"} | (
        {"Authorization": f"Bearer {key}"} if key else {}
    )
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read(MAX_BYTES + 1)
    except TimeoutError as error:
        raise LoadFailed(f"{host} did not answer within {TIMEOUT} seconds.") from error
    except ssl.SSLError as error:
        raise LoadFailed(f"{host} cannot be reached safely: {error.reason or error}.") from error
    except OSError as error:
        raise LoadFailed(f"{host} cannot be reached: {error.strerror or error}.") from error
    except (http.client.HTTPException, ValueError) as error:
        raise LoadFailed(f"{host} does not answer in HTTP: {type(error).__name__}.") from error
    finally:
        connection.close()


def _names(body: bytes, headers: http.client.HTTPMessage, shown: str) -> list[str]:
    """``{"data": [{"id": "llama-3"}, ...]}`` → the ids."""
    if len(body) > MAX_BYTES:
        raise LoadFailed(f"{shown} answers with more than {MAX_BYTES >> 20} MiB.")
    if body.lstrip()[:1] == b"<":
        raise LoadFailed(
            f"{shown} answers with a web page, not with a list of models: is it the right address?"
        )
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise LoadFailed(
            f"{shown} answers with {headers.get_content_type()} that is not JSON."
        ) from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        raise LoadFailed(
            f"{shown} answers with JSON that is not a list of models ({{'data': [...]}})."
        )
    return [clean(str(item["id"]), 100) for item in data if isinstance(item, dict) and "id" in item]


def _told(names: list[str], name: str) -> str:
    first = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    listed = f"{plural(len(names), 'model')}{': ' if names else ''}{first}."
    return (
        listed if name in names else f"{listed} None of them is called {name}." if names else listed
    )


def _phrase(status: int) -> str:
    return http.client.responses.get(status, "")
