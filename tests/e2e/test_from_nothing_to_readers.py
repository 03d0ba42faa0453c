"""From an empty machine to somebody who sees exactly what was granted, in the browser alone:
without Django's admin, and without a terminal after ``serve``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from discovery.models import ScanRun
from discovery.services import scans
from tests.support import builders

SignIn = Callable[..., None]


@pytest.fixture
def folder(models_root: Path, config_dir: Path, settings: Any, monkeypatch: Any) -> Path:
    settings.MODELS_DIR = models_root / "nothing-here"
    monkeypatch.setenv("HOME", str(models_root / "home"))
    for number, name in enumerate(("tiny-chat", "tiny-code")):
        builders.transformers(models_root / "shelf" / name, hidden=64 + 8 * number)
    return models_root / "shelf"


def listed(page: Page, site: str) -> Any:
    page.goto(f"{site}/models/")
    return page.locator("#results td .name")


def test_a_person_sees_exactly_what_an_administrator_granted_and_until_it_is_revoked(
    folder: Path,
    sign_in: SignIn,
    page: Page,
    browser: Browser,
    live_server: Any,
    task_queue: Any,
) -> None:
    site = live_server.url
    sign_in(to="/welcome/")
    page.get_by_label("Path").fill(str(folder))
    page.get_by_role("button", name="Add folder").click()
    expect(page.locator("#progress")).to_contain_text(str(folder))
    for run in ScanRun.objects.filter(state=ScanRun.State.QUEUED):
        scans.execute(run)
    expect(page.locator("#progress")).to_contain_text("2 models")

    page.goto(f"{site}{reverse('groups')}")
    page.get_by_label("Name of the new group").fill("Research")
    page.get_by_role("button", name="Create group").click()
    expect(page.get_by_role("heading", level=1, name="Research")).to_be_visible()

    page.goto(f"{site}{reverse('user-new')}")
    page.get_by_label("Username").fill("grace")
    page.get_by_role("checkbox", name="Research").check()
    page.get_by_role("button", name="Add user").click()
    link = page.locator("#link").inner_text()

    page.goto(f"{site}{reverse('collection-new')}")
    page.get_by_label("Name", exact=True).fill("Ours")
    page.get_by_label("Filter").fill("q=tiny-chat")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1, name="Ours")).to_be_visible()

    hers = browser.new_context()
    reader = hers.new_page()
    reader.goto(link)
    for field in reader.locator("input[type=password]").all():
        field.fill("a-password-of-hers")
    reader.locator("form button.primary").click()
    expect(reader.get_by_role("heading", name="No models are shared with you")).to_be_visible()
    expect(listed(reader, site)).to_have_count(0)

    page.goto(f"{site}{reverse('access')}")
    page.get_by_role("button", name="Research, Ours: 1 restricted model").click()
    cell = page.get_by_role("button", name="Research, Ours: 1 restricted model")
    expect(cell).to_have_attribute("aria-pressed", "true")
    expect(listed(reader, site)).to_have_text(["tiny-chat"])
    assert reader.goto(f"{site}/models/tiny-code/").status == 404  # type: ignore[union-attr]

    cell.click()
    expect(cell).to_have_attribute("aria-pressed", "false")
    expect(listed(reader, site)).to_have_count(0)

    reader.goto(f"{site}{reverse('account')}")
    form = reader.locator("#password")
    for field, text in zip(
        form.locator("input[type=password]").all(),
        ("a-password-of-hers", "another-of-hers", "another-of-hers"),
        strict=True,
    ):
        field.fill(text)
    form.get_by_role("button", name="Change password").click()
    expect(reader.get_by_text("Your password is changed.")).to_be_visible()
    assert User.objects.get(username="grace").check_password("another-of-hers")
    hers.close()
