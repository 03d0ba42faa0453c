"""Compare two to six models side by side, with the differences marked.

Their tensors are read from the headers on request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from discovery.engine.core import fields
from discovery.engine.core.fields import Kind
from discovery.engine.core.text import clean
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.services.insight import comparison
from discovery.services.insight.comparison import FEWEST, MOST, Chosen
from discovery.services.machine import memory_fit
from discovery.services.search import model_filters, model_search
from discovery.templatetags.karen import fits_words, memory_size, number, size, status_word
from discovery.web.shared import field_values
from discovery.web.shared.shortcuts import page_or_partial
from discovery.words import FIELD_LABELS

MAX_OFFERED = 8

#: Ids that an address may name: what is past the models compared is only told.
MAX_IDS = 50

#: Heading → fields of the document: first what the model is, last what people say about it.
_GROUPS = {
    group: [each.name for each in among]
    for group, among in reversed(
        fields.grouped(
            {
                name: each
                for name, each in fields.FIELDS.items()
                if each.kind is not Kind.OBJECT and "compare" not in each.not_in
            }
        ).items()
    )
}


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    label: str
    values: Sequence[str]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True)
class Group:
    heading: str
    rows: Sequence[ComparisonRow]


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """``?id=…&id=…``; a selection that is posted becomes such an address.

    ``only=differences`` leaves out what is the same.
    """
    if request.method == "POST":
        return redirect(_address(request.POST.getlist("id")[:MAX_IDS]))
    asked = [clean(each, 200) for each in request.GET.getlist("id")[:MAX_IDS]]
    chosen = comparison.choose(request.user, asked)
    only, models = request.GET.get("only") == "differences", chosen.models
    enough = len(models) >= FEWEST
    why_not = comparison.why_not_tensors(models)
    context = {
        "chosen": chosen,
        "columns": [
            (model, _address([each for each in chosen.ids if each != model.model_id], only))
            for model in models
        ],
        "groups": _shown(_groups(models, Sight(request.user)), only) if enough else [],
        "only": only,
        "other_way": _address(chosen.ids, not only),
        "faults": _faults(chosen),
        "most": MOST,
        "full": len(models) >= MOST,
        "why_not_tensors": why_not,
        "tensors_address": f"{_address(chosen.ids, only)}&tensors=1",
        "tensors": (
            comparison.tensors(models)
            if enough and not why_not and request.GET.get("tensors") == "1"
            else None
        ),
        **_offers(request, chosen, only),
    }
    return page_or_partial(
        request,
        "discovery/compare.html",
        "tensors" if request.GET.get("tensors") == "1" else "results",
        context,
    )


def _address(ids: Sequence[str], only: bool = False) -> str:
    query = [("id", each) for each in ids] + ([("only", "differences")] if only else [])
    return f"{reverse('compare')}?{urlencode(query)}" if query else reverse("compare")


def _faults(chosen: Chosen) -> list[str]:
    faults = [f"There is no model {each[:80]}, or you may not see it." for each in chosen.unknown]
    if chosen.left_out:
        faults.append(
            f"At most {MOST} models stand side by side. Left out:"
            f" {', '.join(chosen.left_out[:10])}."
        )
    return faults


def _offers(request: HttpRequest, chosen: Chosen, only: bool) -> dict[str, object]:
    """Models to add, found by what was typed."""
    text = model_filters.normal_text(request.GET.get("add", ""))
    if not text or len(chosen.models) >= MOST:
        return {"add": text, "offers": []}
    filters = model_filters.ModelFilters.read(urlencode({"q": text}))
    results = model_search.Results(
        request.user, filters, columns=("model_id", "name", "display_name", "path", "status")
    )
    found = [each for each in results[: MAX_OFFERED + MOST] if each.model_id not in chosen.ids][
        :MAX_OFFERED
    ]
    return {
        "add": text,
        "offers": [(each, _address([*chosen.ids, each.model_id], only)) for each in found],
        "misread": filters.faults,
    }


def _shown(groups: Sequence[Group], only: bool) -> list[Group]:
    kept = [
        Group(group.heading, [row for row in group.rows if row.differs or not only])
        for group in groups
    ]
    return [group for group in kept if group.rows]


def _groups(models: Sequence[RegisteredModel], sight: Sight) -> list[Group]:
    def row(field: str) -> ComparisonRow:
        return ComparisonRow(FIELD_LABELS[field], [_value(model, field) for model in models])

    groups = [
        Group(heading, _known(row(field) for field in fields))
        for heading, fields in _GROUPS.items()
    ]
    groups.insert(
        len(groups) - 1,
        Group(
            "On this machine",
            _known(
                ComparisonRow(label, [say(model, sight) for model in models])
                for label, say in _MEASURED.items()
            ),
        ),
    )
    for field, heading in field_values.OBJECTS.items():
        groups.append(Group(heading, _known(_object_rows(models, field))))
    return groups


def _known(rows: Iterable[ComparisonRow]) -> list[ComparisonRow]:
    """Leave out rows that are empty for every model."""
    return [row for row in rows if any(row.values)]


def _value(model: RegisteredModel, field: str) -> str:
    value = model.value(field)
    said = field_values.shown(field, value) if value is not None else ""
    return said if isinstance(said, str) else ""


def _object_rows(models: Sequence[RegisteredModel], field: str) -> list[ComparisonRow]:
    values = [value if isinstance(value := model.value(field), Mapping) else {} for model in models]
    names = dict.fromkeys(str(name) for value in values for name in value)
    return [
        ComparisonRow(name, [field_values.plain(value.get(name)) for value in values])
        for name in names
    ]


def _need(model: RegisteredModel) -> str:
    return memory_size(model.memory_bytes) if model.memory_bytes is not None else ""


def _fits(model: RegisteredModel) -> str:
    need = memory_fit.need(model)
    return fits_words(need.machines[0].fits) if need and need.machines[0].fits else ""


_MEASURED: dict[str, Callable[[RegisteredModel, Sight], str]] = {
    "Status": lambda model, _: status_word(model.status),
    "Size on disk": lambda model, _: size(model.size_bytes),
    "Files": lambda model, _: number(model.file_count),
    "Variants": lambda model, _: ", ".join(str(item["name"]) for item in model.variants[:20]),
    "Memory at its own context": lambda model, _: _need(model),
    "Fits": lambda model, _: _fits(model),
    "Folder": lambda model, sight: f"{sight.root(model.root).rstrip('/')}/{model.path}",
    FIELD_LABELS["visibility"]: lambda model, _: str(model.get_visibility_display()),
}
