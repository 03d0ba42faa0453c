"""The Completeness page for administrators.

It shows the models with the least metadata, what each lacks, and the fields to enter it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods, require_safe

from discovery.engine.core.completeness import LACKING, REPORTED, WANTED
from discovery.models import RegisteredModel, Right
from discovery.services.insight import completeness_report
from discovery.web import model_metadata
from discovery.web.shared.fields import FIELDS, Field
from discovery.web.shared.inputs import KINDS
from discovery.web.shared.shortcuts import fetch, is_fragment, needs, numbered, page_or_partial

PAGE_SIZE = 50

COLUMNS = (
    "model_id", "name", "display_name", "path", "root__path", "status", "primary", "secondary",
    "specialization", "parameter_count", "extracted",
    "curated",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One model of the report. ``lacks`` are the fields to fill in."""

    model: RegisteredModel
    advice: completeness_report.Advice

    @property
    def lacks(self) -> list[Field]:
        return [FIELDS[name] for name in self.advice.missing]


@require_safe
@needs(Right.EDIT)
def index(request: HttpRequest) -> HttpResponse:
    lacking = request.GET.get("lacking", "")
    lacking = lacking if lacking in REPORTED else ""
    summary = completeness_report.summary(request.user)
    page = numbered(
        request,
        completeness_report.worst_first(request.user, lacking).values_list("pk", flat=True),
        PAGE_SIZE,
    )
    keys = list(page.object_list)
    records = (
        RegisteredModel.objects.visible_to(request.user)
        .select_related("root")
        .only(*COLUMNS)
        .in_bulk(keys)
    )
    context = {
        "summary": summary,
        "page": page,
        "lines": [_line(records[key]) for key in keys if key in records],
        "lacking": lacking,
        "filters": [(name, LACKING[name], summary.lacking[name]) for name in REPORTED],
    }
    return page_or_partial(request, "discovery/completeness.html", "results", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.EDIT)
def field(request: HttpRequest, model_id: str, name: str) -> HttpResponse:
    """Show one model's line with the form of one field in it, or without it for ``?show=1``.

    POST saves the field. Without htmx the Metadata tab is used.
    """
    record = fetch(request, model_id)
    if name not in WANTED:
        raise Http404(f"no field {name} in the report")
    if request.method == "POST":
        row, status, said = model_metadata.save(request, record, FIELDS[name])
        if not is_fragment(request):
            return (
                redirect("model-field", record.model_id, name)
                if status != 200
                else redirect("report")
            )
        return _answer(request, record, row if row.input else None, said=said, status=status)
    if not is_fragment(request):
        return redirect(f"{reverse('model-field', args=[record.model_id, name])}#field-{name}")
    row = model_metadata.row_of(record, FIELDS[name])
    if "show" in request.GET:
        return _answer(request, record, None)
    model_metadata.open_rows(record, [row])
    return _answer(request, record, row)


def _line(record: RegisteredModel) -> Line:
    return Line(record, completeness_report.advice(record))


def _answer(
    request: HttpRequest,
    record: RegisteredModel,
    row: model_metadata.FieldRow | None,
    *,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "line": _line(record),
        "row": row,
        "kinds": KINDS,
        "said": said,
        "refocus": row is None,
        "prefix": f"{record.pk}-",
    }
    response = render(request, "discovery/completeness/_line.html", context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
