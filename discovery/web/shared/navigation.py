"""The navigation: every entry of the sidebar with its sub-pages, declared once.

The sidebar, the tabs at the top of a page and the breadcrumbs are generated from ``ENTRIES``. A
page is shown to everybody whom its view admits: the view's own check (``needs``, ``needs_any``)
decides, so that no right is written down twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.urls import get_script_prefix, resolve, reverse

#: The groups of the sidebar, in order.
GROUPS = ("Registry", "Curate", "Manage")


@dataclass(frozen=True, slots=True)
class Page:
    """A page with a tab of its own.

    ``name`` is the name of its URL; all URLs below it belong to the page, and so do those in
    ``also``.
    """

    name: str
    label: str
    also: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return reverse(self.name)

    def is_open_to(self, user: Any) -> bool:
        return _door(self.name)(user)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the sidebar. ``key`` is also the name of its icon in ``img/icons.svg``."""

    key: str
    label: str
    group: str
    pages: tuple[Page, ...]


ENTRIES = (
    Entry(
        "overview",
        "Overview",
        "Registry",
        (
            Page("home", "Summary", also=("welcome",)),
            Page("activity", "Activity"),
            Page("history", "History", also=("bulk",)),
        ),
    ),
    Entry(
        "models",
        "Models",
        "Registry",
        (
            Page("models", "All models", also=("compare", "register")),
            Page("views", "Saved views"),
            Page("import", "Import and export"),
        ),
    ),
    Entry(
        "scans",
        "Scans",
        "Registry",
        (
            Page("scans", "Scans"),
            Page("unrecognized", "Unrecognized files"),
            Page("scan-skipped", "Skipped folders"),
            Page("moves", "Moves"),
        ),
    ),
    Entry(
        "collections",
        "Collections",
        "Curate",
        (Page("collections", "Collections"), Page("tags", "Tags")),
    ),
    Entry(
        "problems",
        "Problems",
        "Curate",
        (
            Page("problems", "Problems"),
            Page("report", "Completeness"),
            Page("duplicates", "Clean-up"),
        ),
    ),
    Entry(
        "integrations",
        "Integrations",
        "Manage",
        (
            Page("registries", "Registries"),
            Page("downloads", "Downloads"),
            Page("tokens", "API tokens"),
            Page("webhooks", "Webhooks"),
            Page("openapi-page", "HTTP API"),
        ),
    ),
    Entry(
        "access",
        "Users and groups",
        "Manage",
        (Page("users", "Users"), Page("groups", "Groups"), Page("account-changes", "History")),
    ),
    Entry("system", "System", "Manage", (Page("system", "Status"), Page("logs", "Logs"))),
    Entry(
        "settings",
        "Settings",
        "Manage",
        (
            Page("settings", "Roots"),
            Page("settings-scanning", "Scanning"),
            Page("rules", "Rules"),
            Page("access", "Access"),
            Page("settings-machines", "Machines"),
            Page("settings-plugins", "Plugins"),
            Page("settings-limits", "Retention and limits"),
            Page("settings-history", "History"),
        ),
    ),
)

#: At the foot of the sidebar, beside the name of who is signed in.
FOOT = (
    Entry("help", "Help", "", (Page("help", "Help"),)),
    Entry("account", "Account", "", (Page("account", "Account"),)),
)


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    address: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the sidebar for one person.

    It leads to the first of its pages that the person may open.
    """

    key: str
    label: str
    address: str
    current: bool


def of(request: HttpRequest) -> dict[str, Any]:
    """Return what the frame shows to this person on this page.

    These are ``groups`` (the lines of each), ``tabs``, ``crumbs`` and ``area``, the key of the
    current entry.
    """
    here, page = place(request.path) or (None, None)
    lines: dict[str, list[Line]] = {group: [] for group in GROUPS}
    tabs: list[Link] = []
    crumbs: list[Link] = []
    for entry in (*ENTRIES, *FOOT):
        pages = [each for each in entry.pages if each.is_open_to(request.user)]
        if not pages:
            continue
        first = pages[0].address
        if entry.group:
            lines[entry.group].append(Line(entry.key, entry.label, first, entry is here))
        if entry is not here or page is None:
            continue
        if request.path == page.address:
            tabs = [Link(each.label, each.address, each is page) for each in pages]
        else:
            crumbs = [Link(entry.label, first)]
            crumbs += [Link(page.label, page.address)] if page in pages[1:] else []
    return {
        "groups": [(group, rows) for group, rows in lines.items() if rows],
        "tabs": tabs if len(tabs) > 1 else [],
        "crumbs": crumbs,
        "area": here.key if here else "",
    }


def place(path: str) -> tuple[Entry, Page] | None:
    """The entry and the page that an address belongs to: the longest one that it lies under."""
    under = (found for found in _places() if path == found[0] or _is_below(path, found[0]))
    longest = max(under, key=lambda found: len(found[0]), default=None)
    return longest[1:] if longest else None


def _is_below(path: str, base: str) -> bool:
    return base != "/" and path.startswith(base)


def _places() -> tuple[tuple[str, Entry, Page], ...]:
    return tuple(
        (reverse(name), entry, page)
        for entry in (*ENTRIES, *FOOT)
        for page in entry.pages
        for name in (page.name, *page.also)
    )


@cache
def _door(name: str) -> Callable[[Any], bool]:
    """``is_open_to`` of the view behind an address; a view without one lets in everybody."""
    path = "/" + reverse(name).removeprefix(get_script_prefix())
    door: Callable[[Any], bool] = getattr(resolve(path).func, "is_open_to", lambda _user: True)
    return door
