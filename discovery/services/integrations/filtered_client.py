"""An HTTP client for servers that people named: every hop passes the filter of outgoing calls.

Addresses inside this network are refused unless an environment variable names them, the connection
goes to the address that was checked, and answers are cut in size, time and redirects.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2

from discovery.engine.core.addresses import read
from discovery.engine.core.text import clean, human_bytes
from discovery.services.core.timeouts import ask
from discovery.services.integrations.http_client import AddressRefused, Unreachable, allowed

T = TypeVar("T")

#: Hops of one question: the Hub needs two.
MAX_REDIRECTS = 5
#: Seconds of silence after which a server is given up, and for the head of an answer in all.
SILENCE, HEAD = 20.0, 45.0
#: The longest time that a server can make us wait by what it says.
LONGEST_WAIT = 24 * 3600.0

_RESET = re.compile(r"\br\s*=\s*0\b.*?\bt\s*=\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one answer: its bytes, and the seconds that it may take. ``None``: as many as it takes."""

    size: int | None = 32 << 20
    seconds: float | None = 60.0


#: Of files that are downloaded: their reader counts their bytes.
UNLIMITED = Limits(None, None)


class Busy(Unreachable):
    """The server asks to be left alone; ``seconds`` is for how long, where it says so."""

    def __init__(self, message: str, seconds: float | None) -> None:
        super().__init__(message)
        self.seconds = seconds


class AnswerTooLarge(Unreachable):
    """The answer was cut, and is not used."""


class TooManyRedirects(Unreachable):
    """It leads from address to address."""


def client(variable: str, limits: Limits | None = None) -> httpx2.Client:
    """``variable`` names the addresses inside this network that may be reached.

    Requests raise ``AddressRefused`` or ``Unreachable``, nothing else of theirs.
    """
    return httpx2.Client(
        transport=_Filter(variable, limits or Limits()),
        follow_redirects=False,
        timeout=SILENCE,
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
    )


class _Filter(httpx2.BaseTransport):
    """Follows redirects itself: each hop is a request of its own to an address that is checked."""

    def __init__(self, variable: str, limits: Limits) -> None:
        self._variable, self._limits = variable, limits
        self._context = ssl.create_default_context()
        #: One for each host: connections are shared by address, and hosts may share one.
        self._ways: dict[str, httpx2.HTTPTransport] = {}

    def close(self) -> None:
        for way in self._ways.values():
            way.close()
        self._ways.clear()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        begun = time.monotonic()
        for _ in range(MAX_REDIRECTS + 1):
            response = self._hop(request)
            if not response.has_redirect_location:
                return self._limited(response, begun)
            response.close()
            request = _next(request, response)
        raise TooManyRedirects(f"It redirects more than {MAX_REDIRECTS} times.")

    def _hop(self, request: httpx2.Request) -> httpx2.Response:
        try:
            address = read(str(request.url))
        except ValueError as error:
            raise AddressRefused(f"The address {error}.") from error
        place = allowed(address.host, address.port, self._variable)
        way = self._ways.setdefault(address.host, httpx2.HTTPTransport(verify=self._context))
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=place),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": address.host},
        )
        # Silence is counted anew with each byte: in a thread of its own the whole is bounded.
        heads = ask({object(): lambda: _reached(lambda: way.handle_request(pinned))}, HEAD)
        if not heads:
            raise Unreachable(f"It did not begin to answer within {HEAD:g} seconds.")
        return next(iter(heads.values()))

    def _limited(self, response: httpx2.Response, begun: float) -> httpx2.Response:
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            response.close()
            raise Unreachable(f"It packs its answers ({clean(coding, 40)}) although asked not to.")
        _unless_busy(response)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        stream = _Counted(response.stream, self._limits, begun)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=stream,
            extensions=response.extensions,
        )


class _Counted(httpx2.SyncByteStream):
    """A body that ends where it has grown too large or taken too long."""

    def __init__(self, inner: httpx2.SyncByteStream, limits: Limits, begun: float) -> None:
        self._inner, self._limits, self._begun = inner, limits, begun

    def __iter__(self) -> Iterator[bytes]:
        chunks, size = iter(self._inner), 0
        while chunk := _reached(lambda: next(chunks, b"")):
            size += len(chunk)
            if self._limits.size is not None and size > self._limits.size:
                told = human_bytes(self._limits.size)
                raise AnswerTooLarge(f"It answers with more than {told}: the answer was cut.")
            if (
                self._limits.seconds is not None
                and time.monotonic() - self._begun > self._limits.seconds
            ):
                raise Unreachable(f"It took more than {self._limits.seconds:g} seconds to answer.")
            yield chunk

    def close(self) -> None:
        self._inner.close()


def _next(request: httpx2.Request, response: httpx2.Response) -> httpx2.Request:
    """What a redirect asks for. Keys stay with the server that they were meant for."""
    try:
        url = request.url.join(response.headers["Location"])
    except httpx2.InvalidURL as error:
        raise Unreachable("It redirects to something that is not an address.") from error
    headers = httpx2.Headers(request.headers)
    same = (url.scheme, url.host, url.port) == (
        request.url.scheme,
        request.url.host,
        request.url.port,
    )
    if not same:
        headers.pop("Authorization", None)
        headers.pop("Cookie", None)
    headers.pop("Host", None)
    if request.method not in ("GET", "HEAD"):
        raise Unreachable("It redirects what was sent to it.")
    return httpx2.Request(request.method, url, headers=headers, extensions=request.extensions)


def _reached(question: Callable[[], T]) -> T:
    try:
        return question()
    except httpx2.TimeoutException as error:
        raise Unreachable(f"It did not answer within {SILENCE:g} seconds.") from error
    except (httpx2.HTTPError, httpx2.StreamError, OSError, ssl.SSLError) as error:
        told = clean(str(error) or type(error).__name__, 200)
        raise Unreachable(f"It cannot be reached: {told}.") from error


def _unless_busy(response: httpx2.Response) -> None:
    status = response.status_code
    if status in (429, 503):
        response.close()
        seconds = _wait(response.headers)
        told = f" for {seconds:g} seconds" if seconds else ""
        what = "has had too many requests" if status == 429 else "is not available now"
        raise Busy(f"It {what} (HTTP {status}) and asks to be left alone{told}.", seconds)
    if status >= 500:
        response.close()
        raise Unreachable(f"It has a fault of its own (HTTP {status}).")


def _wait(headers: httpx2.Headers) -> float | None:
    """``Retry-After`` (RFC 9110), or the reset of ``RateLimit`` (its draft), in seconds."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 12:
        return min(float(text), LONGEST_WAIT)
    if text:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)
    if found := _RESET.search(headers.get("RateLimit", "")):
        return min(float(found[1][:9]), LONGEST_WAIT)
    return None
