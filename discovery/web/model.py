"""One model: its known values with their sources, its files and its tensors.

Each tab has an address of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from discovery.engine.core.file_kinds import file_kind
from discovery.engine.core.text import clean, human_bytes, plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import RegisteredModel, Root
from discovery.services.access.redaction import Sight
from discovery.services.cleanup import duplicates
from discovery.services.insight import completeness_report, lineage, model_contents, snippets
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registries import links
from discovery.services.registries.configured import configured
from discovery.services.registry import model_files
from discovery.services.search import model_filters
from discovery.services.transfer.export_formats import FORMATS
from discovery.web import evidence, model_memory
from discovery.web.shared import cards, family_graph, field_values, tensor_tree
from discovery.web.shared.bars import Bar, percent
from discovery.web.shared.shortcuts import fetch, is_fragment, numbered, page_or_partial

PAGE_SIZE = 200

#: Weight files offered for choosing among.
MAX_CHOICES = 1_000
#: Kinds of files that have a bar.
MAX_KINDS = 7
#: The longest name of a module that is asked for.
MAX_MODULE = 1_000


def tab_context(request: HttpRequest, record: RegisteredModel, tab: str) -> dict[str, Any]:
    """Return what all tabs show; ``sight`` is what this person may know."""
    sight = Sight(request.user)
    hosted = record.root.path == Root.REMOTE
    folders = [] if hosted else record.path.split("/")[:-1]
    location = (
        record.value("endpoint")
        if hosted
        else f"{sight.root(record.root).rstrip('/')}/{record.path}".removesuffix("/.")
    )
    modalities = evidence.modalities(record)
    trouble = record.findings.open().filter(severity=Severity.ERROR).count()
    return {
        "model": record,
        "tab": tab,
        "folders": folders,
        "location": location,
        "modalities": modalities,
        "trouble": trouble,
        "sight": sight,
    }


@require_safe
def overview(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    card = model_contents.card(record) if record.missing_since is None else None
    silent = card.silent if card else None
    shared = tab_context(request, record, "overview")
    sight: Sight = shared["sight"]
    base = lineage.base_of(record, request.user)
    usages: list[snippets.Usage] = []
    try:
        usages = snippets.usages(
            sight.standing_in(record), sight.standing_in(base) if base else None
        )
    except RootSilent as error:
        silent = error
    context = {
        "facts": field_values.facts(record, sight),
        "objects": field_values.objects(record, sight),
        "verdicts": evidence.verdicts(record, sight),
        "key_variable": record.value("api_key_variable"),
        "advice": completeness_report.advice(record),
        **model_memory.context(request, record),
        "card": card,
        "card_html": cards.render(card.text) if card else "",
        "relatives": family_graph.brief(record, lineage.family(record, request.user)),
        "usages": usages,
        "export_formats": FORMATS,
        "remote_matches": links.of_model(record),
        "registries": configured(),
        "why_no_usage": snippets.why_none(record),
        "silent": _silence(sight, silent),
    }
    return page_or_partial(request, "discovery/model_overview.html", "tab", {**shared, **context})


@require_safe
def relatives(request: HttpRequest, model_id: str) -> HttpResponse:
    """Its family: a graph and lists."""
    record = fetch(request, model_id)
    found = lineage.family(record, request.user)
    context = {
        "family": found,
        "graph": family_graph.graph(record, found),
        "groups": family_graph.groups(found),
    }
    return page_or_partial(
        request,
        "discovery/model_family.html",
        "tab",
        {**tab_context(request, record, "family"), **context},
    )


@dataclass(frozen=True, slots=True)
class File:
    """One row of the Files tab.

    ``path`` is the displayed path below the model's folder; ``full`` is relative to the root.
    """

    path: str
    full: str
    size: int


@require_safe
def files(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    text = model_filters.normal_text(request.GET.get("q", ""))
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
        request,
        "discovery/model_files.html",
        "results",
        {**tab_context(request, record, "files"), **context},
    )


FILE_SORTS: dict[str, Callable[[File], Any]] = {
    "name": lambda file: file.path, "-name": lambda file: file.path, "size": lambda file: file.size,
    "-size": lambda file: file.size,
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
    """Show the tensors by module, one level at a time, or all in one list.

    ``at`` names the module, ``part`` requests only its level.
    """
    record = fetch(request, model_id)
    text = model_filters.normal_text(request.GET.get("q", ""))
    choices = model_files.weight_files(record)[:MAX_CHOICES]
    chosen = request.GET.get("file", "")
    chosen = chosen if chosen in choices else ""
    read, silent = model_contents.Tensors(), None
    try:
        read = model_contents.tensors(record, chosen) if record.missing_since is None else read
    except RootSilent as error:
        silent = error
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
    context["silent"] = _silence(Sight(request.user), silent)
    if flat:
        found = [row for row in read.rows if _matches(row.tensor.name, text)]
        context["page"] = numbered(request, found, PAGE_SIZE)
    else:
        context["level"] = tensor_tree.level(read.rows, at)
    if request.GET.get("part") == "1" and is_fragment(request) and not flat:
        return render(request, "discovery/model_tensors.html#level", {"model": record, **context})
    context["types"] = tensor_tree.type_bar(read.rows)
    return page_or_partial(
        request,
        "discovery/model_tensors.html",
        "results",
        {**tab_context(request, record, "tensors"), **context},
    )


def _silence(sight: Sight, error: RootSilent | None) -> str:
    """Return why contents of the files are not shown now.

    People who see every model also learn which folder does not answer.
    """
    if error is None:
        return ""
    return f"{error if sight.everything else error.plain} What is shown is what the last scan read."


def _limits(read: model_contents.Tensors) -> str:
    """What was left out, and how to see it."""
    if read.read < read.total:
        return (
            f"These are the tensors of the first {read.read} of"
            f" {plural(read.total, 'weight file')}. Choose a file to see the others."
        )
    if len(read.rows) >= model_contents.MAX_TENSORS:
        return (
            f"Only the first {model_contents.MAX_TENSORS:,} tensors are listed."
            " Choose a file to see fewer."
        )
    return ""


def _matches(name: str, text: str) -> bool:
    folded = name.casefold()
    return all(word.casefold() in folded for word in text.split())
