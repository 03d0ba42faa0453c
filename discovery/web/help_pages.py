"""The Help pages: short answers from files next to this package.

One page checks the disk for the reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

import markdown
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from discovery.models import Right
from discovery.services.access import permissions
from discovery.services.scans import explain_missing
from discovery.web.shared import help_tables
from discovery.web.shared.shortcuts import page_or_partial

FOLDER = Path(__file__).resolve().parent.parent / "help"

#: Topics in the order they are listed, each a file of that name; those for administrators lead to
#: their pages.
TOPICS = (
    "layout",
    "searching",
    "scans",
    "metadata",
    "categories",
    "loading",
    "plugins",
    "registries",
    "slow",
    "access",
    "commands",
)
#: What help pages take from declarations, as ``$name``.
_PARTS = {
    "search_words": help_tables.search_words(),
    "checks": help_tables.checks(),
    "metadata_keys": help_tables.metadata_keys(),
}

FOR_ALL = ("layout", "searching", "metadata", "access")


@dataclass(frozen=True, slots=True)
class Topic:
    """One page of help. ``summary`` is its first paragraph, as text."""

    name: str
    title: str
    summary: str
    html: str


@cache
def topic(name: str) -> Topic:
    """Read the file of a topic: its first line is the title, its first paragraph the summary."""
    text = Template((FOLDER / f"{name}.md").read_text(encoding="utf-8")).safe_substitute(_PARTS)
    heading, _, body = text.partition("\n")
    first = body.strip().split("\n\n", 1)[0]
    return Topic(
        name,
        heading.removeprefix("# ").strip(),
        first.replace("**", ""),
        markdown.markdown(body, extensions=["tables", "fenced_code", "sane_lists"]),
    )


def _topics(request: HttpRequest) -> tuple[str, ...]:
    return TOPICS if permissions.may(request.user, Right.SYSTEM) else FOR_ALL


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    context = {"topics": [topic(name) for name in _topics(request)]}
    return page_or_partial(request, "discovery/help.html", "topics", context)


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    if name not in _topics(request):
        raise Http404(f"no help on {name}")
    others = [topic(other) for other in _topics(request) if other != name]
    return page_or_partial(
        request,
        "discovery/help_topic.html",
        "text",
        {"topic": topic(name), "others": others},
    )


@require_safe
def appear(request: HttpRequest) -> HttpResponse:
    """Explain to administrators why the model at a path does not appear.

    Other people learn who can find out.
    """
    allowed = permissions.may_all(request.user, (Right.SYSTEM, Right.VIEW_ALL))
    typed = request.GET.get("path", "") if allowed else ""
    answer, fault = None, ""
    if "path" in request.GET and allowed:
        try:
            answer = explain_missing.explain(typed, request.user)
        except explain_missing.NotAPath as error:
            fault = str(error)
    context = {
        "typed": typed[: explain_missing.LONGEST],
        "answer": answer,
        "fault": fault,
        "allowed": allowed,
    }
    return page_or_partial(
        request, "discovery/help_appear.html", "answer", context, status=422 if fault else 200
    )
