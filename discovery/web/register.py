"""Registering a model by hand: a path that scans pass by, or a model that another server runs. For administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from discovery.engine.types import Found, ModelType
from discovery.models import RegisteredModel, Root
from discovery.services import registration, tags
from discovery.services.metadata import InvalidMetadata
from discovery.web import facts
from discovery.web.fields import FIELDS, GROUPS, HOSTING, Field
from discovery.web.inputs import KINDS, Input
from discovery.web.pages import page_or_partial, staff_only

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_PATH = Field(
    "path",
    "Path",
    help="A folder or a file inside one of the roots: absolute, or relative to a root.",
)
_NAME = Field("name", "Name", help="What people call it. Empty: as its folder is called.")
_NAME_THERE = Field("name", "Model name", help="What the server calls it.")

_FIRST = ("description", "license", "tags", "modalities", "capabilities")

#: What a preview tells, in this order.
_TOLD = (
    "type",
    "format",
    "architecture",
    "parameter_count",
    "context_length",
    "quantization",
    "dtype",
    "license",
    "primary",
    "secondary",
)


@dataclass(slots=True)
class Entry:
    """One field of the form, as the widgets of the Metadata tab take it."""

    field: Field
    input: Input
    read: None = None


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def index(request: HttpRequest) -> HttpResponse:
    kind = request.POST.get("kind") or request.GET.get("kind", "")
    hosted = kind == "hosted"
    if request.method != "POST":
        identity, first, more = _entries(hosted)
        identity[0].input.text = (
            request.GET.get("path", "")[: registration.MAX_PATH] if not hosted else ""
        )
        return _page(request, hosted, identity, first, more)
    groups = _entries(hosted)
    entries = [entry for group in groups for entry in group]
    for entry in entries:
        entry.input = Input.sent(entry.field, request.POST)
    action = request.POST.get("action", "")
    if action.startswith("row-"):
        for entry in entries:
            entry.input.rows += (
                Input.of(entry.field, None).rows if action == f"row-{entry.field.name}" else []
            )
        return _page(request, hosted, *groups)
    return _act(request, hosted, groups, look=action == "look")


def _act(
    request: HttpRequest,
    hosted: bool,
    groups: tuple[list[Entry], list[Entry], list[Entry]],
    *,
    look: bool,
) -> HttpResponse:
    entries = [entry for group in groups for entry in group]
    data: dict[str, Any] = {"type": ModelType.OPENAI.value} if hosted else {}
    for entry in entries:
        try:
            data[entry.field.name] = entry.input.value()
        except ValueError as error:
            entry.input.error = str(error)
    if any(entry.input.error for entry in entries):
        return _page(request, hosted, *groups, status=422)
    try:
        if look:
            return _page(request, hosted, *groups, found=registration.look(data))
        record = registration.register(data, by=cast("User", request.user), through="page")
    except InvalidMetadata as error:
        for entry in entries:
            entry.input.error = error.errors.get(entry.field.name, "")
        return _page(request, hosted, *groups, status=422)
    except registration.AlreadyRegistered as error:
        known = (
            RegisteredModel.objects.visible_to(request.user).filter(model_id=error.model_id).first()
        )
        return _page(request, hosted, *groups, known=known, status=409)
    messages.success(
        request,
        "Registered. Scans look after it from now on."
        if not hosted
        else "Registered. Try it under Health.",
    )
    return redirect("model", record.model_id)


def _entries(hosted: bool) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """(what says which model is meant, what most people fill in, everything else)."""
    identity = [_NAME_THERE, *HOSTING[1]] if hosted else [_PATH, _NAME]
    first = (
        [FIELDS[name] for name in _FIRST]
        if hosted
        else [FIELDS["type"], *(FIELDS[name] for name in _FIRST)]
    )
    known = {field.name for field in (*identity, *first)} | {"type"}
    more = [field for _, group in GROUPS for field in group if field.name not in known]
    return _blank(identity), _blank(first), _blank(more)


def _blank(fields: list[Field]) -> list[Entry]:
    return [Entry(field, Input.of(field, None)) for field in fields]


def _page(
    request: HttpRequest,
    hosted: bool,
    identity: list[Entry],
    first: list[Entry],
    more: list[Entry],
    *,
    found: Found | None = None,
    known: RegisteredModel | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "section": "models",
        "hosted": hosted,
        "identity": identity,
        "first": first,
        "more": more,
        "more_open": any(
            entry.input.error or entry.input.text or entry.input.ticked for entry in more
        ),
        "faults": [entry for entry in (*identity, *first, *more) if entry.input.error],
        "kinds": KINDS,
        "tag_names": tags.suggestions(),
        "roots": []
        if hosted
        else list(
            Root.objects.exclude(path=Root.REMOTE).order_by("path").values_list("path", flat=True)
        ),
        "found": found,
        "told": _told(found) if found else [],
        "known": known,
    }
    return page_or_partial(request, "discovery/register.html", "form", context, status=status)


def _told(found: Found) -> list[tuple[str, str]]:
    """What was read, in words."""
    said = [
        (facts.LABELS[name], facts.shown(name, found.values[name].value))
        for name in _TOLD
        if name in found.values
    ]
    return [(label, value) for label, value in said if isinstance(value, str) and value]
