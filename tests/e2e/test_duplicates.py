"""From a tick to the files that are gone: the list, the reviewed plan, the script as it was
downloaded. Without JavaScript.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from discovery.models import RegisteredModel, ScanRun
from discovery.services import scans
from discovery.services.cleanup import orphans


@pytest.fixture(autouse=True)
def fresh_disks() -> Iterator[None]:
    orphans.forget()
    yield
    orphans.forget()


def test_a_copy_is_ticked_reviewed_and_removed_by_the_script(
    browser: Any,
    live_server: Any,
    shelf: Path,
    page: Page,
    sign_in: Callable[..., None],
    tmp_path: Path,
) -> None:
    shutil.copytree(shelf / "bert-base", shelf / "old/bert-copy")
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    sign_in(to="/help/")
    plain = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    tab = plain.new_page()
    tab.goto(f"{live_server.url}/duplicates/")
    expect(tab.get_by_text("Look alike", exact=True)).to_be_visible()
    tab.get_by_role("button", name="Review the plan").click()
    expect(tab.get_by_role("alert")).to_contain_text("Nothing is ticked")
    tab.get_by_role("checkbox", name=f"Remove {shelf}/old/bert-copy").check()
    tab.get_by_role("button", name="Review the plan").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Review the plan")
    expect(tab.get_by_text(f"{shelf}/bert-base", exact=True)).to_be_visible()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download the script").click()
    script = tmp_path / download.value.suggested_filename
    download.value.save_as(script)
    plain.close()
    assert script.name == "clean-up.sh"
    assert subprocess.run(["sh", str(script)], capture_output=True, check=False).returncode == 0
    assert (shelf / "old/bert-copy").exists()
    assert (
        subprocess.run(["sh", str(script), "--remove"], capture_output=True, check=False).returncode
        == 0
    )
    assert not (shelf / "old/bert-copy").exists()
    assert (shelf / "bert-base/model.safetensors").exists()
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    assert set(
        RegisteredModel.objects.filter(missing_since=None).values_list("name", flat=True)
    ) == {"bert-base", "llama-chat", "whisper-tiny"}
