"""A model's Metadata tab with every field that people may set.

Fields are edited one by one in place, or all in one form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods

from discovery.engine.core.fields import Kind
from discovery.models import RegisteredModel, Right
from discovery.services.access import permissions
from discovery.services.metadata import metadata
from discovery.services.registry import tags
from discovery.web.model import tab_context
from discovery.web.shared import field_values
from discovery.web.shared.fields import FIELDS, GROUPS, HOSTING, Field
from discovery.web.shared.inputs import KINDS, Control, FieldsForm, with_a_row
from discovery.web.shared.shortcuts import fetch, is_fragment, needs, page_or_partial, require

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import User

PAGE = "discovery/model_metadata.html"


@dataclass(slots=True, kw_only=True)
class FieldRow(Control):
    """One field of one model as the tab shows it.

    ``input`` is set while it is edited, ``conflict`` tells that somebody has changed it in the
    meantime.

    ``stamp`` is sent with the form: it identifies the value in the registry when it was shown.
    """

    value: Any
    items: list[str]
    source: str
    read: Any
    read_source: str
    edited_by: str
    edited_at: datetime | None
    stamp: str
    conflict: bool = False

    @property
    def edited(self) -> bool:
        return bool(self.edited_by)


@require_http_methods(["GET", "HEAD", "POST"])
def tab(request: HttpRequest, model_id: str) -> HttpResponse:
    """All fields; ``?edit=all`` as one form, which POST sends."""
    record = fetch(request, model_id)
    if request.method == "POST":
        return _save_all(request, record)
    rows = _rows(record)
    if request.GET.get("edit") == "all" and permissions.may(request.user, Right.EDIT):
        open_rows(record, [row for _, group in rows for row in group])
        return _page(request, record, rows, whole=True)
    return _page(request, record, rows)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.EDIT)
def field(request: HttpRequest, model_id: str, name: str) -> HttpResponse:
    """Show the form of one field, or its row for ``?show=1``.

    POST saves it, or returns it to automatic.
    """
    record = fetch(request, model_id)
    if name not in FIELDS or name not in {
        row.field.name for _, group in _rows(record) for row in group
    }:
        raise Http404(f"no field {name}")
    row = row_of(record, FIELDS[name])
    if request.method == "POST":
        return _save(request, record, row)
    if "show" not in request.GET:
        open_rows(record, [row])
    elif not is_fragment(request):
        return redirect(f"{reverse('model-metadata', args=[record.model_id])}#field-{name}")
    return _one(request, record, row)


def _save(request: HttpRequest, record: RegisteredModel, row: FieldRow) -> HttpResponse:
    row, status, said = save(request, record, row.field)
    if said and not is_fragment(request):
        messages.success(request, said)
        return redirect(
            f"{reverse('model-metadata', args=[record.model_id])}#field-{row.field.name}"
        )
    return _one(request, record, row, said=said, status=status)


def save(request: HttpRequest, record: RegisteredModel, spec: Field) -> tuple[FieldRow, int, str]:
    """Save one field of a form.

    Returns (the row to show, the status of the response, the message after saving).
    """
    name, automatic = spec.name, request.POST.get("action") == "automatic"
    row, form = row_of(record, spec), FieldsForm([spec], request.POST)
    row.input, row.stamp = form[name], request.POST.get(f"seen-{name}", "")
    if request.POST.get("action") == "row":
        row.input = FieldsForm([spec], with_a_row(request.POST, name))[name]
        return row, 200, ""
    if not automatic and (reason := form.fault(name)):
        row.error = reason
        return row, 422, ""
    value = None if automatic else form.cleaned_data[name]
    try:
        made = metadata.edit(
            record,
            {name: value},
            by=cast("User", request.user),
            channel="page",
            seen={name: row.stamp},
        )
    except metadata.InvalidMetadata as error:
        row.error = error.errors[name]
        return row, 422, ""
    except metadata.Conflict:
        record.refresh_from_db()
        mine = FieldsForm([spec])[name] if automatic else row.input
        row = row_of(record, spec)
        row.input, row.conflict = mine, True
        return row, 409, ""
    done = "is automatic again" if value is None else "saved"
    return (
        row_of(record, spec),
        200,
        f"{spec.label} {done}." if made else f"{spec.label}: nothing changed.",
    )


def _save_all(request: HttpRequest, record: RegisteredModel) -> HttpResponse:
    """What somebody has touched, all or nothing."""
    require(request, Right.EDIT)
    rows = _rows(record)
    flat = [row for _, group in rows for row in group]
    changes = _changed(flat, request.POST)
    if request.POST.get("action", "").startswith("row-"):
        name = request.POST["action"].removeprefix("row-")
        for row in flat:
            if row.field.name == name:
                row.input = FieldsForm([row.field], with_a_row(request.POST, name))[name]
        return _page(request, record, rows, whole=True)
    wrong = any(row.error for row in flat)
    seen = {row.field.name: row.stamp for row in flat}
    try:
        if not wrong:
            made = metadata.edit(
                record, changes, by=cast("User", request.user), channel="page", seen=seen
            )
        else:
            metadata.clean(changes)
    except metadata.InvalidMetadata as error:
        wrong = True
        for row in flat:
            row.error = error.errors.get(row.field.name, row.error)
    except metadata.Conflict as conflict:
        record.refresh_from_db()
        fresh = {row.field.name: row_of(record, row.field) for row in flat}
        rows = [
            (
                title,
                [_merged(record, fresh[row.field.name], row, changes, conflict) for row in group],
            )
            for title, group in rows
        ]
        return _page(request, record, rows, whole=True, status=409)
    if wrong:
        return _page(request, record, rows, whole=True, status=422)
    messages.success(
        request,
        (
            "Nothing was changed."
            if not made
            else f"Saved: {', '.join(FIELDS[change.field].label for change in made)}."
        ),
    )
    return redirect("model-metadata", record.model_id)


def _changed(rows: list[FieldRow], data: QueryDict) -> dict[str, Any]:
    """Return {field: value} of what was changed since the form was shown.

    Every row gets its input, with its error.
    """
    form = FieldsForm([row.field for row in rows], data)
    touched = set(form.touched())
    changes: dict[str, Any] = {}
    for row in rows:
        name = row.field.name
        row.input, row.stamp = form[name], data.get(f"seen-{name}", "")
        if name not in touched or data.get(f"choose-{name}") == "theirs":
            continue
        row.error = form.fault(name)
        if not row.error:
            changes[name] = form.cleaned_data[name]
    return changes


def _merged(
    record: RegisteredModel,
    fresh: FieldRow,
    sent: FieldRow,
    changes: dict[str, Any],
    conflict: metadata.Conflict,
) -> FieldRow:
    """Return the current field with what was entered for it.

    Untouched fields show the current value.
    """
    name = sent.field.name
    if name not in changes:
        open_rows(record, [fresh])
    else:
        fresh.input, fresh.conflict = sent.input, name in conflict.theirs
    return fresh


def _rows(record: RegisteredModel) -> list[tuple[str, list[FieldRow]]]:
    return [
        (title, [row_of(record, each) for each in group])
        for title, group in ((*GROUPS, *HOSTING) if record.is_hosted else GROUPS)
    ]


def row_of(record: RegisteredModel, spec: Field) -> FieldRow:
    curated, read = record.curated.get(spec.name), record.extracted.get(spec.name)
    entry = curated or read
    return FieldRow(
        field=spec,
        value=field_values.shown(spec.name, entry["value"]) if entry else None,
        items=_items(spec, entry["value"]) if entry else [],
        source=f"edited by {curated['by']}" if curated else read["source"] if read else "",
        read=field_values.shown(spec.name, read["value"]) if read else None,
        read_source=read["source"] if read else "",
        edited_by=curated["by"] if curated else "",
        edited_at=parse_datetime(curated["at"]) if curated else None,
        stamp=metadata.stamp(record, spec.name),
    )


def _items(spec: Field, value: Any) -> list[str]:
    """The entries of a list, as people say them: each is shown as a chip."""
    if not isinstance(value, list):
        return []
    said = dict(spec.choices)
    return [said.get(str(item), str(item)) for item in value]


def open_rows(record: RegisteredModel, rows: list[FieldRow]) -> None:
    """Give each row its input.

    The empty option of a choice means the value from the files, so only people's choices are filled
    in.
    """
    values = {row.field.name: _standing(record, row.field) for row in rows}
    form = FieldsForm([row.field for row in rows], values=values)
    for row in rows:
        row.input = form[row.field.name]


def _standing(record: RegisteredModel, spec: Field) -> Any:
    decided = record.curated.get(spec.name)
    if spec.kind is Kind.CHOICE:
        return decided["value"] if decided else None
    return record.value(spec.name)


def _one(
    request: HttpRequest,
    record: RegisteredModel,
    row: FieldRow,
    *,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    """The row alone for htmx, else the page with it in its place."""
    if not is_fragment(request):
        rows = [
            (title, [row if each.field == row.field else each for each in group])
            for title, group in _rows(record)
        ]
        return _page(request, record, rows, status=status)
    context = {
        **tab_context(request, record, "metadata"),
        "row": row,
        "said": said,
        "kinds": KINDS,
        "tag_names": tags.suggestions(),
        "fragment": True,
    }
    response = render(request, "discovery/model/_metadata_row.html", context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _page(
    request: HttpRequest,
    record: RegisteredModel,
    rows: list[tuple[str, list[FieldRow]]],
    *,
    whole: bool = False,
    status: int = 200,
) -> HttpResponse:
    flat = [row for _, group in rows for row in group]
    context = {
        **tab_context(request, record, "metadata"),
        "groups": rows,
        "whole": whole,
        "kinds": KINDS,
        "tag_names": tags.suggestions(),
        "faults": [row for row in flat if row.error],
        "conflicts": [row for row in flat if row.conflict],
        "edited_count": sum(row.edited for row in flat),
    }
    return page_or_partial(request, PAGE, "tab", context, status=status)
