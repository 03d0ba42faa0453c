"""One model: what is known and from where, its files, its tensors. Each tab has an address of its own."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from discovery.engine.text import plural
from discovery.engine.types import Severity
from discovery.models import RegisteredModel, Root
from discovery.services import browse, family, reports, search, usage_lines
from discovery.web import cards, facts, family_graph, memory, why
from discovery.web.pages import fetch, numbered, page_or_partial

PAGE_SIZE = 200

#: Weight files offered for choosing among.
MAX_CHOICES = 1_000


def frame(record: RegisteredModel, tab: str) -> dict[str, Any]:
    """What all tabs show."""
    hosted = record.root.path == Root.REMOTE
    folders = [] if hosted else record.path.split("/")[:-1]
    location = record.value("endpoint") if hosted else f"{record.root.path.rstrip('/')}/{record.path}".removesuffix("/.")
    modalities = why.modalities(record)
    trouble = record.findings.open().filter(severity=Severity.ERROR).count()
    return {
        "section": "models",
        "model": record,
        "tab": tab,
        "folders": folders,
        "location": location,
        "modalities": modalities,
        "trouble": trouble,
    }


@require_safe
def overview(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    card = browse.card(record) if record.missing_since is None else None
    context = {
        "facts": facts.facts(record),
        "objects": facts.objects(record),
        "verdicts": why.verdicts(record),
        "key_variable": record.value("api_key_variable"),
        "advice": reports.advice(record),
        **memory.context(request, record),
        "card": card,
        "card_html": cards.render(card.text) if card else "",
        "relatives": family_graph.brief(record, family.family(record, request.user)),
        "usages": usage_lines.usages(record, family.base_of(record, request.user)),
        "why_no_usage": usage_lines.why_none(record),
    }
    return page_or_partial(request, "discovery/model_overview.html", "tab", {**frame(record, "overview"), **context})


@require_safe
def relatives(request: HttpRequest, model_id: str) -> HttpResponse:
    """Its family: a graph and lists."""
    record = fetch(request, model_id)
    found = family.family(record, request.user)
    context = {"family": found, "graph": family_graph.graph(record, found), "groups": family_graph.groups(found)}
    return page_or_partial(request, "discovery/model_family.html", "tab", {**frame(record, "family"), **context})


@require_safe
def files(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    text = search.normal_text(request.GET.get("q", ""))
    prefix = "" if record.path == "." else f"{record.path}/"
    shown = [(path.removeprefix(prefix), size) for path, size in record.files]
    found = [row for row in shown if _matches(row[0], text)]
    context = {"text": text, "page": numbered(request, found, PAGE_SIZE)}
    return page_or_partial(request, "discovery/model_files.html", "results", {**frame(record, "files"), **context})


@require_safe
def tensors(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    text = search.normal_text(request.GET.get("q", ""))
    choices = browse.weight_files(record)[:MAX_CHOICES]
    chosen = request.GET.get("file", "")
    chosen = chosen if chosen in choices else ""
    read = browse.tensors(record, chosen) if record.missing_since is None else browse.Tensors()
    found = [row for row in read.rows if _matches(row.tensor.name, text)]
    context = {
        "text": text,
        "read": read,
        "page": numbered(request, found, PAGE_SIZE),
        "choices": choices,
        "chosen": chosen,
        "limits": _limits(read),
    }
    return page_or_partial(request, "discovery/model_tensors.html", "results", {**frame(record, "tensors"), **context})


def _limits(read: browse.Tensors) -> str:
    """What was left out, and how to see it."""
    if read.read < read.total:
        return f"These are the tensors of the first {read.read} of {plural(read.total, 'weight file')}. Choose a file to see the others."
    if len(read.rows) >= browse.MAX_TENSORS:
        return f"Only the first {browse.MAX_TENSORS:,} tensors are listed. Choose a file to see fewer."
    return ""


def _matches(name: str, text: str) -> bool:
    folded = name.casefold()
    return all(word.casefold() in folded for word in text.split())
