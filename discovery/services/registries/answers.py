"""What a registry's server did, as a ``RegistryError``; and reading its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean, is_web_page
from discovery.services.integrations.filtered_client import Busy
from discovery.services.integrations.http_client import AddressRefused, Unreachable
from discovery.services.registries.protocol import RegistryError, RemoteStream

#: Bytes that are handed on together: on a slow line, more would take too long.
CHUNK = 1 << 16


@contextmanager
def translated() -> Iterator[None]:
    """What the client raises becomes a ``RegistryError``."""
    try:
        yield
    except Busy as error:
        raise RegistryError(RegistryFault.BUSY, str(error), error.seconds) from error
    except AddressRefused as error:
        raise RegistryError(RegistryFault.REFUSED, str(error)) from error
    except Unreachable as error:
        raise RegistryError(RegistryFault.UNREACHABLE, str(error)) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        told = clean(str(error) or type(error).__name__, 200)
        raise RegistryError(RegistryFault.UNREACHABLE, f"It cannot be reached: {told}.") from error


def status_fault(
    status: int, about: str, *, with_key: bool, code: str = ""
) -> RegistryError | None:
    """What a status of 400 and above means, where ``about`` is what was asked for.

    ``code`` is ``X-Error-Code``, which the Hub sends.
    """
    if status < 400:
        return None
    if code == "GatedRepo":
        told = "It gives this only to whom its owner has given access: ask for it on its page."
        return RegistryError(RegistryFault.GATED, told)
    if status in (401, 403):
        told = (
            "It refuses the key: it may have been revoked, or may not see this."
            if with_key
            else "It wants a key, and there is none."
        )
        return RegistryError(RegistryFault.KEY, told)
    if status in (404, 410):
        return RegistryError(RegistryFault.GONE, f"It has no {about}.")
    return RegistryError(RegistryFault.UNREADABLE, f"It refuses the question (HTTP {status}).")


def parsed(raw: bytes) -> Any:
    """The JSON of an answer."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        told = "a web page" if is_web_page(raw.lstrip()) else "something that is not JSON"
        raise unreadable(f"It answers with {told}: is this the address of its API?") from error


def unreadable(message: str) -> RegistryError:
    return RegistryError(RegistryFault.UNREADABLE, message)


@contextmanager
def streamed(
    client: httpx2.Client, url: str, headers: dict[str, str], start: int, about: str
) -> Iterator[RemoteStream]:
    """A file from ``start`` on; from its beginning where the server does not know ranges."""
    ranged = {**headers, "Range": f"bytes={start}-"} if start else headers
    with translated(), client.stream("GET", url, headers=ranged) as response:
        if response.status_code == 416:
            raise RegistryError(
                RegistryFault.UNREADABLE, f"{about} has fewer than {start:,} bytes now."
            )
        with_key, code = "Authorization" in headers, response.headers.get("X-Error-Code", "")
        if fault := status_fault(response.status_code, about, with_key=with_key, code=code):
            raise fault
        partial = response.status_code == 206
        begins, size = _range(response, start) if partial else (0, _length(response))
        yield RemoteStream(begins, size, _chunks(response))


def _chunks(response: httpx2.Response) -> Iterator[bytes]:
    with translated():
        yield from response.iter_bytes(CHUNK)


def _length(response: httpx2.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _range(response: httpx2.Response, start: int) -> tuple[int, int | None]:
    """``bytes 100-199/200`` → (100, 200)."""
    told = response.headers.get("Content-Range", "").removeprefix("bytes ")
    begins, _, size = told.partition("-")[0], "", told.rpartition("/")[2]
    if not begins.isdigit() or int(begins) != start:
        raise unreadable("It sends another part of the file than was asked for.")
    return start, int(size) if size.isdigit() else None
