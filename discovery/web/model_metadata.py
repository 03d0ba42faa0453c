"""A model's Metadata tab: every field that people may set, edited one by one in place, or all in one form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods

from discovery.engine.types import ModelType
from discovery.models import RegisteredModel
from discovery.services import metadata, tags
from discovery.web import facts
from discovery.web.fields import FIELDS, GROUPS, HOSTING, Field
from discovery.web.inputs import KINDS, Input
from discovery.web.model import frame
from discovery.web.pages import fetch, is_fragment, page_or_partial, staff_only

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import User

PAGE = "discovery/model_metadata.html"


@dataclass(slots=True)
class Row:
    """One field of one model as the tab shows it: ``input`` is there while it is edited, ``conflict`` says that somebody has changed it meanwhile.

    ``stamp`` and ``was`` go out with the form: what stood in the registry, and in the input, when it was shown.
    """

    field: Field
    value: Any
    items: list[str]
    source: str
    read: Any
    read_source: str
    edited_by: str
    edited_at: datetime | None
    stamp: str
    was: str = ""
    input: Input | None = None
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
    if request.GET.get("edit") == "all" and request.user.is_staff:
        open_rows(record, [row for _, group in rows for row in group])
        return _page(request, record, rows, whole=True)
    return _page(request, record, rows)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def field(request: HttpRequest, model_id: str, name: str) -> HttpResponse:
    """One field: its form, or with ``?show=1`` its row; POST saves it, or gives it back to the files."""
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
        return redirect(f"{reverse('model-metadata', args=[model_id])}#field-{name}")
    return _one(request, record, row)


def _save(request: HttpRequest, record: RegisteredModel, row: Row) -> HttpResponse:
    row, status, said = save(request, record, row.field)
    if said and not is_fragment(request):
        messages.success(request, said)
        return redirect(
            f"{reverse('model-metadata', args=[record.model_id])}#field-{row.field.name}"
        )
    return _one(request, record, row, said=said, status=status)


def save(request: HttpRequest, record: RegisteredModel, spec: Field) -> tuple[Row, int, str]:
    """Saves one field as it was sent: (the row to show, the status to answer with, what to say once it is saved)."""
    name, automatic = spec.name, request.POST.get("action") == "automatic"
    row, given = row_of(record, spec), Input.sent(spec, request.POST)
    row.input, row.stamp = given, request.POST.get(f"seen-{name}", "")
    if request.POST.get("action") == "row":
        given.rows += Input.of(spec, None).rows
        return row, 200, ""
    try:
        value = None if automatic else given.value()
        made = metadata.edit(
            record,
            {name: value},
            by=cast("User", request.user),
            through="page",
            seen={name: row.stamp},
        )
    except ValueError as error:
        given.error = str(error)
        return row, 422, ""
    except metadata.InvalidMetadata as error:
        given.error = error.errors[name]
        return row, 422, ""
    except metadata.Conflict:
        record.refresh_from_db()
        mine = Input.of(spec, None) if automatic else given
        return _disputed(row_of(record, spec), mine), 409, ""
    done = "is automatic again" if value is None else "saved"
    return (
        row_of(record, spec),
        200,
        f"{spec.label} {done}." if made else f"{spec.label}: nothing changed.",
    )


def _save_all(request: HttpRequest, record: RegisteredModel) -> HttpResponse:
    """What somebody has touched, all or nothing."""
    if not request.user.is_staff:
        raise PermissionDenied("Only administrators may do this.")
    rows = _rows(record)
    flat = [row for _, group in rows for row in group]
    changes = _touched(flat, request.POST)
    if request.POST.get("action", "").startswith("row-"):
        for row in flat:
            if row.input and request.POST["action"] == f"row-{row.field.name}":
                row.input.rows += Input.of(row.field, None).rows
        return _page(request, record, rows, whole=True)
    wrong = [row for row in flat if row.input and row.input.error]
    seen = {row.field.name: row.stamp for row in flat}
    try:
        if not wrong:
            made = metadata.edit(record, changes, by=request.user, through="page", seen=seen)
        else:
            metadata.clean(changes)
    except metadata.InvalidMetadata as error:
        wrong += [
            _blamed(row, error.errors[row.field.name])
            for row in flat
            if row.field.name in error.errors
        ]
    except metadata.Conflict as conflict:
        record.refresh_from_db()
        fresh = {row.field.name: row_of(record, row.field) for row in flat}
        rows = [
            (title, [_kept(record, fresh[row.field.name], row, changes, conflict) for row in group])
            for title, group in rows
        ]
        return _page(request, record, rows, whole=True, status=409)
    if wrong:
        return _page(request, record, rows, whole=True, status=422)
    messages.success(
        request,
        "Nothing was changed."
        if not made
        else f"Saved: {', '.join(FIELDS[change.field].label for change in made)}.",
    )
    return redirect("model-metadata", record.model_id)


def _touched(rows: list[Row], data: QueryDict) -> dict[str, Any]:
    """{field: value} of what was changed since the form went out; every row gets its input, with what is wrong with it."""
    changes: dict[str, Any] = {}
    for row in rows:
        row.input = Input.sent(row.field, data)
        name = row.field.name
        row.stamp, row.was = data.get(f"seen-{name}", ""), data.get(f"was-{name}", "")
        if not row.was or data.get(f"choose-{name}") == "theirs" or row.input.mark == row.was:
            continue
        try:
            changes[name] = row.input.value()
        except ValueError as error:
            row.input.error = str(error)
    return changes


def _blamed(row: Row, error: str) -> Row:
    assert row.input is not None
    row.input.error = error
    return row


def _kept(
    record: RegisteredModel,
    fresh: Row,
    sent: Row,
    changes: dict[str, Any],
    conflict: metadata.Conflict,
) -> Row:
    """The field as it is now, with what was entered for it; untouched ones show what stands there now."""
    assert sent.input is not None
    name = sent.field.name
    if name not in changes:
        open_rows(record, [fresh])
    else:
        fresh.was, fresh.input, fresh.conflict = sent.was, sent.input, name in conflict.theirs
    return fresh


def _disputed(row: Row, mine: Input) -> Row:
    row.input, row.conflict = mine, True
    return row


def _rows(record: RegisteredModel) -> list[tuple[str, list[Row]]]:
    hosted = record.type == ModelType.OPENAI or "endpoint" in record.extracted
    return [
        (title, [row_of(record, each) for each in group])
        for title, group in ((*GROUPS, HOSTING) if hosted else GROUPS)
    ]


def row_of(record: RegisteredModel, spec: Field) -> Row:
    curated, read = record.curated.get(spec.name), record.extracted.get(spec.name)
    entry = curated or read
    return Row(
        field=spec,
        value=facts.shown(spec.name, entry["value"]) if entry else None,
        items=_items(spec, entry["value"]) if entry else [],
        source=f"edited by {curated['by']}" if curated else read["source"] if read else "",
        read=facts.shown(spec.name, read["value"]) if read else None,
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


def open_rows(record: RegisteredModel, rows: list[Row]) -> None:
    """For a choice the empty entry means the files' own verdict, so only what people chose is filled in."""
    for row in rows:
        name = row.field.name
        entry = record.curated.get(name)
        row.input = Input.of(
            row.field,
            (entry["value"] if entry else None)
            if row.field.kind == "choice"
            else record.value(name),
        )
        row.was = row.input.mark


def _one(
    request: HttpRequest, record: RegisteredModel, row: Row, *, said: str = "", status: int = 200
) -> HttpResponse:
    """The row alone for htmx, else the page with it in its place."""
    if not is_fragment(request):
        rows = [
            (title, [row if each.field == row.field else each for each in group])
            for title, group in _rows(record)
        ]
        return _page(request, record, rows, status=status)
    context = {
        **frame(record, "metadata"),
        "row": row,
        "said": said,
        "kinds": KINDS,
        "tag_names": tags.suggestions(),
        "fragment": True,
    }
    response = render(request, "includes/metadata_row.html", context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _page(
    request: HttpRequest,
    record: RegisteredModel,
    rows: list[tuple[str, list[Row]]],
    *,
    whole: bool = False,
    status: int = 200,
) -> HttpResponse:
    flat = [row for _, group in rows for row in group]
    context = {
        **frame(record, "metadata"),
        "groups": rows,
        "whole": whole,
        "kinds": KINDS,
        "tag_names": tags.suggestions(),
        "faults": [row for row in flat if row.input and row.input.error],
        "conflicts": [row for row in flat if row.conflict],
        "edited_count": sum(row.edited for row in flat),
    }
    return page_or_partial(request, PAGE, "tab", context, status=status)
