"""Editing in a browser: a field in its place, chips, rows, two people at once, back to automatic;
by keyboard, and without JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from discovery.models import RegisteredModel, ScanRun
from discovery.services import scans
from discovery.services.metadata import metadata
from discovery.services.registry import records
from tests.people import administer
from tests.support import builders

SignIn = Callable[..., None]


def model(model_id: str = "bert-base") -> RegisteredModel:
    return RegisteredModel.objects.get(model_id=model_id)


def test_a_field_is_edited_in_place_and_given_back_by_keyboard_alone(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/models/bert-base/metadata/")
    row = page.locator("#field-license")
    page.get_by_role("link", name="Edit license").focus()
    page.keyboard.press("Enter")
    expect(row.get_by_role("combobox")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("apache-2.0")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("edited by ada")
    expect(row).to_contain_text("Automatic: mit")
    expect(page.get_by_role("link", name="Edit license")).to_be_focused()
    expect(page.locator("#live")).to_contain_text("License saved.")
    assert model().license == "apache-2.0"
    page.get_by_role("button", name="License back to automatic").focus()
    page.keyboard.press("Enter")
    expect(row).not_to_contain_text("edited by ada")
    expect(row).to_contain_text("mit")
    assert (model().license, model().curated) == ("mit", {})


def test_escape_leaves_a_field_as_it_was(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in(to="/models/bert-base/metadata/")
    page.get_by_role("link", name="Edit author").click()
    page.locator("#field-author input[name=author]").fill("Nobody")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Edit author")).to_be_focused()
    assert model().curated == {}


def test_what_is_wrong_is_said_beside_the_field(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    sign_in(to="/models/bert-base/metadata/")
    page.get_by_role("link", name="Edit context length").click()
    box = page.locator("input[name=context_length]")
    box.fill("many")
    page.keyboard.press("Enter")
    expect(page.locator("#field-context_length")).to_contain_text(
        "must be a whole number above zero"
    )
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(box).to_be_focused()
    assert box.get_attribute("aria-describedby") == "help-context_length"
    quiet_console[:] = [line for line in quiet_console if "422" not in line]
    box.fill("1,024")
    page.keyboard.press("Enter")
    expect(page.locator("#field-context_length")).to_contain_text("edited by ada")
    assert model().context_length == 1024


def test_lists_are_chips_that_the_keyboard_adds_and_removes(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/models/bert-base/metadata/")
    page.get_by_role("link", name="Edit tags").click()
    entry = page.get_by_label("Add to Tags")
    expect(entry).to_be_focused()
    page.keyboard.type("fast,small,")
    page.keyboard.type("old")
    page.keyboard.press("Enter")
    page.keyboard.press("Backspace")
    page.get_by_role("button", name="Remove fast").press("Enter")
    expect(entry).to_be_focused()
    page.keyboard.type("with words")
    page.keyboard.press("Enter")
    page.keyboard.type('"one, of two; parts"')
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#field-tags")).to_contain_text("edited by ada")
    assert model().value("tags") == ["small", "with words", "one, of two; parts"]
    page.get_by_role("link", name="Edit tags").click()
    expect(page.get_by_role("button", name="Remove one, of two; parts")).to_be_visible()


def test_an_object_is_edited_as_rows(page: Page, shelf: Path, sign_in: SignIn) -> None:
    sign_in(to="/models/bert-base/metadata/")
    page.get_by_role("link", name="Edit resource requirements").click()
    page.get_by_label("Name 1").fill("min_ram_gb")
    page.get_by_label("Kind 1").select_option("number")
    page.get_by_label("Value 1").fill("8")
    page.get_by_role("button", name="Add a row").press("Enter")
    expect(page.get_by_label("Name 2")).to_be_focused()
    page.get_by_label("Name 2").fill("gone")
    page.get_by_role("button", name="Add a row").click()
    page.get_by_label("Name 3").fill("gpu")
    page.get_by_label("Kind 3").select_option("boolean")
    page.get_by_label("Value 3").fill("yes")
    page.get_by_role("button", name="Remove row 2").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#field-resource_requirements")).to_contain_text("edited by ada")
    assert model().value("resource_requirements") == {"min_ram_gb": 8, "gpu": True}


def test_two_people_see_both_values_and_choose(
    page: Page, shelf: Path, sign_in: SignIn, quiet_console: list[str]
) -> None:
    sign_in(to="/models/bert-base/metadata/")
    bob = User.objects.create_user("bob")
    for keep in ("Keep theirs", "Save mine"):
        page.get_by_role("link", name="Edit author").click()
        expect(page.locator("input[name=author]")).to_be_focused()
        metadata.edit(model(), {"author": f"Bob, {keep}"}, by=bob, channel="page")
        page.locator("input[name=author]").fill(f"Ada, {keep}")
        page.keyboard.press("Enter")
        row = page.locator("#field-author")
        expect(row.get_by_role("alert")).to_contain_text(f"Bob, {keep}")
        expect(row.locator("input[name=author]")).to_have_value(f"Ada, {keep}")
        row.get_by_text(keep, exact=True).click()
        expect(page.get_by_role("link", name="Edit author")).to_be_focused()
        assert model().author == ("Bob, Keep theirs" if keep == "Keep theirs" else "Ada, Save mine")
    quiet_console[:] = [line for line in quiet_console if "409" not in line]


def test_the_whole_form_works_without_javascript(
    browser: Any, live_server: Any, shelf: Path, transactional_db: None
) -> None:
    administer(User.objects.create_user("ada", password="a-long-password"))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{live_server.url}/models/bert-base/metadata/?edit=all")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("a-long-password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Edit all").click() if "edit=all" not in page.url else None
    page.locator("textarea[name=tags]").fill("one\ntwo")
    page.locator("select[name=secondary]").select_option("ANALYSIS")
    page.locator("[name=custom-key]").last.fill("team")
    page.locator("[name=custom-value]").last.fill("search")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile("^Saved: "))).to_be_visible()
    record = model()
    assert (record.value("tags"), record.secondary, record.value("custom")["team"]) == (
        ["one", "two"],
        "ANALYSIS",
        "search",
    )
    page.get_by_role("link", name="Edit license").click()
    page.locator("input[name=license]").fill("gpl-3.0")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#field-license")).to_contain_text("edited by ada")
    page.get_by_role("button", name="License back to automatic").click()
    expect(page.locator("#field-license")).not_to_contain_text("edited by ada")
    context.close()


def test_what_the_report_misses_is_filled_in_by_keyboard_where_it_is_listed(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/report/")
    record = model()
    line = page.locator(f"#report-{record.pk}")
    before = record.completeness
    line.get_by_role("link", name="Add resource requirements to bert-base").press("Enter")
    expect(line.get_by_label("Name 1")).to_be_focused()
    page.keyboard.type("min_ram_gb")
    line.get_by_label("Kind 1").select_option("number")
    line.get_by_label("Value 1").fill("8")
    line.get_by_role("button", name="Save").press("Enter")
    expect(page.locator("#live")).to_contain_text("Resource requirements saved.")
    expect(line.get_by_role("link", name="Add resource requirements to bert-base")).to_have_count(0)
    expect(line.locator("a:focus")).to_have_count(1)
    record = model()
    assert record.completeness is not None
    assert before is not None
    assert record.completeness > before
    assert record.value("resource_requirements") == {"min_ram_gb": 8}


def test_a_model_is_registered_after_a_look(page: Page, shelf: Path, sign_in: SignIn) -> None:
    builders.transformers(shelf / "deep/a/b/c/d/e/f/hidden-gem", hidden=96)
    sign_in(to="/models/")
    page.get_by_role("link", name="Register a model").click()
    page.locator("[name=path]").fill("deep/a/b/c/d/e/f/hidden-gem")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("status").filter(has_text="Found at this path")).to_contain_text(
        "LlamaForCausalLM"
    )
    page.get_by_label("Add to Tags").fill("found by hand")
    page.get_by_role("button", name="Register").press("Enter")
    page.wait_for_url("**/models/hidden-gem/")
    expect(page.locator("#live")).to_contain_text("Registered.")
    assert model("hidden-gem").value("tags") == ["found by hand"]


#: Twelve fields of every kind of widget: how each is entered, and the value that stands afterwards.
TWELVE: dict[str, tuple[str, Any]] = {
    "display_name": ("Bert, ours", "Bert, ours"),
    "description": ("For tests.\nTwo lines.", "For tests.\nTwo lines."),
    "license": ("apache-2.0", "apache-2.0"),
    "author": ("Ada", "Ada"),
    "version": ("2.1", "2.1"),
    "tags": ("prod\nsmall", ["prod", "small"]),
    "language_support": ("en\nde", ["en", "de"]),
    "secondary": ("CODE", "CODE"),
    "context_length": ("4,096", 4096),
    "base_model": ("google/bert", "google/bert"),
    "use_cases": ("search", ["search"]),
    "resource_requirements": ("min_ram_gb=8", {"min_ram_gb": "8"}),
}


def enter(page: Page, name: str, text: str) -> None:
    row = page.locator(f"#field-{name}")
    row.get_by_role("link", name=re.compile("^Edit ")).click()
    if name == "resource_requirements":
        key, _, value = text.partition("=")
        row.get_by_label("Name 1").fill(key)
        row.get_by_label("Value 1").fill(value)
    elif name in ("tags", "language_support", "use_cases"):
        expect(row.get_by_label(re.compile("^Add to "))).to_be_focused()
        for _ in range(row.get_by_role("button", name=re.compile("^Remove ")).count()):
            row.get_by_role("button", name=re.compile("^Remove ")).first.click()
        for item in text.split("\n"):
            page.keyboard.type(item)
            page.keyboard.press("Enter")
    elif name == "secondary":
        row.locator("select").select_option(text)
    else:
        row.locator(f"[name={name}]").fill(text)
    row.get_by_role("button", name="Save", exact=True).click()
    expect(row).to_contain_text("edited by ada")


def test_twelve_edits_stand_through_a_full_scan_and_a_move_and_each_goes_back_to_automatic(
    page: Page, shelf: Path, sign_in: SignIn
) -> None:
    sign_in(to="/models/bert-base/metadata/")
    automatic = {name: model().value(name) for name in TWELVE}
    assert automatic["license"] == "mit"
    for name, (text, _) in TWELVE.items():
        enter(page, name, text)
    wanted = {name: value for name, (_, value) in TWELVE.items()}

    def stands() -> None:
        record = model()
        assert {name: record.value(name) for name in TWELVE} == wanted
        assert {
            name: each["source"] for name, each in records.sources(record).items() if name in TWELVE
        } == dict.fromkeys(TWELVE, "edited by ada")

    def scanned(*, full: bool) -> ScanRun:
        run, _ = scans.start_now(ScanRun.Trigger.COMMAND, full=full)
        return scans.execute(run)

    stands()
    assert scanned(full=True).found == 3
    stands()
    (shelf / "moved/here").mkdir(parents=True)
    (shelf / "bert-base").rename(shelf / "moved/here/bert-renamed")
    assert scanned(full=False).moved == 1
    assert model().path == "moved/here/bert-renamed"
    stands()
    page.reload()
    for name in TWELVE:
        row = page.locator(f"#field-{name}")
        expect(row.locator(".from")).to_contain_text("edited by ada")
        row.get_by_role("button", name=re.compile("back to automatic$")).click()
        expect(row).not_to_contain_text("edited by ada")
        assert model().value(name) == automatic[name], name
    assert model().curated == {}
    assert model().changes.count() == 2 * len(TWELVE)
