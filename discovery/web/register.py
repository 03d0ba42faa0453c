"""Register a model manually: a path that scans skip, or a model that another server runs.

For administrators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from discovery.engine.core.types import Found
from discovery.engine.core.vocabulary import ModelType
from discovery.models import RegisteredModel, Right, Root
from discovery.services.access.redaction import Sight
from discovery.services.machine.root_probes import RootSilent
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.services.registry import tags
from discovery.services.scans import registration
from discovery.web.shared import field_values
from discovery.web.shared.fields import FIELDS, GROUPS, HOSTING, Field
from discovery.web.shared.inputs import KINDS, Control, FieldsForm, controls, with_a_row
from discovery.web.shared.shortcuts import needs, page_or_partial
from discovery.words import FIELD_LABELS

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_PATH = Field(
    "path",
    "Path",
    help="A folder or a file inside one of the roots: absolute, or relative to a root.",
)
_NAME = Field("name", "Name", help="Leave empty to use the folder name.")
_NAME_THERE = Field("name", "Model name", help="What the server calls it.")

#: What a part of the form holds, by its name.
Parts = dict[str, list[Control]]

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


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.REGISTER)
def index(request: HttpRequest) -> HttpResponse:
    kind = request.POST.get("kind") or request.GET.get("kind", "")
    hosted = kind == "hosted"
    specs = _specs(hosted)
    every = [spec for part in specs.values() for spec in part]
    if request.method != "POST":
        values = {"path": request.GET.get("path", "")[: registration.MAX_PATH]}
        return _page(request, hosted, _parts(specs, FieldsForm(every, values=values)))
    action, sent = request.POST.get("action", ""), request.POST
    if action.startswith("row-"):
        more = FieldsForm(every, with_a_row(sent, action.removeprefix("row-")))
        return _page(request, hosted, _parts(specs, more))
    form = FieldsForm(every, sent)
    return _act(request, hosted, form, _parts(specs, form), look=action == "look")


def _act(
    request: HttpRequest, hosted: bool, form: FieldsForm, parts: Parts, *, look: bool
) -> HttpResponse:
    entries = [entry for part in parts.values() for entry in part]
    for entry in entries:
        entry.error = form.fault(entry.field.name)
    if any(entry.error for entry in entries):
        return _page(request, hosted, parts, status=422)
    data = form.cleaned_data | ({"type": ModelType.OPENAI.value} if hosted else {})
    by = cast("User", request.user)
    try:
        if look:
            return _page(request, hosted, parts, found=registration.look(data, by=by))
        record = registration.register(data, by=by, channel="page")
    except InvalidMetadata as error:
        for entry in entries:
            entry.error = error.errors.get(entry.field.name, "")
        return _page(request, hosted, parts, status=422)
    except RootSilent as error:
        entries[0].error = f"cannot be looked at now. {error}"
        return _page(request, hosted, parts, status=503)
    except registration.AlreadyRegistered as error:
        known = (
            RegisteredModel.objects.visible_to(request.user).filter(model_id=error.model_id).first()
        )
        return _page(request, hosted, parts, known=known, status=409)
    messages.success(
        request,
        (
            "Registered. Scans look after it from now on."
            if not hosted
            else "Registered. Try it under Health."
        ),
    )
    return redirect("model", record.model_id)


def _specs(hosted: bool) -> dict[str, list[Field]]:
    """What says which model is meant, what most people fill in, everything else."""
    server = [each for _, group in HOSTING for each in group]
    identity = [_NAME_THERE, *server] if hosted else [_PATH, _NAME]
    first = [FIELDS[name] for name in _FIRST]
    if not hosted:
        first.insert(0, FIELDS["type"])
    known = {field.name for field in (*identity, *first)} | {"type"}
    more = [field for _, group in GROUPS for field in group if field.name not in known]
    return {"identity": identity, "first": first, "more": more}


def _parts(specs: dict[str, list[Field]], form: FieldsForm) -> Parts:
    return {part: controls(form, fields) for part, fields in specs.items()}


def _page(
    request: HttpRequest,
    hosted: bool,
    parts: Parts,
    *,
    found: Found | None = None,
    known: RegisteredModel | None = None,
    status: int = 200,
) -> HttpResponse:
    sight = Sight(request.user)
    context = {
        "hosted": hosted,
        **parts,
        "more_open": any(entry.error or entry.is_filled for entry in parts["more"]),
        "faults": [entry for part in parts.values() for entry in part if entry.error],
        "kinds": KINDS,
        "tag_names": tags.suggestions(),
        "roots": (
            []
            if hosted
            else [
                sight.root(root) for root in Root.objects.exclude(path=Root.REMOTE).order_by("path")
            ]
        ),
        "found": found,
        "told": _told(found) if found else [],
        "known": known,
    }
    return page_or_partial(request, "discovery/register.html", "form", context, status=status)


def _told(found: Found) -> list[tuple[str, str]]:
    """What was read, in words."""
    said = [
        (FIELD_LABELS[name], field_values.shown(name, found.values[name].value))
        for name in _TOLD
        if name in found.values
    ]
    return [(label, value) for label, value in said if isinstance(value, str) and value]
