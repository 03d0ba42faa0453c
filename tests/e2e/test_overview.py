"""The Overview in a browser: going down into the disk map and back."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

from django.utils import timezone
from playwright.sync_api import Page, expect

from discovery.models import ScanRun


def test_clicks_lead_down_into_the_disk_map_and_back_leads_up(
    page: Page, shelf: Path, sign_in: Callable[..., None]
) -> None:
    sign_in(to="/?from=test")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.locator("#disk .wide-only a", has_text="llama-chat").click()
    expect(page).to_have_url(re.compile(r"disk=\w+&model=llama-chat"))
    expect(page.get_by_role("link", name="Open the model")).to_be_visible()
    expect(page.locator("#live")).to_contain_text("1 variant")
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_label("Levels of disk use").get_by_role("link", name="Language").click()
    expect(page).to_have_url(re.compile(r"disk=\w+$"))
    expect(page.get_by_text("on disk", exact=False).last).to_be_visible()
    page.get_by_label("Levels of disk use").get_by_role("link", name="All").click()
    expect(page).not_to_have_url(re.compile("disk="))
    expect(page.get_by_role("link", name="Open the model")).to_have_count(0)
    page.go_back()
    expect(page).to_have_url(re.compile(r"disk=\w+$"))
    expect(page.get_by_label("Levels of disk use")).to_contain_text("Language")
    page.go_back()
    expect(page).to_have_url(re.compile(r"disk=\w+&model=llama-chat"))
    expect(page.get_by_role("link", name="Open the model")).to_be_visible()
    page.get_by_role("link", name="Open the model").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("llama-chat")


def test_the_lines_to_use_a_model_are_copied_by_one_click(
    page: Page, shelf: Path, sign_in: Callable[..., None]
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(to="/models/llama-chat/")
    page.get_by_role("button", name="Copy the lines for Transformers").click()
    expect(page.locator("#live")).to_contain_text("Copied.")
    told = page.evaluate("navigator.clipboard.readText()")
    assert told.startswith("from transformers import pipeline\n")
    assert str(shelf / "llama-chat") in told
    page.get_by_role("link", name="Family").click()
    expect(page.get_by_role("heading", name="No relatives known")).to_be_visible()


def test_a_module_of_tensors_opens_by_click_and_by_keyboard(
    page: Page, shelf: Path, sign_in: Callable[..., None]
) -> None:
    sign_in(to="/models/llama-chat/tensors/")
    attention = page.locator("summary", has_text="self_attn").first
    expect(attention).to_be_visible()
    expect(page.get_by_text("q_proj")).to_have_count(0)
    attention.click()
    expect(page.get_by_text("q_proj.weight").first).to_be_visible()
    other = page.locator("summary", has_text="mlp").first
    other.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("gate_proj.weight").first).to_be_visible()
    page.get_by_role("link", name="Flat list").click()
    expect(page.get_by_role("cell", name="lm_head.weight")).to_be_visible()


def test_a_scan_under_way_is_followed_and_the_page_renews_itself_when_it_is_over(
    page: Page, shelf: Path, sign_in: Callable[..., None]
) -> None:
    alive = {
        "started_at": timezone.now(),
        "heartbeat_at": timezone.now(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    run = ScanRun.objects.create(state="running", trigger="page", expected=3, **alive)
    sign_in(to="/?from=test")
    expect(page.get_by_role("heading", name="Scan in progress")).to_be_visible()
    ScanRun.objects.filter(pk=run.pk).update(found=2, unchanged=2, current_path="llama-chat")
    expect(page.get_by_text("2 found")).to_be_visible()
    ScanRun.objects.filter(pk=run.pk).update(
        state="done", finished_at=timezone.now(), found=3, new=1
    )
    expect(page.locator("#live")).to_contain_text("Scan finished: 1 new")
    expect(page.get_by_role("heading", name="Scan in progress")).to_have_count(0)
    expect(page.locator("#nav-last")).to_contain_text("just now")
    expect(page.locator("#overview")).to_have_count(1)
    expect(page.locator(".tile").last).to_contain_text("3 checked")
