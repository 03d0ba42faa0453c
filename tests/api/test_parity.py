"""What a page can do has a call: the table of ``docs/api.md`` against the URL confs and the OpenAPI
document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands
from django.test import Client

from discovery.web.urls import urlpatterns

TABLE = Path(settings.BASE_DIR) / "docs" / "api.md"
HEAD = "| what | page (URL name) | command | call |"
NO_CALL = "of the browser alone"


@dataclass(frozen=True)
class Row:
    """What stands between backticks in each cell; ``said`` is the text of the last one."""

    what: str
    pages: list[str]
    commands: list[str]
    calls: list[str]
    said: str


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    lines = TABLE.read_text("utf-8").split(HEAD)[1].splitlines()[2:]
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        what, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        quoted = [re.findall(r"`([^`]+)`", cell) for cell in cells]
        found.append(Row(what, *quoted, said=cells[-1]))
    return found


@pytest.fixture
def calls(anybody: Client, db: None) -> set[str]:
    document: Any = anybody.get("/api/openapi.json").json()
    return {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }


def test_every_page_has_a_row_with_a_call(rows: list[Row]) -> None:
    named = {name for row in rows for name in row.pages}
    pages = {str(pattern.name) for pattern in urlpatterns}
    assert named - pages == set(), "there are no such pages"
    assert pages - named == set(), "a page without a row"
    bare = [row.what for row in rows if row.pages and not row.calls and row.said != NO_CALL]
    assert bare == []


def test_every_call_has_a_row_and_every_row_a_call_that_exists(
    rows: list[Row], calls: set[str]
) -> None:
    named = [call for row in rows for call in row.calls]
    assert sorted(named) == sorted(set(named)), "a call stands in one row"
    assert set(named) == calls


def test_every_command_in_the_table_exists(rows: list[Row]) -> None:
    assert {name for row in rows for name in row.commands} <= set(get_commands())
