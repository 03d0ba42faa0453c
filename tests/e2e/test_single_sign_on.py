"""Signing in through a provider in a real browser, which holds to the content policy and to what
cookies are sent along from another site.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from tests.people import join
from tests.support.openid_provider import OpenIdProvider, configure, running

BUTTON = "Sign in with Example ID"


@pytest.fixture
def provider(settings: Any, transactional_db: None) -> Iterator[OpenIdProvider]:
    from discovery.models import roles

    for role in (roles.EDITOR, roles.ADMINISTRATOR):
        join(User.objects.create_user(f"first {role.name}"), role)
    with running() as found:
        configure(settings, found)
        settings.OIDC_LABEL = BUTTON
        settings.SIGN_IN_GROUPS = {"admins": ("Registry administrators",)}
        found.claims |= {"groups": ["admins"], "name": "Ada"}
        yield found


def test_a_person_gets_the_role_of_the_provider_and_loses_it_at_the_next_sign_in(
    provider: OpenIdProvider, page: Page, live_server: Any
) -> None:
    page.goto(f"{live_server.url}/settings/")
    page.get_by_role("link", name=BUTTON).click()
    expect(page.get_by_role("heading", name="Roots", exact=True)).to_be_visible()
    page.goto(f"{live_server.url}/account/")
    expect(page.get_by_text("Registry administrators")).to_be_visible()
    expect(page.get_by_text("You do not have a password here")).to_be_visible()
    page.locator("form[action='/logout/'] button").click()
    expect(page.get_by_role("link", name=BUTTON)).to_be_visible()

    provider.claims["groups"] = []
    page.get_by_role("link", name=BUTTON).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_role("link", name="Settings")).to_have_count(0)
    assert not Group.objects.filter(user__username="ada").exists()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("local", [True, False])
def test_the_sign_in_page_is_without_barriers_and_tells_what_failed(
    local: bool, width: int, provider: OpenIdProvider, page: Page, live_server: Any, settings: Any
) -> None:
    settings.SIGN_IN_LOCAL = local
    provider.answers["/.well-known/openid-configuration"] = (503, "")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{live_server.url}/login/?next=/tags/")
    page.get_by_role("link", name=BUTTON).click()
    expect(page.get_by_role("alert")).to_have_text(
        "The sign-in provider cannot be reached. Try again in a moment."
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert Axe().run(page).response["violations"] == []
    if not local:
        page.get_by_role("link", name="sign in with a password").click()
    page.get_by_label("Username").fill("x")
    expect(page.get_by_role("alert")).to_have_count(0 if not local else 1)

    provider.answers = {}
    page.get_by_role("link", name=BUTTON).click()
    page.wait_for_url("**/tags/")
