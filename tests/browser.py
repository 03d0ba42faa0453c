"""Somebody at a server that runs in another process, by nothing but HTTP."""

from __future__ import annotations

import http.cookiejar
import re
import time
import urllib.error
import urllib.parse
import urllib.request

from tests.support.waiting import DEADLINE


class Browser:
    """Signed in as the administrator."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', self.get("/login/")[1])
        assert token
        sent = {
            "username": "admin",
            "password": "correct horse battery",
            "csrfmiddlewaretoken": token[1],
        }
        self.opener.open(
            f"{self.base}/login/", urllib.parse.urlencode(sent).encode(), timeout=DEADLINE
        ).close()

    def get(self, path: str) -> tuple[int, str, float]:
        started = time.monotonic()
        try:
            with self.opener.open(self.base + path, timeout=DEADLINE) as response:
                status, body = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read().decode()
        return status, body, time.monotonic() - started
