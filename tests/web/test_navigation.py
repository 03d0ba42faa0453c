"""The sidebar, the tabs and the breadcrumbs: everything there is has its place, and people see what
they may open.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from discovery.models import Collection, RegisteredModel, Right
from discovery.web.shared import navigation
from tests.doors import TABLE
from tests.people import permit
from tests.support.page_text import page_text
from tests.support.pages import every_address

Make = Callable[..., RegisteredModel]

HTMX = {"HX-Request": "true"}
PAGES = [(entry, page) for entry in (*navigation.ENTRIES, *navigation.FOOT) for page in entry.pages]


def sidebar(html: str) -> list[str]:
    """Addresses of the entries, in order."""
    menu = html[html.index('id="menu"') : html.index('id="nav-last"')]
    return re.findall(r'<a class="nav" href="([^"]+)"', menu)


def tabs(html: str) -> list[str]:
    strip = re.search(r'<nav class="tabs sub".*?</nav>', html, re.S)
    return re.findall(r">([^<]+)</a>", strip[0]) if strip else []


def crumbs(html: str) -> list[str]:
    strip = re.search(r'<nav class="crumbs".*?</nav>', html, re.S)
    return re.findall(r'href="([^"]+)"', strip[0]) if strip else []


def test_the_sidebar_is_short_enough_to_be_read_at_a_glance() -> None:
    assert len(navigation.ENTRIES) <= 9
    assert {entry.group for entry in navigation.ENTRIES} == set(navigation.GROUPS)
    assert len(navigation.GROUPS) <= 3


def test_every_entry_has_an_icon() -> None:
    sprite = (Path(settings.BASE_DIR) / "static/img/icons.svg").read_text()
    named = set(re.findall(r'<symbol id="(\w+)"', sprite))
    assert {entry.key for entry in (*navigation.ENTRIES, navigation.FOOT[0])} <= named


def test_every_address_has_its_place_in_the_navigation(db: None) -> None:
    """Facets and the refresh of the overview are parts of pages, and an export is a file."""
    lost = {name for name, address in every_address() if navigation.place(address) is None}
    assert lost <= {"facet", "overview-live", "export"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "home"),
        ("/models/some-model/files/", "models"),
        ("/scans/7/", "scans"),
        ("/scans/moves/join/", "moves"),
        ("/scans/unrecognized/support/", "unrecognized"),
        ("/rules/secondary/chat/", "rules"),
        ("/api/docs/examples", "openapi-page"),
    ],
)
def test_what_lies_below_a_page_belongs_to_it(path: str, name: str) -> None:
    found = navigation.place(path)
    assert found
    assert found[1].name == name


def test_an_address_that_does_not_exist_has_no_place() -> None:
    assert navigation.place("/nothing/here/") is None


@pytest.mark.parametrize(("entry", "page"), PAGES, ids=lambda each: getattr(each, "name", ""))
def test_a_page_is_listed_for_those_whom_its_door_lets_in(
    entry: navigation.Entry, page: navigation.Page, db: None
) -> None:
    """The door is asked here, and the table of doors says the same of the address."""
    who = TABLE[page.address.removeprefix("/")]["GET"]
    for one in who.some or {""}:
        rights = who.every | ({one} if one else set())
        assert page.is_open_to(permit(User.objects.create_user(f"with-{one}"), *rights))
    if who.some:
        assert not page.is_open_to(permit(User.objects.create_user("without"), *who.every))
    for right in who.every:
        others = (who.every - {right}) | who.some
        assert not page.is_open_to(permit(User.objects.create_user(f"no-{right}"), *others))


def test_a_reader_sees_no_entry_and_no_tab_that_is_not_theirs(reader_client: Client) -> None:
    html = page_text(reader_client.get("/models/"))
    assert sidebar(html) == ["/", "/models/", "/collections/", "/tokens/"]
    assert tabs(html) == ["All models", "Saved views"]


def test_a_superuser_sees_everything(admin_client: Client) -> None:
    html = page_text(admin_client.get("/models/"))
    assert sidebar(html) == [entry.pages[0].address for entry in navigation.ENTRIES]
    assert tabs(html) == ["All models", "Saved views", "Import and export"]


def test_an_entry_leads_to_the_first_of_its_pages_that_one_may_open(
    client: Client, db: None
) -> None:
    client.force_login(permit(User.objects.create_user("logs"), Right.VIEW_LOG))
    html = page_text(client.get("/models/"))
    assert "/logs/" in sidebar(html)
    assert "/system/" not in sidebar(html)


def test_the_entry_and_the_tab_of_the_page_are_marked(admin_client: Client) -> None:
    html = page_text(admin_client.get("/tags/"))
    assert re.findall(r'<a (?:class="nav" )?href="([^"]+)" aria-current="page"', html) == [
        "/collections/",
        "/tags/",
    ]


def test_one_page_alone_has_no_tabs(client: Client, db: None) -> None:
    client.force_login(permit(User.objects.create_user("reader"), Right.VIEW_FINDINGS))
    assert tabs(page_text(client.get("/problems/"))) == []


def test_a_page_below_has_breadcrumbs_in_place_of_tabs(
    admin_client: Client, make_model: Make
) -> None:
    make_model()
    shelf = Collection.objects.create(name="Shelf")
    html = page_text(admin_client.get("/models/tiny-model/"))
    assert (crumbs(html), tabs(html)) == (["/models/"], [])
    assert crumbs(page_text(admin_client.get(f"/collections/{shelf.pk}/edit/"))) == [
        "/collections/",
        f"/collections/{shelf.pk}/",
    ]
    assert crumbs(page_text(admin_client.get("/bulk/"))) == ["/", "/history/"]
    assert crumbs(page_text(admin_client.get("/models/"))) == []


def test_what_a_page_calls_its_own_parts_does_not_get_into_the_frame(
    admin_client: Client, make_model: Make
) -> None:
    """The overview has crumbs of its own, in its map of the disks."""
    make_model()
    html = page_text(admin_client.get("/"))
    assert (crumbs(html), tabs(html)) == ([], ["Summary", "Activity", "History"])
    assert 'href=""' not in html


def test_parts_of_pages_bring_no_navigation(admin_client: Client) -> None:
    html = page_text(admin_client.get("/tags/", headers=HTMX))
    assert "<nav class=" not in html.replace('<nav class="pager', "")
    assert reverse("webhooks") not in html


def test_navigating_asks_no_queries_of_its_own(
    admin_user: User, django_assert_num_queries: Any
) -> None:
    admin_user.get_all_permissions()
    with django_assert_num_queries(0):
        assert all(page.is_open_to(admin_user) for _entry, page in PAGES)
