"""One model: what is known and from where, its files, its tensors. Each tab has an address of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from discovery.engine.text import clean, human_bytes, plural
from discovery.engine.types import Severity
from discovery.models import RegisteredModel, Root
from discovery.services import browse, duplicates, family, reports, search, usage_lines
from discovery.templatetags.karen import file_kind
from discovery.web import cards, facts, family_graph, memory, tensor_tree, why
from discovery.web.bars import Bar, percent
from discovery.web.pages import fetch, is_fragment, numbered, page_or_partial

PAGE_SIZE = 200

#: Weight files offered for choosing among.
MAX_CHOICES = 1_000
#: Kinds of files that have a bar.
MAX_KINDS = 7
#: The longest name of a module that is asked for.
MAX_MODULE = 1_000


def frame(record: RegisteredModel, tab: str) -> dict[str, Any]:
    """What all tabs show."""
    hosted = record.root.path == Root.REMOTE
    folders = [] if hosted else record.path.split("/")[:-1]
    location = (
        record.value("endpoint")
        if hosted
        else f"{record.root.path.rstrip('/')}/{record.path}".removesuffix("/.")
    )
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
    return page_or_partial(
        request, "discovery/model_overview.html", "tab", {**frame(record, "overview"), **context}
    )


@require_safe
def relatives(request: HttpRequest, model_id: str) -> HttpResponse:
    """Its family: a graph and lists."""
    record = fetch(request, model_id)
    found = family.family(record, request.user)
    context = {
        "family": found,
        "graph": family_graph.graph(record, found),
        "groups": family_graph.groups(found),
    }
    return page_or_partial(
        request, "discovery/model_family.html", "tab", {**frame(record, "family"), **context}
    )


@dataclass(frozen=True, slots=True)
class File:
    """One row of the Files tab: ``path`` as shown, below the model's folder; ``full`` relative to the root."""

    path: str
    full: str
    size: int


@require_safe
def files(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    text = search.normal_text(request.GET.get("q", ""))
    sort = request.GET.get("sort", "")
    sort = sort if sort in FILE_SORTS else "name"
    prefix = "" if record.path == "." else f"{record.path}/"
    found = [File(path.removeprefix(prefix), path, size) for path, size in record.files]
    found = [file for file in found if _matches(file.path, text)]
    if sort != "name":
        found.sort(key=FILE_SORTS[sort], reverse=sort.startswith("-"))
    page = numbered(request, found, PAGE_SIZE)
    context: dict[str, Any] = {
        "text": text,
        "sort": sort,
        "page": page,
        "largest": max((file.size for file in found), default=0),
    }
    context["elsewhere"] = duplicates.elsewhere(
        record, [file.full for file in page.object_list], request.user
    )
    if not is_fragment(request):
        context |= {"kinds": _kinds(record), "alike": duplicates.alike(record, request.user)}
    return page_or_partial(
        request, "discovery/model_files.html", "results", {**frame(record, "files"), **context}
    )


FILE_SORTS: dict[str, Callable[[File], Any]] = {
    "name": lambda file: file.path, "-name": lambda file: file.path, "size": lambda file: file.size, "-size": lambda file: file.size,
}  # fmt: skip


def _kinds(record: RegisteredModel) -> list[Bar]:
    """What the bytes are of, the most first."""
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for path, size in record.files:
        kind = file_kind(path) or "others"
        sizes[kind] += size
        counts[kind] += 1
    whole = sum(sizes.values())
    return [
        Bar(kind, f"{human_bytes(size)} · {plural(counts[kind], 'file')}", percent(size, whole))
        for kind, size in sizes.most_common(MAX_KINDS)
    ]


@require_safe
def tensors(request: HttpRequest, model_id: str) -> HttpResponse:
    """By module, a level at a time (``at`` names the module, ``part`` asks for its level alone), or all in one list."""
    record = fetch(request, model_id)
    text = search.normal_text(request.GET.get("q", ""))
    choices = browse.weight_files(record)[:MAX_CHOICES]
    chosen = request.GET.get("file", "")
    chosen = chosen if chosen in choices else ""
    read = browse.tensors(record, chosen) if record.missing_since is None else browse.Tensors()
    at = clean(request.GET.get("at", ""), MAX_MODULE)
    flat = bool(text) or request.GET.get("view") == "all"
    context: dict[str, Any] = {
        "text": text,
        "read": read,
        "choices": choices,
        "chosen": chosen,
        "limits": _limits(read),
        "flat": flat,
        "at": at,
    }
    if flat:
        found = [row for row in read.rows if _matches(row.tensor.name, text)]
        context["page"] = numbered(request, found, PAGE_SIZE)
    else:
        context["level"] = tensor_tree.level(read.rows, at)
    if request.GET.get("part") == "1" and is_fragment(request) and not flat:
        return render(request, "discovery/model_tensors.html#level", {"model": record, **context})
    context["types"] = tensor_tree.type_bar(read.rows)
    return page_or_partial(
        request, "discovery/model_tensors.html", "results", {**frame(record, "tensors"), **context}
    )


def _limits(read: browse.Tensors) -> str:
    """What was left out, and how to see it."""
    if read.read < read.total:
        return f"These are the tensors of the first {read.read} of {plural(read.total, 'weight file')}. Choose a file to see the others."
    if len(read.rows) >= browse.MAX_TENSORS:
        return (
            f"Only the first {browse.MAX_TENSORS:,} tensors are listed. Choose a file to see fewer."
        )
    return ""


def _matches(name: str, text: str) -> bool:
    folded = name.casefold()
    return all(word.casefold() in folded for word in text.split())
