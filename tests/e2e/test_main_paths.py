"""What people do with the pages, in a browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from discovery.models import RegisteredModel, Root, ScanRun
from discovery.services import scans
from tests.support import builders

SignIn = Callable[..., None]


def names(page: Page) -> list[str]:
    return page.locator("td .name").all_inner_texts()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_sign_in_browse_open_a_model_and_sign_out(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in(to="/models/")
    expect(page).to_have_title("Models · Karen Admin")
    assert names(page) == ["bert-base", "llama-chat", "whisper-tiny"]
    page.get_by_role("link", name="bert-base", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("bert-base")
    expect(page.locator(".card h3")).to_have_text("Bert")
    expect(page.locator(".card .picture")).to_have_text("pixel")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_search_while_typing_keeps_focus_and_address(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    page.keyboard.press("/")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    field.press_sequentially("chat")
    expect(page.get_by_text("1 model", exact=True).first).to_be_visible()
    assert names(page) == ["llama-chat"]
    expect(field).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?q=chat$"))
    expect(page.locator("#live")).to_have_text("1 model")
    field.press_sequentially("zzz")
    expect(page.get_by_text("No models match")).to_be_visible()
    page.get_by_role("link", name="Clear the search").click()
    expect(page.locator("td .name")).to_have_count(3)
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_sorting_keeps_the_search_the_focus_and_the_way_back(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    page.get_by_role("link", name="Size").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Size")
    expect(page.locator("#sort-size")).to_be_focused()
    assert names(page) == ["whisper-tiny", "bert-base", "llama-chat"]
    page.get_by_role("searchbox").press_sequentially("er")
    expect(page).to_have_url(re.compile(r"q=er.*sort=-size"))
    assert names(page) == ["whisper-tiny", "bert-base"]
    page.go_back()
    expect(page.locator("td .name").first).to_have_text("bert-base")
    expect(page.locator(".side")).to_be_visible()
    expect(page.locator("#nav-models")).to_have_text("3")


def test_the_tabs_of_a_model_and_its_tensors(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in(to="/models/llama-chat/")
    page.get_by_role("link", name="Files").click()
    expect(page.get_by_role("cell", name="model.safetensors", exact=True)).to_be_visible()
    page.get_by_role("link", name="Tensors").click()
    expect(page).to_have_url(re.compile("/tensors/$"))
    page.get_by_role("searchbox").press_sequentially("embed_tokens")
    expect(page.get_by_text("1 tensor", exact=True).first).to_be_visible()
    expect(page.get_by_role("cell", name="1,000 × 64", exact=True)).to_be_visible()


def test_the_path_is_copied(page: Page, shelf: Path, sign_in: SignIn) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(to="/models/llama-chat/")
    page.get_by_role("button", name="Copy path").click()
    expect(page.locator(".toast")).to_contain_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == str(shelf / "llama-chat")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".toast")).to_have_count(0)


def test_a_scan_is_asked_for_watched_and_seen_to_end(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/scans/")
    expect(page.get_by_text("Reachable")).to_be_visible()
    builders.transformers(shelf / "new-one", hidden=96)
    page.get_by_role("button", name="Scan now").click()
    expect(page.get_by_text("Scan started.")).to_be_visible()
    expect(page.get_by_role("heading", name="Running")).to_be_visible()

    def worker() -> None:
        scans.execute(ScanRun.objects.get(state="queued"))
        connection.close()

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    expect(page.get_by_text("Scan finished: 1 new, 0 changed, 0 missing.")).to_be_visible()
    expect(page.get_by_role("heading", name="Running")).to_have_count(0)
    expect(page.locator("#nav-models")).to_have_text("4")
    expect(page.locator("#results tbody tr")).to_have_count(2)


def test_a_scan_is_stopped(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in(to="/scans/")
    page.get_by_role("button", name="Read everything again").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The scan stops.")).to_be_visible()
    expect(page.locator("#results")).to_contain_text("Stopped before it began.")
    page.locator("#results tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Scan")
    page.get_by_role("link", name="Skipped").click()
    expect(page).to_have_url(re.compile("event=skipped"))
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Logs")


def test_a_frozen_root_is_settled_by_a_person(page: Page, shelf: Path, sign_in: SignIn) -> None:
    Root.objects.update(frozen_reason="2 of 3 models are gone, more than half.", missing_count=2)
    sign_in()
    page.get_by_role("link", name="Decide on the Scans page").click()
    page.get_by_role("button", name="These models are gone: mark them missing").click()
    expect(page.get_by_role("heading", name="Running")).to_be_visible()
    assert ScanRun.objects.get(state="queued").accept_missing


def test_the_keyboard_alone_is_enough(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("whisper")
    page.keyboard.press("Enter")
    expect(page.locator("td .name")).to_have_count(1)
    page.locator("td .name").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("whisper-tiny")


@pytest.mark.parametrize(
    "path",
    [
        "/models/",
        "/models/bert-base/",
        "/models/bert-base/files/",
        "/models/bert-base/tensors/",
        "/scans/",
        "/scans/1/",
    ],
)
@pytest.mark.parametrize("width", [320, 390, 800, 1440])
def test_no_page_is_wider_than_the_screen(
    width: int, path: str, page: Page, shelf: Path, sign_in: SignIn
) -> None:
    long = "a-very-long-name-without-any-space" * 12
    record = RegisteredModel.objects.get(model_id="llama-chat")
    record.display_name, record.path, record.problems = (
        long,
        long,
        [{"code": "x" * 40, "message": long, "path": long, "severity": "error", "offset": 1}],
    )
    record.save()
    RegisteredModel.objects.filter(model_id="bert-base").update(
        display_name=long, extracted={"license": {"value": long, "source": long}}
    )
    ScanRun.objects.update(message=long[:1000])
    Root.objects.create(path=f"/{long}", frozen_reason=long, missing_count=3)
    page.set_viewport_size({"width": width, "height": 800})
    path = path.replace("/1/", f"/{ScanRun.objects.get().pk}/")
    sign_in(to=path)
    assert fits(page)


def test_hostile_names_stay_text(page: Page, shelf: Path, sign_in: SignIn) -> None:
    name = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    RegisteredModel.objects.filter(model_id="llama-chat").update(display_name=name)
    sign_in()
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_without_scripts_everything_is_still_there(
    browser: Any, live_server: Any, shelf: Path, sign_in: SignIn, page: Page
) -> None:
    sign_in()
    plain = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    tab = plain.new_page()
    tab.goto(f"{live_server.url}/models/")
    tab.get_by_role("searchbox").fill("bert")
    tab.get_by_role("button", name="Search").click()
    expect(tab.locator("td .name")).to_have_count(1)
    tab.get_by_role("link", name="Params").click()
    expect(tab).to_have_url(re.compile(r"sort=-params"))
    expect(tab.locator("td .name")).to_have_count(1)
    tab.goto(f"{live_server.url}/scans/")
    tab.get_by_role("button", name="Scan now").click()
    expect(tab.get_by_text("Scan started.")).to_be_visible()
    plain.close()


def test_an_expired_session_leads_to_the_door_and_back(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    page.context.clear_cookies()
    page.get_by_role("searchbox").press_sequentially("bert")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "discovery/registeredmodel/",
        "discovery/registeredmodel/{pk}/change/",
        "discovery/root/add/",
        "discovery/logentry/",
        "password_change/",
    ],
)
def test_the_administration_works_under_the_content_policy(
    path: str, page: Page, live_server: Any, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    page.goto(f"{live_server.url}/admin/{path.format(pk=RegisteredModel.objects.latest('pk').pk)}")
    expect(page.get_by_role("link", name="Karen Admin")).to_be_visible()
