"""Templates can be read and compared: one element a line, as far as white space allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

BASE = Path(settings.BASE_DIR) / "templates"
WIDEST = 150


@pytest.mark.parametrize(
    "path", sorted(BASE.rglob("*.html")), ids=lambda path: str(path.relative_to(BASE))
)
def test_no_line_is_too_wide_to_compare(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > WIDEST] == []


@pytest.mark.parametrize(
    "path", sorted(BASE.rglob("*.html")), ids=lambda path: str(path.relative_to(BASE))
)
def test_no_comment_shows_and_no_time_is_said_to_be_utc(path: Path) -> None:
    """``{# #}`` is a comment on one line only; times are those of the person's own zone."""
    text = path.read_text("utf-8")
    assert [line for line in text.splitlines() if "{#" in line and "#}" not in line] == []
    assert "}} UTC" not in text
