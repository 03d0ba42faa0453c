"""Changing many models in a browser: looked at, applied, taken back; by keyboard, by a worker with
a Stop button, and without JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Browser, Locator, Page, expect

from discovery.models import BulkEdit, Collection, MetadataChange, RegisteredModel
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import KINDS
from discovery.services.findings import triage
from tests.e2e.test_every_page import barriers

SignIn = Callable[..., None]
Make = Callable[..., RegisteredModel]

#: What the Models page sends when models are chosen there.
CHOOSE = """fields => {
  const form = document.createElement("form");
  form.method = "post"; form.action = "/bulk/";
  form.append(document.querySelector("[name=csrfmiddlewaretoken]").cloneNode());
  for (const [name, value] of fields) {
    const field = document.createElement("input");
    field.name = name; field.value = value; form.append(field);
  }
  document.body.append(form); form.submit();
}"""


def choose(page: Page, kind: str, **fields: str) -> None:
    with page.expect_navigation():
        page.evaluate(CHOOSE, [["kind", kind], *fields.items()])


def tags() -> dict[str, list[str]]:
    return {model.model_id: model.value("tags") or [] for model in RegisteredModel.objects.all()}


@pytest.fixture
def a_refusal_is_expected(quiet_console: list[str]) -> Any:
    """Browsers report an answer of 409 or 422 on the console."""
    yield
    quiet_console[:] = [text for text in quiet_console if "409" not in text and "422" not in text]


def test_tags_of_many_are_looked_at_applied_and_taken_back_by_keyboard(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    before = tags()
    sign_in()
    choose(page, "tags", query="q=a")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tags of 3 models")
    page.get_by_label("Add", exact=True).focus()
    page.keyboard.type("prod, reviewed")
    page.keyboard.press("Enter")
    expect(page.locator("#preview-title")).to_have_text("3 models of 3 would change")
    assert tags() == before
    page.get_by_role("button", name="Change 3 models").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#edit-title")).to_have_text("3 models changed")
    assert tags() == {name: [*own, "prod", "reviewed"] for name, own in before.items()}
    page.get_by_role("button", name="Undo", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#edit-title")).to_have_text("3 models restored")
    assert tags() == before


def test_models_are_chosen_on_the_models_page_by_keyboard(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    for name in ("bert-base", "llama-chat"):
        page.get_by_role("row", name=name).get_by_role("checkbox").focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Tag", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tags of 2 models")


@pytest.mark.parametrize("kind", KINDS)
def test_no_form_and_no_preview_has_a_barrier_or_is_wider_than_a_phone(
    page: Page, shelf: Path, sign_in: SignIn, kind: str
) -> None:
    group, shelved = Group.objects.create(name="team"), Collection.objects.create(name="shelf")
    wanted = {
        "metadata": {"f-license": "mit", "f-custom": "team: blue"},
        "tags": {"add": "t", "remove": "demo"},
        "category": {"f-primary": "AUDIO"},
        "visibility": {"f-visibility": "PUBLIC", f"groups-{group.pk}": "add"},
        "collection": {f"collections-{shelved.pk}": "add"},
        "validate": {},
    }
    sign_in()
    triage.quarantine(RegisteredModel.objects.get(model_id="bert-base"), by=User.objects.get())
    choose(page, kind, query="", **wanted[kind], step="preview")
    page.wait_for_selector("#result")
    assert barriers(page) == []
    page.emulate_media(color_scheme="dark")
    assert barriers(page, ["color-contrast"]) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_preview_comes_without_a_new_page_and_what_was_changed_since_is_shown_first(
    a_refusal_is_expected: None, page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    choose(page, "metadata", ids="bert-base llama-chat")
    page.get_by_label("License", exact=True).fill("apache-2.0")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#result")).to_contain_text("mit")
    assert page.evaluate("window.same")
    page.get_by_label("License", exact=True).fill("gpl-3.0")
    page.get_by_role("button", name="Change 2 models").click()
    expect(page.get_by_role("alert")).to_contain_text("this is not what the preview showed")
    assert not BulkEdit.objects.exists()


def test_a_wrong_value_is_told_beside_its_field(
    a_refusal_is_expected: None, page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in()
    choose(page, "metadata", query="")
    page.get_by_text("What files usually say themselves").click()
    page.get_by_label("Context length", exact=True).fill("long")
    page.get_by_role("button", name="Preview").click()
    field = page.get_by_label("Context length", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("Must be a whole number above zero.")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed.")


def test_a_large_edit_shows_how_far_it_is_until_it_is_done(
    page: Page, shelf: Path, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_edits, "AT_ONCE", 0)
    sign_in()
    choose(page, "category", query="")
    page.get_by_label("Category", exact=True).select_option("AUDIO")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Change").click()
    expect(page.locator("#edit-title")).to_have_text("Waiting for a worker")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    bulk_edits.execute(BulkEdit.objects.get())
    expect(page.locator("#edit-title")).to_contain_text("changed")
    expect(page.locator("#live")).to_contain_text("Category:")
    assert set(RegisteredModel.objects.values_list("primary", flat=True)) == {"AUDIO"}


def test_one_change_is_taken_back_from_the_history(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    before = tags()
    sign_in()
    choose(page, "tags", query="", add="t", step="preview")
    page.get_by_role("button", name="Change 3 models").click()
    page.get_by_role("link", name="View changes").click()
    page.get_by_role("button", name="Undo tags of bert-base").click()
    expect(page.locator("#live")).to_contain_text("Tags of bert-base is what it was before.")
    expect(page.get_by_text("1 of 3 undone")).to_be_visible()
    assert tags() == {
        name: own if name == "bert-base" else [*own, "t"] for name, own in before.items()
    }
    page.get_by_role("link", name="llama-chat").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("llama-chat")
    expect(page.locator("#results")).to_contain_text("automatic")


def test_without_javascript_models_are_chosen_in_the_administration_changed_and_taken_back(
    page: Page, browser: Browser, live_server: Any, shelf: Path, sign_in: SignIn
) -> None:
    before = tags()
    sign_in()
    plain = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    ).new_page()
    plain.goto(f"{live_server.url}/admin/discovery/registeredmodel/")
    for name in ("bert-base", "llama-chat"):
        plain.get_by_role("row", name=name).get_by_role("checkbox").check()
    plain.locator("select[name=action]").select_option("bulk_tags")
    plain.get_by_role("button", name="Go", exact=True).click()
    plain.get_by_role("button", name="Continue").click()
    plain.get_by_label("Add", exact=True).fill("plain")
    plain.get_by_role("button", name="Preview").click()
    expect(plain.locator("#preview-title")).to_have_text("2 models of 2 would change")
    plain.get_by_role("button", name="Change 2 models").click()
    expect(plain.locator("#edit-title")).to_have_text("2 models changed")
    assert set(MetadataChange.objects.values_list("channel", flat=True)) == {"admin"}
    plain.get_by_role("button", name="Undo", exact=True).click()
    expect(plain.locator("#edit-title")).to_have_text("2 models restored")
    assert tags() == before
    plain.context.close()


def test_five_hundred_models_are_changed_in_the_administration_by_few_clicks_and_taken_back(
    page: Page,
    live_server: Any,
    make_model: Make,
    sign_in: SignIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_edits, "AT_ONCE", 1_000)  # no worker runs here
    for number in range(500):
        make_model(f"m{number:03}", license="mit" if number else "gpl-3.0")
    sign_in()
    page.goto(f"{live_server.url}/admin/discovery/registeredmodel/")
    clicked = 0

    def click(target: Locator) -> None:
        nonlocal clicked
        target.click()
        clicked += 1

    click(page.get_by_role("link", name="Restricted (500)"))
    page.wait_for_url("**visibility=RESTRICTED")
    click(page.locator("#action-toggle"))
    click(page.locator(".actions .question a"))
    page.locator("select[name=action]").select_option("bulk_tags")
    clicked += 1
    click(page.get_by_role("button", name="Go", exact=True))
    click(page.get_by_role("button", name="Continue"))
    page.get_by_label("Add", exact=True).fill("in-review")
    click(page.get_by_role("button", name="Preview"))
    click(page.get_by_role("button", name="Change 500 models"))
    expect(page.locator("#edit-title")).to_have_text("500 models changed")
    assert RegisteredModel.objects.filter(tagged__name="in-review").count() == 500
    click(page.get_by_role("button", name="Undo", exact=True))
    expect(page.locator("#edit-title")).to_have_text("500 models restored")
    assert not RegisteredModel.objects.filter(tagged__name="in-review").exists()
    assert clicked < 10
