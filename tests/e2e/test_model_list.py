"""The list of models in a browser: filter, search, select, compare, all of it by keyboard too;
narrow screens; without scripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from discovery.models import RegisteredModel
from tests.benchmarks.registry import fill

SignIn = Callable[..., None]


def names(page: Page) -> list[str]:
    return page.locator("td .name").all_inner_texts()


def box(page: Page, facet: str, label: str) -> Any:
    return page.locator(f"#facet-{facet}").get_by_role("checkbox", name=label)


def test_facets_narrow_keep_the_focus_and_the_way_back(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    RegisteredModel.objects.filter(model_id="bert-base").update(status="CORRUPT")
    sign_in()
    box(page, "status", "Corrupt").check()
    expect(page.locator("td .name")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/models/\?status=CORRUPT$"))
    expect(box(page, "status", "Corrupt")).to_be_focused()
    expect(page.get_by_role("link", name="Remove the filter: Corrupt")).to_be_visible()
    page.get_by_role("searchbox", name="Search").press_sequentially("chat")
    expect(page.get_by_text("No models match")).to_be_visible()
    page.get_by_role("link", name="Remove the filter: Corrupt").click()
    expect(page.locator("td .name")).to_have_text(["llama-chat"])
    page.go_back()
    expect(page.get_by_text("No models match")).to_be_visible()


def test_a_facet_is_counted_when_it_is_opened_and_stays_open(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    page.locator("#facet-license > summary").click()
    box(page, "license", "mit").check()
    expect(page.locator("td .name")).to_have_text(["bert-base"])
    page.locator("#facet-format > summary").click()
    box(page, "license", "mit").uncheck()
    expect(page.locator("td .name")).to_have_count(3)
    expect(page.locator("#facet-format")).to_have_attribute("open", "")
    expect(box(page, "license", "mit")).to_be_visible()


def test_a_search_that_is_not_understood_says_so_while_one_types(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    sign_in()
    field = page.get_by_role("searchbox", name="Search")
    field.press_sequentially("params:>big")
    expect(page.get_by_role("alert")).to_contain_text("“big” is not a number")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("td .name")).to_have_count(0)
    field.fill("size:>1b")
    expect(page.locator("td .name")).to_have_count(3)
    expect(field).not_to_have_attribute("aria-invalid", "true")
    assert all("422" in text for text in quiet_console)
    quiet_console.clear()
    page.get_by_label("How to search").click()
    expect(page.get_by_text("side by side, as they are")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("side by side, as they are")).to_be_hidden()


def test_models_are_moved_through_selected_and_edited_by_keyboard(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    bar = page.get_by_role("form", name="Selected models")
    expect(bar).to_be_hidden()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="bert-base", exact=True)).to_be_focused()
    page.keyboard.press("x")
    expect(bar).to_contain_text("1 selected")
    expect(bar.get_by_role("button", name="Compare")).to_be_disabled()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    expect(bar).to_contain_text("2 selected")
    page.keyboard.press("k")
    expect(page.get_by_role("link", name="bert-base", exact=True)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_url("**/models/llama-chat/metadata/")
    page.go_back()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models/bert-base/")


def test_two_models_are_compared_from_the_selection(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    page.get_by_label("Select bert-base").check()
    page.get_by_label("Select llama-chat").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare/?id=bert-base&id=llama-chat")
    expect(page.get_by_role("row", name=re.compile("^License"))).to_have_class("differs")
    page.get_by_role("link", name="Show only what differs").click()
    expect(page.get_by_role("row", name=re.compile("^Family"))).to_have_count(0)
    expect(page).to_have_url(re.compile("only=differences"))
    page.get_by_role("searchbox", name="Add a model").fill("whisper")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Add whisper-tiny").click()
    page.get_by_role("link", name="Remove bert-base").click()
    page.get_by_role("link", name="Compare the tensors").click()
    expect(page.locator("#tensors")).to_contain_text(re.compile(r"\d+ tensors?\s+differ"))


def test_all_that_match_go_to_a_bulk_edit(page: Page, shelf: Path, sign_in: SignIn) -> None:
    fill(80)
    sign_in(to="/models/?q=a")
    page.get_by_label("Select all of this page").check()
    expect(page.get_by_text("50 selected")).to_be_visible()
    page.get_by_label(re.compile(r"All\s+\d+ that match")).check()
    expect(page.get_by_text("All selected")).to_be_visible()
    expect(page.get_by_label("Select bert-base")).to_be_disabled()
    page.get_by_role("button", name="Tag", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Tags of 8\d models$"))


def test_columns_and_density_stay_in_the_address(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in()
    page.locator("#choose-columns > summary").click()
    page.locator("#choose-columns").get_by_label("License").check()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="License")).to_be_visible()
    page.get_by_role("link", name="Compact rows").click()
    expect(page.locator("table.models.compact")).to_be_visible()
    page.reload()
    expect(page.locator("table.models.compact")).to_be_visible()
    expect(page.get_by_role("columnheader", name="License")).to_be_visible()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?q=params:%3Ex",
        "?density=compact&columns=category,type,license,author,tags,memory,added,status",
    ],
)
@pytest.mark.parametrize("width", [320, 390, 800, 1100])
def test_the_list_fits_narrow_screens_and_filters_unfold(
    query: str, width: int, page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(to="/models/")
    page.goto(f"{page.url}{query}")
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    if width < 900 and not query:
        expect(box(page, "status", "Ready")).to_be_hidden()
        page.get_by_role("link", name="Filters", exact=True).click()
        box(page, "status", "Ready").check()
        expect(page).to_have_url(re.compile("status=READY"))
        page.get_by_role("link", name="Show the models").click()
        expect(box(page, "status", "Ready")).to_be_hidden()
        expect(page.locator("td .name")).to_have_count(3)
    quiet_console[:] = [text for text in quiet_console if "422" not in text]


def test_without_scripts_models_are_filtered_selected_and_compared(
    page: Page, browser: Any, live_server: Any, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    plain = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    tab = plain.new_page()
    tab.goto(f"{live_server.url}/models/")
    box(tab, "status", "Ready").check()
    tab.get_by_role("searchbox", name="Search").fill("-whisper")
    tab.get_by_role("button", name="Apply the filters").click()
    expect(tab).to_have_url(re.compile(r"q=-whisper&.*status=READY|status=READY&.*q=-whisper"))
    assert names(tab) == ["bert-base", "llama-chat"]
    tab.locator("#facet-license > summary").click()
    tab.locator("#facet-license").get_by_role("link", name="Count them").click()
    expect(box(tab, "license", "mit")).to_be_visible()
    tab.get_by_label("Select bert-base").check()
    tab.get_by_label("Select llama-chat").check()
    tab.get_by_role("button", name="Compare").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Compare")
    expect(tab.get_by_role("link", name="bert-base", exact=True)).to_be_visible()
    plain.close()
