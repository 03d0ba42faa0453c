"""A real browser. Any console error or breach of the content policy fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import expect

from tests.support.pages import shelve

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
#: Milliseconds that a page has to show what is expected of it.
PATIENT = 60_000
REQUIRED = os.environ.get("KAREN_REQUIRE_BROWSER") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.django_db(transaction=True))
            if not CHROMIUM and not REQUIRED:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    assert CHROMIUM, "KAREN_REQUIRE_BROWSER is set and there is no Chromium"
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ["--no-sandbox"]}


@pytest.fixture(scope="session", autouse=True)
def _busy_machine() -> None:
    """What a page shows in a moment on an idle machine may take a minute on a busy one."""
    expect.set_options(timeout=PATIENT)


@pytest.fixture(scope="session")
def base_url() -> None:
    """Addresses come from ``live_server``.

    The plugin's own fixture warns under this version of pytest.
    """


@pytest.fixture(scope="session", autouse=True)
def _async_is_fine() -> Iterator[None]:
    """Playwright runs an event loop in this thread, which Django takes for asynchronous code."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    yield
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session", autouse=True)
def _static_files_as_in_production() -> Iterator[None]:
    """The live server would serve them by a handler of its own, past our middleware and
    uncompressed.
    """
    with patch(
        "django.contrib.staticfiles.handlers.StaticFilesHandler", lambda application: application
    ):
        yield


@pytest.fixture(autouse=True)
def quiet_console(page: Any) -> Iterator[list[str]]:
    """What the browser complains about. Tests that expect a complaint take it out of the list."""
    heard: list[str] = []
    page.set_default_timeout(PATIENT)
    page.on(
        "console",
        lambda message: (
            heard.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    assert heard == []


@pytest.fixture
def shelf(transactional_db: None, models_root: Path) -> Path:
    """Three models on disk, registered."""
    shelve(models_root)
    return models_root


@pytest.fixture
def sign_in(page: Any, live_server: Any, transactional_db: None) -> Callable[..., None]:
    def signing_in(*, staff: bool = True, to: str = "/models/") -> None:
        User.objects.create_user(
            "ada", password="a-long-password", is_staff=staff, is_superuser=staff
        )
        page.goto(f"{live_server.url}{to}")
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password").fill("a-long-password")
        page.get_by_role("button", name="Sign in").click()
        # The sign-in page's own address ends like the one it leads to.
        page.wait_for_url(lambda url: urlsplit(url).path != reverse("login"))

    return signing_in
