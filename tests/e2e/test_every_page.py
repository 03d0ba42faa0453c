"""What holds on every page, whoever wrote it: no barriers, nothing from elsewhere, light, still, as
narrow as a phone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from discovery.models import RegisteredModel
from tests.support.pages import addresses, furnish

SignIn = Callable[..., None]

#: Bytes that the first visit of a page may transfer.
MOST_BYTES = 120_000

POLICY = {"script-src": "'self'", "style-src": "'self'"}

LOADED = """() => {
  const entries = type => performance.getEntriesByType(type);
  const all = [...entries("navigation"), ...entries("resource")];
  return all.map(each => [each.name, each.transferSize]);
}"""

#: Visits to a page before what moves there counts as a fault of the page.
VISITS = 4

SHIFTED = """() => new Promise(resolve => {
  const moved = [];
  const shown = node => node?.outerHTML?.slice(0, 120) ?? node?.nodeName;
  const seen = each => each.sources.map(source => shown(source.node)).join(" | ");
  new PerformanceObserver(list => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) moved.push(seen(each));
  }).observe({type: "layout-shift", buffered: true});
  setTimeout(() => resolve(moved), 250);
})"""

SETTLING = """() => { window.settled = new Promise(resolve => {
  document.addEventListener("htmx:afterSettle", () => resolve(true), {once: true});
  setTimeout(() => resolve(false), 10000);
}); }"""
SETTLED = "() => window.settled"

TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

#: Links and buttons of the content that htmx follows, but for those that load the current state
#: again.
SWAPS = 'main a[hx-get]:not([aria-current="true"]), main button[hx-get]'


@pytest.fixture
def pages(shelf: Path, sign_in: SignIn, page: Page) -> dict[str, str]:
    """{name: address} of every page, with something on each; the browser is signed in as an
    administrator.
    """
    sign_in(to="/help/")
    user = User.objects.get(username="ada")
    furnish(user)
    client = Client()
    client.force_login(user)
    return addresses(client)


def barriers(page: Page, rules: list[str] | None = None) -> list[str]:
    options: dict[str, Any] = {
        "resultTypes": ["violations"],
        **({"runOnly": rules} if rules else {}),
    }
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][-160:]}"
        for each in found
        for node in each["nodes"][:3]
    ]


def went(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_load_state("load")


def test_there_are_pages_to_look_at(pages: dict[str, str]) -> None:
    assert {
        "overview",
        "models",
        "model",
        "model-health",
        "problems",
        "rules",
        "scans",
        "scan",
        "scan-compare",
        "logs",
        "help",
        "system",
    } <= set(pages)


def test_a_barrier_would_be_found(page: Page) -> None:
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><img src='data:,'></main>")
    assert [fault.partition(":")[0] for fault in barriers(page)] == ["image-alt"]


def test_no_page_has_a_barrier_or_is_wider_than_its_window(
    pages: dict[str, str], page: Page, live_server: Any
) -> None:
    """Each page is loaded once and looked at in light, in dark, and in windows of two widths."""
    found = {}
    for name, address in pages.items():
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 844})
        went(page, live_server.url + address)
        found[name] = barriers(page)
        page.emulate_media(color_scheme="dark")
        found[f"{name}, dark"] = barriers(page, ["color-contrast", "link-in-text-block"])
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 844})
            if more := page.evaluate(TOO_WIDE):
                found[f"{name}, {width} px"] = [f"{more} px too wide"]
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_no_swap_leaves_a_barrier(pages: dict[str, str], page: Page, live_server: Any) -> None:
    """On each page: a search, and the first link that swaps a part; then everything is looked at
    again.
    """
    page.emulate_media(reduced_motion="reduce")  # a part that fades in is not looked at half faded
    found, swapped = {}, 0
    for name, address in pages.items():
        for what in ("search", "link"):
            went(page, live_server.url + address)
            place = (
                page.locator("main input[data-search][hx-get]" if what == "search" else SWAPS)
                .locator("visible=true")
                .first
            )
            if not place.count():
                continue
            page.evaluate(SETTLING)
            place.fill("e") if what == "search" else place.click()
            assert page.evaluate(SETTLED), f"{name}: the {what} swaps nothing"
            swapped += 1
            found[f"{name}, {what}"] = barriers(page)
    assert swapped >= 8
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_first_visit_is_light_still_and_asks_nobody_else(
    pages: dict[str, str], page: Page, browser: Browser, live_server: Any
) -> None:
    """A busy browser may paint a page before all of it is there, so what moves once is looked at
    again: what a page itself moves, it moves at each visit.
    """
    faults = []
    for name, address in pages.items():
        for _ in range(VISITS):
            found = _first_visit(page, browser, live_server.url, address)
            if not found:
                break
        faults += [f"{name}: {fault}" for fault in found]
    assert faults == []


def _first_visit(page: Page, browser: Browser, site: str, address: str) -> list[str]:
    fresh: BrowserContext = browser.new_context(
        storage_state=page.context.storage_state(), viewport={"width": 1440, "height": 900}
    )
    tab = fresh.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(site + address, wait_until="load")
    size = sum(transferred for _, transferred in tab.evaluate(LOADED))
    elsewhere = {
        url
        for url in asked
        if urlsplit(url).netloc != urlsplit(site).netloc and not url.startswith("data:")
    }
    faults = [f"{size:,} bytes"] if size >= MOST_BYTES else []
    faults += [f"moves while it loads: {what}" for what in tab.evaluate(SHIFTED)]
    faults += [f"asks {url}" for url in elsewhere]
    fresh.close()
    return faults


def test_the_content_policy_allows_nothing_inline_anywhere(
    pages: dict[str, str], client: Client
) -> None:
    client.force_login(User.objects.get(username="ada"))
    administration = [
        "/admin/",
        "/admin/discovery/registeredmodel/",
        "/admin/discovery/root/add/",
        "/admin/auth/user/",
    ]
    for address in [*pages.values(), *administration, "/nothing/here/"]:
        policy = dict(
            part.strip().split(" ", 1)
            for part in client.get(address).headers["Content-Security-Policy"].split(";")
        )
        assert {name: policy[name] for name in POLICY} == POLICY, address
        assert not re.search("unsafe|nonce|sha256", str(policy)), address
    client.logout()
    assert "style-src 'self'" in client.get("/login/").headers["Content-Security-Policy"]


def test_browsing_filtering_and_editing_by_keyboard_alone(
    pages: dict[str, str], page: Page, live_server: Any
) -> None:
    went(page, f"{live_server.url}/models/")
    page.keyboard.press("/")
    page.keyboard.type("llama-chat")
    expect(page.locator("#results td .name")).to_have_count(1)
    tab_to(page, "a[href$='/models/llama-chat/']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("llama-chat")
    tab_to(page, "a[href$='/metadata/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/metadata/", wait_until="load")
    tab_to(page, "a[href*='/metadata/version/']")
    page.keyboard.press("Enter")
    expect(page.locator("#in-version")).to_be_focused()
    page.keyboard.type("2.1")
    page.keyboard.press("Enter")
    expect(page.locator("#field-version")).to_contain_text("edited by")
    assert RegisteredModel.objects.get(model_id="llama-chat").version == "2.1"


def tab_to(page: Page, selector: str, most: int = 120) -> None:
    """Presses Tab until the focus is on what ``selector`` names, and sees that the focus can be
    seen.
    """
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"{most} times Tab did not reach {selector}")


def test_without_scripts_everything_can_be_read(
    pages: dict[str, str], page: Page, browser: Browser, live_server: Any
) -> None:
    """Each page shows its heading and the way on; filters, pages and tabs are plain links and
    forms.
    """
    plain = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    tab = plain.new_page()
    for address in pages.values():
        tab.goto(live_server.url + address)
        expect(tab.get_by_role("heading", level=1)).to_have_count(1)
        dead = tab.locator(
            "main a[hx-get]:not([href]), main button[hx-get]:not([form]):not(form button)"
        )
        assert dead.count() == 0, f"{address}: {dead.first.evaluate('each => each.outerHTML')}"
    plain.close()
