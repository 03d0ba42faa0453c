"""What a person keeps for themselves: a filtered list under a name, by keyboard alone; a star, with
and without scripts; a file brought back.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from discovery.models import RegisteredModel, SavedView, Tag

SignIn = Callable[..., None]


def press_until(page: Page, selector: str, most: int = 80) -> None:
    """Presses Tab until the element has the focus."""
    for _ in range(most):
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {selector}")


def test_a_filtered_list_is_saved_found_again_and_deleted_by_keyboard(
    shelf: Path, sign_in: SignIn, page: Page, live_server: Any
) -> None:
    sign_in(to="/models/")
    page.goto(f"{live_server.url}/models/?q=bert&sort=-size")
    press_until(page, ".views details.drop > summary")
    page.keyboard.press("Enter")
    press_until(page, "#view-name")
    page.keyboard.type("Small Berts")
    page.keyboard.press("Enter")
    saved = page.get_by_role("navigation", name="Saved views").get_by_role(
        "link", name="Small Berts"
    )
    expect(saved).to_have_attribute("aria-current", "true")
    assert SavedView.objects.get().query == "q=bert&sort=-size"
    page.goto(f"{live_server.url}/models/")
    expect(page.get_by_role("link", name="llama-chat")).to_be_visible()
    press_until(page, ".views nav a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models/?q=bert&sort=-size")
    expect(page.get_by_role("link", name="bert-base")).to_be_visible()
    expect(page.get_by_role("link", name="llama-chat")).to_have_count(0)
    page.goto(f"{live_server.url}/views/")
    press_until(page, "main details.drop > summary")
    page.keyboard.press("Enter")
    press_until(page, "main button[value=delete]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No saved views yet")).to_be_visible()
    assert not SavedView.objects.exists()


def test_what_drops_down_closes_by_escape_and_by_a_click_beside_it(
    shelf: Path, sign_in: SignIn, page: Page
) -> None:
    sign_in(to="/models/")
    Tag.objects.create(name="ready", colour="teal")
    page.goto(page.url.replace("/models/", "/tags/"))
    change = page.get_by_label("Change ready")
    name = page.get_by_role("row", name="ready").get_by_role("textbox", name="Name")
    change.click()
    name.press("Escape")
    expect(name).to_be_hidden()
    expect(change).to_be_focused()
    change.click()
    expect(name).to_be_visible()
    page.get_by_role("heading", name="Tags", exact=True).click()
    expect(name).to_be_hidden()


def test_a_star_answers_at_once_and_keeps_the_focus(
    shelf: Path, sign_in: SignIn, page: Page
) -> None:
    sign_in(to="/models/")
    button = page.get_by_role("button", name="Favorite: bert-base")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_be_focused()
    assert RegisteredModel.objects.get(name="bert-base").favoured_by.count() == 1
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_without_scripts_views_are_saved_and_stars_given(
    shelf: Path, sign_in: SignIn, page: Page, browser: Browser, live_server: Any
) -> None:
    sign_in(to="/models/")
    context = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto(f"{live_server.url}/models/?q=bert")
    plain.get_by_role("button", name="Favorite: bert-base").click()
    plain.wait_for_url("**/models/?q=bert")
    expect(plain.get_by_role("button", name="Favorite: bert-base")).to_have_attribute(
        "aria-pressed", "true"
    )
    plain.locator(".views details.drop > summary").click()
    plain.get_by_label("Name", exact=True).fill("Berts")
    plain.get_by_role("button", name="Save", exact=True).click()
    expect(plain.get_by_role("link", name="Berts")).to_have_attribute("aria-current", "true")
    context.close()


def test_an_export_is_edited_looked_at_applied_and_taken_back(
    shelf: Path, sign_in: SignIn, page: Page, live_server: Any, tmp_path: Path
) -> None:
    sign_in(to="/import/")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export all as CSV").click()
    file = tmp_path / "edited.csv"
    downloading.value.save_as(file)
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    rows[0]["license"] = "gpl-3.0"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Preview import").click()
    expect(page.get_by_role("cell", name="gpl-3.0")).to_be_visible()
    page.get_by_role("button", name="Import 1 model").click()
    expect(page.get_by_text("Imported. The changes stand")).to_be_visible()
    assert RegisteredModel.objects.filter(license="gpl-3.0").count() == 1
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("This import was undone.")).to_be_visible()
    assert not RegisteredModel.objects.filter(license="gpl-3.0").exists()
