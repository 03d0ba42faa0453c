"""Steering categories by rules, in a browser: try, see, save, watch them move, take it back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from discovery.models import RegisteredModel
from discovery.services.scans import categorization

SignIn = Callable[..., None]


@pytest.fixture(autouse=True)
def _own_config(config_dir: Path) -> None:
    """What is saved here must not reach the config directory of the suite."""


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_rule_is_changed_tried_saved_and_taken_back(
    page: Page, live_server: object, shelf: Path, sign_in: SignIn
) -> None:
    model = RegisteredModel.objects.get(model_id="bert-base")
    before = model.secondary
    assert before != "CREATIVE"
    sign_in(to="/rules/")
    page.get_by_role("link", name="Edit the rules of Creative").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Creative")
    page.get_by_role("button", name="Add a rule").click()
    added = page.locator("fieldset").last
    expect(added.get_by_role("heading")).to_contain_text("new")
    added.get_by_label("Words", exact=True).fill("bert")
    added.get_by_label("Weight").fill("50")
    page.get_by_role("button", name="Try").click()
    expect(page.locator("#trial")).to_have_text("1 model of 3 would change")
    expect(page.locator(".changes")).to_contain_text("bert-base")
    expect(added.get_by_label("Words", exact=True)).to_have_value("bert")
    assert not categorization.can_undo()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. Re-categorizing 3 models…")).to_be_visible()
    assert categorization.recategorize() == 1
    page.goto(page.url.replace("/rules/", "/models/bert-base/"))
    expect(page.locator(".head")).to_contain_text("Creative")
    expect(page.locator(".why")).to_contain_text("“bert” in the name")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Rules").click()
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.get_by_text("The last change is undone.")).to_be_visible()
    categorization.recategorize()
    model.refresh_from_db()
    assert model.secondary == before


def test_a_broken_rule_shows_its_error_beside_the_field(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    sign_in(to="/rules/secondary/code/")
    words = page.get_by_label("Words", exact=True).first
    words.fill("code, , coder")
    page.get_by_label("Weight").first.fill("heavy")
    for button in ("Try", "Save"):
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("alert")).to_contain_text("Fix 2 errors. Nothing was saved.")
        expect(page.locator("#r0-keywords-error")).to_contain_text("Entry 2 is empty")
        expect(page.locator("#r0-weight-error")).to_contain_text("valid number")
        expect(words).to_have_value("code, , coder")
        assert words.get_attribute("aria-invalid") == "true"
    refused = [text for text in quiet_console if "422" in text]
    assert len(refused) == 2
    quiet_console.clear()


def test_broken_json_says_the_line_and_is_kept(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    sign_in(to="/rules/json/")
    text = page.get_by_label("Rules", exact=True)
    text.fill('{\n  "categorization_rules": {,}\n}')
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("alert")).to_contain_text("line 2, column 28")
    expect(text).to_have_value(re.compile(r"\{,\}"))
    quiet_console.clear()


@pytest.mark.parametrize("path", ["/rules/", "/rules/secondary/analysis/", "/rules/json/"])
@pytest.mark.parametrize("width", [320, 390, 800, 1440])
def test_the_rules_fit_every_width(
    path: str, width: int, page: Page, shelf: Path, sign_in: SignIn
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(to=path)
    assert fits(page)


def test_without_scripts_a_rule_is_still_tried(
    page: Page, browser: object, live_server: object, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/rules/")
    plain = page.context.browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )  # type: ignore[union-attr]
    tab = plain.new_page()
    tab.goto(page.url + "secondary/creative/")
    tab.get_by_role("button", name="Add a rule").click()
    tab.locator("fieldset").last.get_by_label("Words", exact=True).fill("bert")
    tab.get_by_role("button", name="Try").click()
    expect(tab.locator("#trial")).to_contain_text("would change")
    plain.close()
