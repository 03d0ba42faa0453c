"""The API in a browser: a call is sent from its page, and a token is made, copied and used
there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.test_every_page import barriers


def test_a_call_is_sent_from_its_page_as_the_person_signed_in(
    page: Page, live_server: Any, shelf: Path, sign_in: Callable[..., None]
) -> None:
    sign_in()
    page.goto(f"{live_server.url}/api/docs")
    page.locator("#update_metadata summary").click()
    page.locator("#update_metadata-model_id").fill("bert-base")
    page.locator("#update_metadata-body").fill('{"description": "Ours"}')
    page.locator("#update_metadata").get_by_role("button", name="Send").click()
    expect(page.locator("#update_metadata output")).to_contain_text("200")
    expect(page.locator("#update_metadata output")).to_contain_text('"description": "Ours"')
    page.locator("#list_models summary").click()
    page.locator("#list_models-status").select_option(["READY", "CORRUPT"])
    page.locator("#list_models").get_by_role("button", name="Send").click()
    expect(page.locator("#list_models output")).to_contain_text("status=READY&status=CORRUPT")
    expect(page.locator("#list_models output")).to_contain_text('"count": 3')


def test_a_token_made_in_the_browser_opens_the_api(
    page: Page, live_server: Any, shelf: Path, sign_in: Callable[..., None]
) -> None:
    sign_in(to="/tokens/")
    page.get_by_label("Name", exact=True).fill("nightly job")
    page.get_by_role("button", name="Create token").click()
    token = page.locator("#token").inner_text()
    assert re.fullmatch(r"karen_[\w-]{40,}", token)
    page.goto(f"{live_server.url}/api/docs#system_resources")
    page.get_by_label("Token", exact=True).fill(token)
    page.locator("#list_models summary").click()
    page.locator("#list_models").get_by_role("button", name="Send").click()
    expect(page.locator("#list_models output")).to_contain_text('"count": 3')
    page.goto(f"{live_server.url}/tokens/")
    expect(page.locator("main")).not_to_contain_text(token)
    page.get_by_role("button", name="Revoke nightly job").click()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()


def test_the_pages_about_the_api_have_no_barriers(
    page: Page, live_server: Any, shelf: Path, sign_in: Callable[..., None]
) -> None:
    for address in ("/api/docs", "/api/examples"):
        page.goto(f"{live_server.url}{address}")
        assert barriers(page) == [], address
    sign_in()
    page.goto(f"{live_server.url}/api/docs")
    for call in ("#list_models", "#bulk_update"):
        page.locator(f"{call} summary").click()
    assert barriers(page) == []
