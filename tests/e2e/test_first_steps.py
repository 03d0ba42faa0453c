"""From an empty machine to a registry, in the browser alone: a folder is added and scanned, and the
interval is changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from discovery.models import RegisteredModel, ScanRun
from discovery.services import scans
from tests.support import builders

SignIn = Callable[..., None]

#: A busy machine is slow.
PATIENCE = 30_000


@pytest.fixture
def unscanned(models_root: Path, config_dir: Path, settings: Any, monkeypatch: Any) -> Path:
    """A folder with two models that nobody has added, on a machine that has no other."""
    settings.MODELS_DIR = models_root / "nothing-here"
    monkeypatch.setenv("HOME", str(models_root / "home"))
    folder = models_root / "shelf"
    for name in ("tiny-chat", "tiny-code"):
        builders.transformers(folder / name)
    builders.transformers(models_root / "home/.lmstudio/models/somebody/tiny-voice")
    return folder


def work() -> None:
    """What a worker would do with the scans that wait."""
    for run in ScanRun.objects.filter(state=ScanRun.State.QUEUED):
        scans.execute(run)


@pytest.mark.parametrize("width", [1440, 390])
def test_from_an_empty_machine_to_a_registry(
    width: int,
    unscanned: Path,
    config_dir: Path,
    sign_in: SignIn,
    page: Page,
    task_queue: Any,
    quiet_console: list[str],
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(to="/")
    page.get_by_role("link", name="Set up the registry").click()
    found = page.locator("#found")
    expect(found.get_by_text("LM Studio", exact=True)).to_be_visible(timeout=PATIENCE)

    page.get_by_label("Path").fill("/")
    page.get_by_role("button", name="Add folder").click()
    expect(page.get_by_role("alert")).to_contain_text("is the whole machine", timeout=PATIENCE)
    page.get_by_label("Path").fill(str(unscanned))
    page.get_by_role("button", name="Add folder").click()
    expect(page.locator("#progress")).to_contain_text(str(unscanned), timeout=PATIENCE)
    work()
    expect(page.locator("#progress")).to_contain_text("2 models", timeout=PATIENCE)

    found.get_by_role("button", name="Add").click()
    work()
    expect(page.locator("#progress")).to_contain_text("3 models", timeout=PATIENCE)
    assert RegisteredModel.objects.count() == 3

    page.goto(page.url.replace("/welcome/", "/settings/scanning/"))
    page.get_by_label("Scan every").fill("often")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error-scan_interval_minutes")).to_have_text("Enter a whole number.")
    page.get_by_label("Scan every").fill("15")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible(timeout=PATIENCE)
    held = json.loads((config_dir / "model_discovery.json").read_text())
    assert held["discovery"]["scan_interval_minutes"] == 15

    if width == 390:
        page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.locator("#roots bdi", has_text=str(unscanned))).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Enabled", exact=True)).to_have_count(2)
    assert [text for text in quiet_console if "422" not in text] == []
    quiet_console.clear()


def test_the_drawer_opens_and_closes_by_keyboard(sign_in: SignIn, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(to="/models/")
    menu = page.get_by_role("button", name="Menu")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Overview")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Overview")).to_be_hidden()
    expect(menu).to_be_focused()
