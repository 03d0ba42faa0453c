"""The Overview in a browser: going down into the disk map and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect


def test_clicks_lead_down_into_the_disk_map_and_back_leads_up(page: Page, shelf: Path, sign_in: Callable[..., None]) -> None:
    sign_in(to="/?from=test")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.locator("#disk .wide-only a", has_text="llama-chat").click()
    expect(page).to_have_url(re.compile(r"disk=\w+&model=llama-chat"))
    expect(page.get_by_role("link", name="Open the model")).to_be_visible()
    expect(page.locator("#live")).to_contain_text("1 variant")
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_label("Levels of disk use").get_by_role("link", name="Language").click()
    expect(page.get_by_text("on disk", exact=False).last).to_be_visible()
    page.get_by_label("Levels of disk use").get_by_role("link", name="All").click()
    expect(page.get_by_role("link", name="Open the model")).to_have_count(0)
    page.go_back()
    page.go_back()
    expect(page.get_by_role("link", name="Open the model")).to_be_visible()
    page.get_by_role("link", name="Open the model").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("llama-chat")
