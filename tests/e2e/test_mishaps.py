"""What goes wrong in the middle of a swap: the page stays whole and says what is the matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, RegisteredModel
from discovery.services.core import event_log

SignIn = Callable[..., None]


def expected(quiet_console: list[str], status: int) -> None:
    """The browser and htmx note a refused request in the console; that, and nothing else."""
    assert quiet_console
    assert all(
        f"status of {status}" in text or f"Error Code {status}" in text for text in quiet_console
    )
    quiet_console.clear()


def test_a_model_that_is_gone_in_the_middle_is_told(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    sign_in(to="/models/llama-chat/files/")
    RegisteredModel.objects.filter(model_id="llama-chat").delete()
    page.get_by_role("searchbox").press_sequentially("safe")
    expect(page.locator(".toast")).to_contain_text(
        "It is not there any more, or not shared with you."
    )
    expect(page.get_by_role("cell", name="model.safetensors", exact=True)).to_be_visible()
    expected(quiet_console, 404)


def test_a_failure_of_the_server_leaves_the_page_as_it_was(
    page: Page,
    shelf: Path,
    sign_in: SignIn,
    quiet_console: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(to="/logs/?live=0")
    rows = page.locator("table.log tbody tr").count()
    assert rows
    monkeypatch.setattr("discovery.web.logs.known_models", lambda *_: 1 / 0)
    page.get_by_role("combobox", name="Level").select_option("error")
    expect(page.locator(".toast")).to_contain_text("The server failed.")
    expect(page.locator("table.log tbody tr")).to_have_count(rows)
    expected(quiet_console, 500)


def test_what_asks_again_and_again_for_something_gone_gives_up(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    asked: list[str] = []
    page.route(
        "**/logs/?latest=*",
        lambda route: (
            asked.append("x"),
            route.fulfill(status=404, content_type="text/plain", body="Gone."),
        ),
    )
    sign_in(to="/logs/")
    expect(page.locator(".toast")).to_contain_text("Gone.")
    page.wait_for_timeout(2500)
    assert len(asked) == 1
    expected(quiet_console, 404)


def test_a_server_that_is_away_is_told_once_until_it_is_back(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    away = [True]
    page.route("**/logs/?latest=*", lambda route: route.abort() if away[0] else route.continue_())
    sign_in(to="/logs/")
    expect(page.locator(".toast")).to_contain_text("The server does not answer.")
    page.get_by_role("button", name="Dismiss").click()
    page.wait_for_timeout(2500)
    expect(page.locator(".toast")).to_have_count(0)
    away[0] = False
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    quiet_console.clear()


def test_an_expired_session_leads_the_whole_page_to_the_door_from_a_poll_too(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/logs/?level=info")
    page.context.clear_cookies()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.url.endswith("?next=/logs/%3Flevel%3Dinfo")


def test_the_log_grows_by_itself_and_can_be_paused(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/logs/")
    event_log.record(LogTopic.DISCOVERY, Severity.WARNING, "it happens now")
    expect(page.get_by_text("it happens now")).to_be_visible()
    page.get_by_role("link", name="Pause").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    event_log.record(LogTopic.DISCOVERY, Severity.WARNING, "unseen for now")
    page.wait_for_timeout(2500)
    expect(page.get_by_text("unseen for now")).to_have_count(0)
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_text("unseen for now")).to_be_visible()


def test_the_menu_of_a_narrow_window_opens_and_closes_by_keyboard(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    sign_in()
    link = page.get_by_role("navigation", name="Main").get_by_role("link", name="System")
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Menu").press("Enter")
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    link.click()
    page.wait_for_url("**/system/")


def test_on_paper_there_is_ink_and_no_frame(page: Page, shelf: Path, sign_in: SignIn) -> None:
    page.emulate_media(color_scheme="dark")
    sign_in()
    expect(page.locator(".side")).to_be_visible()
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator(".side")).to_be_hidden()
    expect(page.locator("#search")).to_be_hidden()
    expect(page.get_by_role("cell").first).to_be_visible()
    assert _brightness(page.evaluate("getComputedStyle(document.body).color")) < 80


def _brightness(colour: str) -> float:
    numbers = [
        float(part) for part in colour[colour.index("(") + 1 : -1].replace(",", " ").split()[:3]
    ]
    return sum(numbers) / 3


def test_a_message_goes_to_the_one_live_region(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in(to="/scans/")
    page.get_by_role("button", name="Scan now").click()
    expect(page.locator("[aria-live] .toast")).to_contain_text("Scan started.")
    expect(page.locator("[aria-live]")).to_have_count(1)
