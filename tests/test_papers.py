"""README, CONTRIBUTING, CHANGELOG and docs: their links lead somewhere, and the files and names
that they speak of are in the code.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

BASE = Path(settings.BASE_DIR)
PAPERS = [*sorted(BASE.glob("*.md")), *sorted((BASE / "docs").glob("*.md"))]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_PATH = re.compile(
    r"(?:discovery|karen_admin|tests|templates|static|docs|config)/[\w./-]*|\.ci/run|"
    r"[\w.]+\.(?:toml|txt)"
)
_ROW = re.compile(r"(?m)^\| `([^`]+\.py)`(?: and a migration)? \| ((?:`\w+`|[^`|])+)")
_IN = re.compile(r"((?:`\w+`(?:, | and )?)+) (?:in|of) `([^`]+\.py)`")

papers = pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)


def anchors(paper: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", paper.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@papers
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(paper: Path) -> None:
    for link in _LINK.findall(paper.read_text("utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        place, _, anchor = link.partition("#")
        target = (paper.parent / place).resolve() if place else paper
        assert target.is_relative_to(BASE), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@papers
def test_every_file_that_is_named_is_there(paper: Path) -> None:
    for code in _CODE.findall(_FENCE.sub("", paper.read_text("utf-8"))):
        for word in code.split():
            if _PATH.fullmatch(word):
                assert (BASE / word).exists(), word


@papers
def test_every_name_beside_its_module_is_in_it(paper: Path) -> None:
    text = paper.read_text("utf-8")
    named = [(match[1], re.findall(r"`(\w+)`", match[2])) for match in _ROW.finditer(text)]
    named += [(match[2], re.findall(r"`(\w+)`", match[1])) for match in _IN.finditer(text)]
    for module, names in named:
        code = (BASE / module).read_text("utf-8")
        for name in names:
            assert re.search(rf"\b{name}\b", code), f"{module}: {name}"


def test_every_page_of_docs_can_be_found_from_readme() -> None:
    linked = set(_LINK.findall((BASE / "README.md").read_text("utf-8")))
    pages = {f"docs/{page.name}" for page in (BASE / "docs").glob("*.md")}
    assert pages <= linked
