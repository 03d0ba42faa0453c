"""Problems and the Health tab in a browser: what is wrong is found, judged, and tried, and the page
follows what happens.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from discovery.engine.core.types import FileEntry
from discovery.engine.integrity import checksums
from discovery.loading import supervise
from discovery.loading.job import Job, Outcome, Result
from discovery.models import DeepValidation, Finding, LoadTest, RegisteredModel, ScanRun
from discovery.services import scans
from discovery.services.health import deep_reading, deep_validation, test_loads
from tests.e2e.test_main_paths import fits
from tests.support import builders
from tests.support.waiting import DEADLINE

SignIn = Callable[..., None]


@pytest.fixture
def troubled(shelf: Path) -> Path:
    """One model cut short, one with a pickle that runs a program, registered."""
    with (shelf / "llama-chat/model.safetensors").open("r+b") as file:
        file.truncate(5_000)
    (shelf / "bert-base/model.safetensors").unlink()
    builders.pickle_with_import(shelf / "bert-base/pytorch_model.bin", "os", "system")
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    assert set(RegisteredModel.objects.values_list("model_id", "status")) == {
        ("bert-base", "UNSAFE"),
        ("llama-chat", "INCOMPLETE"),
        ("whisper-tiny", "READY"),
    }
    return shelf


@contextmanager
def working(work: Callable[[], object]) -> Iterator[None]:
    """A worker beside the browser."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def test_problems_are_filtered_by_severity_kind_and_words(
    page: Page, troubled: Path, sign_in: SignIn
) -> None:
    sign_in(to="/problems/")
    rows = page.locator("#results tbody tr")
    everything = rows.count()
    assert everything == Finding.objects.open().count()
    page.keyboard.press("/")
    page.keyboard.type("cut short")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("The download broke off")
    expect(page).to_have_url(re.compile(r"q=cut(\+|%20)short"))
    page.get_by_label("Search messages, files and models").fill("")
    expect(rows).to_have_count(everything)
    page.get_by_role("navigation", name="Kind of problem").get_by_role(
        "link", name="unsafe"
    ).first.click()
    expect(rows.first).to_contain_text("os.system")
    page.get_by_role("navigation", name="Severity").get_by_role("link", name="Warnings").click()
    expect(page.get_by_role("heading", name="No problem matches")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(rows).to_have_count(everything)


def test_a_problem_is_accepted_with_a_reason_and_opened_again(
    page: Page, troubled: Path, sign_in: SignIn
) -> None:
    sign_in(to="/problems/?q=os.system")
    page.get_by_label(re.compile("^Choose: ")).first.check()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Enter a reason.")).to_be_visible()
    page.get_by_label("Choose all on this page").check()
    page.get_by_label("Reason for accepting").fill("Our own, from the lab")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator(".toast")).to_contain_text("accepted")
    expect(page.get_by_role("heading", name="No problem matches")).to_be_visible()
    page.get_by_role("navigation", name="State").get_by_role("link", name="Accepted").click()
    expect(
        page.get_by_text("“Our own, from the lab”. It holds until the files change.").first
    ).to_be_visible()
    assert RegisteredModel.objects.get(model_id="bert-base").status == "READY"
    page.get_by_label("Choose all on this page").check()
    page.get_by_role("button", name="Reopen").click()
    expect(page.locator(".toast")).to_contain_text("open again")
    assert RegisteredModel.objects.get(model_id="bert-base").status == "UNSAFE"


def test_all_problems_on_a_page_are_put_off_and_checked_again_at_once(
    page: Page, troubled: Path, sign_in: SignIn
) -> None:
    sign_in(to="/problems/")
    count = page.locator("#results tbody tr").count()
    page.get_by_label("Choose all on this page").check()
    assert page.locator("input[name=finding]:checked").count() == count > 1
    page.get_by_role("button", name="Check again").click()
    expect(page.locator(".toast")).to_contain_text("2 models are being read again")
    page.get_by_label("Choose all on this page").check()
    page.get_by_label("How long to put them off").select_option("a month")
    page.get_by_role("button", name="Snooze").click()
    expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()
    page.get_by_role("navigation", name="State").get_by_role("link", name="Snoozed").click()
    expect(page.locator("#results tbody tr")).to_have_count(count)
    expect(page.get_by_text("Snoozed until").first).to_be_visible()


def test_what_is_mended_leaves_the_list_by_itself(
    page: Page, troubled: Path, sign_in: SignIn
) -> None:
    sign_in(to="/problems/?q=cut+short")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    builders.transformers(troubled / "llama-chat", hidden=64)
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    page.reload()
    expect(page.get_by_role("heading", name="No problem matches")).to_be_visible()
    page.goto(page.url.split("?")[0] + "?state=resolved")
    expect(page.get_by_text("is cut short")).to_be_visible()


def test_a_deep_validation_is_asked_for_watched_and_seen_to_end(
    page: Page, troubled: Path, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, go_on = threading.Event(), threading.Event()
    read = checksums.read

    def slowly(
        root: str, entry: FileEntry, tick: Callable[[int], None], **named: int
    ) -> checksums.Reading:
        if entry.name.endswith(".safetensors"):
            tick(0)
            half.set()
            assert go_on.wait(DEADLINE)
        return read(root, entry, tick, **named)

    monkeypatch.setattr(deep_reading.bytes_of, "read", slowly)
    monkeypatch.setattr(deep_reading, "INTERVAL", 0.0)
    sign_in(to="/models/llama-chat/health/")
    reason = page.get_by_label("Reason for accepting").first
    page.get_by_role("button", name=re.compile("^Run deep validation now")).click()
    expect(page.get_by_text("All bytes of the model will be read and compared.")).to_be_visible()
    expect(page.get_by_text("Waiting for a worker…")).to_be_visible()
    reason.fill("half a sentence")
    with working(lambda: deep_validation.execute(DeepValidation.objects.get(state="queued"))):
        assert half.wait(DEADLINE)
        expect(page.get_by_role("progressbar", name="Deep validation")).to_be_visible()
        expect(page.locator(".current")).to_contain_text("model.safetensors")
        go_on.set()
    expect(page.get_by_text(re.compile("Last read in full"))).to_be_visible()
    expect(reason).to_have_value("half a sentence")
    page.get_by_text(re.compile("^Checksums of ")).click()
    expect(page.get_by_text(re.compile("^SHA-256 [0-9a-f]{64}$")).first).to_be_visible()


def test_a_running_deep_validation_is_stopped(
    page: Page, troubled: Path, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def endless(_root: str, _entry: object, tick: Callable[[int], None], **_: object) -> object:
        while True:
            begun.set()
            tick(1)

    monkeypatch.setattr(deep_reading.bytes_of, "read", endless)
    sign_in(to="/models/whisper-tiny/health/")
    page.get_by_role("button", name=re.compile("^Run deep validation now")).click()
    with working(lambda: deep_validation.execute(DeepValidation.objects.get(state="queued"))):
        assert begun.wait(DEADLINE)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("It stops.")).to_be_visible()
    expect(page.get_by_text("Stopped before the end")).to_be_visible()
    assert DeepValidation.objects.get().state == "cancelled"


def test_a_test_load_is_asked_for_watched_and_its_result_shown(
    page: Page, troubled: Path, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def run(job: Job, *, wall_seconds: float, tick: Callable[[], None]) -> Outcome:
        begun.set()
        assert go_on.wait(DEADLINE)
        return Outcome(
            result=Result.PASSED,
            loader="safetensors",
            message="It opened 1 file and read all 21 tensors.",
            seconds=0.5,
        )

    monkeypatch.setattr(supervise, "run", run)
    sign_in(to="/models/whisper-tiny/health/")
    expect(page.get_by_text("Nobody has tried to load it yet.")).to_be_visible()
    page.get_by_role("button", name="Run test load").click()
    expect(page.get_by_text("Test load started.")).to_be_visible()
    expect(page.locator("#health .status", has_text="Queued")).to_be_visible()
    with working(lambda: test_loads.execute(LoadTest.objects.get(state="queued"))):
        assert begun.wait(DEADLINE)
        expect(page.locator("#health .status", has_text="Running")).to_be_visible()
        go_on.set()
    expect(page.locator("#health .status", has_text="Loads")).to_be_visible()
    expect(page.get_by_text("read all 21 tensors")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_an_unsafe_model_is_refused_and_says_so_wherever_it_shows(
    page: Page, troubled: Path, sign_in: SignIn
) -> None:
    sign_in(to="/models/bert-base/health/")
    page.get_by_role("button", name="Run test load").click()
    test_loads.execute(LoadTest.objects.get(state="queued"))
    expect(page.get_by_text("The model is unsafe and is not loaded").first).to_be_visible()
    expect(page.locator("#health .status", has_text="Refused")).to_be_visible()
    home = page.url.removesuffix("health/")
    for tab in ("", "files/", "tensors/"):
        page.goto(home + tab)
        expect(page.get_by_text("Do not load this model.")).to_be_visible()


def test_a_model_is_quarantined_and_let_out_again(
    page: Page, troubled: Path, sign_in: SignIn
) -> None:
    sign_in(to="/models/bert-base/health/")
    page.get_by_role("button", name="Quarantine").click()
    expect(page.get_by_text("only administrators see the model now")).to_be_visible()
    page.get_by_role("button", name="Lift the quarantine").click()
    expect(page.get_by_text("The quarantine is lifted")).to_be_visible()


@pytest.mark.parametrize("path", ["/problems/", "/models/bert-base/health/", "/system/"])
@pytest.mark.parametrize("width", [320, 390, 800, 1440])
def test_what_is_wrong_fits_every_width(
    path: str, width: int, page: Page, troubled: Path, sign_in: SignIn
) -> None:
    long = "a-very-long-name-without-any-space" * 12
    Finding.objects.update(message=long, path=long)
    RegisteredModel.objects.update(display_name=long)
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(to=path)
    assert fits(page)


def test_without_scripts_problems_are_still_judged_and_models_tried(
    page: Page, troubled: Path, sign_in: SignIn
) -> None:
    sign_in(to="/problems/")
    plain = page.context.browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )  # type: ignore[union-attr]
    tab = plain.new_page()
    tab.goto(f"{page.url}?q=os.system")
    tab.locator("input[name=finding]").first.check()
    tab.get_by_label("Reason for accepting").fill("ours")
    tab.get_by_role("button", name="Accept").click()
    expect(tab.get_by_text("1 finding accepted.")).to_be_visible()
    tab.goto(page.url.replace("problems/", "models/whisper-tiny/health/"))
    tab.get_by_role("button", name="Run test load").click()
    expect(tab.get_by_text("Test load started.")).to_be_visible()
    plain.close()
