"""The pages of external registries: how each answers, its settings, syncs, and what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.models import RegistrySync, RemoteEntry, Right
from discovery.services.core import config_files
from discovery.services.core.form_stamps import stamp
from discovery.services.registries import links, overview, remote_search, syncing
from discovery.services.registries.overview import RegistryRow
from discovery.services.registries.protocol import RegistryError
from discovery.services.settings import registries as settings
from discovery.services.settings.editing import SettingsError
from discovery.web.shared.shortcuts import needs, needs_any, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Syncs that are listed.
KEPT = 10
#: Remote models that a search shows, and IDs that a trial of patterns does.
FOUND, TRIED = 30, 50


@dataclass(slots=True)
class Field:
    """A setting of a registry in its form."""

    name: str
    label: str
    kind: str
    help: str
    text: str = ""
    unit: str = ""
    error: str = ""


@require_safe
@needs_any((Right.SETTINGS, Right.EDIT))
def index(request: HttpRequest) -> HttpResponse:
    matches = links.visible(request.user)
    context: dict[str, Any] = {
        "rows": overview.rows(),
        "faults": overview.faults(),
        "file": config_files.REGISTRIES.path,
        "to_review": matches.filter(links.VIEWS["review"]).count(),
        "updates": matches.filter(links.VIEWS["updates"])[:20],
        "update_count": matches.filter(links.VIEWS["updates"]).count(),
    }
    return page_or_partial(request, "discovery/registries.html", "registries", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.SETTINGS)
def registry(request: HttpRequest, registry: str) -> HttpResponse:
    """One registry. POST saves its settings, or tries its patterns."""
    row = _fetch(registry)
    fields = _fields(row)
    context: dict[str, Any] = {"row": row, "fields": fields, "file": config_files.REGISTRIES.path}
    status = 200
    if request.method == "POST":
        status = _change(request, row, fields, context)
        if status == 302:
            return redirect("registry", registry)
    context |= {
        "seen": stamp(_values(row)),
        "syncs": RegistrySync.objects.filter(registry=registry)[:KEPT],
        "linked": links.visible(request.user)
        .filter(links.VIEWS["linked"], registry=registry)
        .count(),
    }
    return page_or_partial(request, "discovery/registry.html", "registry", context, status)


@require_safe
@needs(Right.SETTINGS)
def search(request: HttpRequest, registry: str) -> HttpResponse:
    """What the registry has for some words, asked when somebody sends them."""
    row = _fetch(registry)
    text = request.GET.get("search", "").strip()[: remote_search.MAX_WORDS]
    context: dict[str, Any] = {"row": row, "text": text}
    if text:
        try:
            found = remote_search.search(registry, text, FOUND)
        except (RegistryError, syncing.NotEnabled) as error:
            context["error"] = str(error)
        else:
            linked = remote_search.linked(registry, found)
            seen = set(
                links.visible(request.user)
                .filter(pk__in=[match.pk for match in linked.values()])
                .values_list("pk", flat=True)
            )
            here = {key: match.model for key, match in linked.items() if match.pk in seen}
            context["found"] = [(each, here.get(each.remote_id)) for each in found]
    return page_or_partial(request, "discovery/registry_search.html", "results", context)


@require_POST
@needs(Right.SETTINGS)
def sync(request: HttpRequest, registry: str) -> HttpResponse:
    """``action`` is start or stop."""
    row = _fetch(registry)
    if request.POST.get("action") == "stop":
        if row.sync is not None and row.is_syncing:
            syncing.KIND.cancel(row.sync)
        return redirect("registry", registry)
    try:
        job, created = syncing.request(registry, by=cast("User", request.user))
    except syncing.NotEnabled as error:
        messages.error(request, str(error))
    else:
        told = job.message or "The sync has been queued."
        messages.success(request, told if created else "A sync is under way already.")
    return redirect("registry", registry)


def _fetch(registry: str) -> RegistryRow:
    row = overview.row_of(registry)
    if row is None:
        raise Http404(f"no registry {registry}")
    return row


def _values(row: RegistryRow) -> dict[str, Any]:
    dumped = row.registry.settings.model_dump(mode="json", include=set(settings.EDITABLE))
    return {name: dumped[name] for name in settings.EDITABLE if name != "api_key"}


def _fields(row: RegistryRow) -> list[Field]:
    told = row.registry.settings
    where = (
        Field("path", "Folder", "text", "Holds JSON files, each with one model or many.", told.path)
        if told.kind == "folder"
        else Field(
            "endpoint",
            "Address",
            "text",
            "Of a mirror or of its API; empty: its usual one.",
            told.endpoint,
        )
    )
    return [
        Field(
            "enabled", "Enabled", "switch", "Nothing is asked of a registry that is off.",
            "1" if told.enabled else "",
        ),
        where,
        Field(
            "sync_interval_hours", "Sync every", "number",
            "0: only when somebody asks for it.", str(told.sync_interval_hours), "hours",
        ),
        Field(
            "auto_download", "Download updates", "switch",
            "Newer revisions of linked models are downloaded by themselves.",
            "1" if told.auto_download else "",
        ),
        Field(
            "include", "Only these", "lines",
            "Patterns of remote IDs, one a line, like mistralai/*. Empty: all.",
            "\n".join(told.include),
        ),
        Field(
            "exclude", "Not these", "lines", "Patterns of remote IDs that are left out.",
            "\n".join(told.exclude),
        ),
    ]  # fmt: skip


def _change(
    request: HttpRequest, row: RegistryRow, fields: list[Field], context: dict[str, Any]
) -> int:
    """302 when it is saved, or the status of the answer."""
    values = _sent(request, fields)
    if any(field.error for field in fields):
        return 422
    if request.POST.get("action") == "try":
        context["trial"] = _trial(row, values)
        return 200
    if request.POST.get("seen") != stamp(_values(row)):
        context["error"] = (
            "The settings were changed in another session. They are shown as you entered them:"
            " save again to replace the others."
        )
        return 409
    if key := request.POST.get("api_key", "").strip():
        values["api_key"] = key
    elif request.POST.get("remove_key"):
        values["api_key"] = ""
    try:
        changed = settings.change(row.name, values, by=cast("User", request.user))
    except SettingsError as error:
        for field in fields:
            field.error = error.faults.get(field.name, "")
        context["key_error"] = error.faults.get("api_key", "")
        context["error"] = error.faults.get("", "")
        return 422
    messages.success(request, "Saved." if changed else "Nothing was changed.")
    return 302


def _sent(request: HttpRequest, fields: list[Field]) -> dict[str, Any]:
    """{name: value} of the form; errors stand at their fields."""
    values: dict[str, Any] = {}
    for field in fields:
        text = request.POST.get(field.name, "").replace("\r\n", "\n")[:20_000]
        field.text = text
        if field.kind == "switch":
            values[field.name] = bool(text)
        elif field.kind == "lines":
            values[field.name] = [line.strip() for line in text.splitlines() if line.strip()]
        elif field.kind == "number":
            digits = text.strip()
            if not (digits.isascii() and digits.isdigit() and len(digits) < 6):
                field.error = "Enter a whole number."
                continue
            values[field.name] = int(digits)
        else:
            values[field.name] = text.strip()
    return values


def _trial(row: RegistryRow, values: dict[str, Any]) -> dict[str, Any]:
    """What the patterns of the form would leave in and out of what is known."""
    known = RemoteEntry.objects.filter(registry=row.name).values_list("remote_id", flat=True)
    tried = row.registry.with_patterns(values["include"], values["exclude"])
    kept = [each for each in known if tried.wants(each)]
    left = [each for each in known if not tried.wants(each)]
    return {"kept": kept[:TRIED], "left": left[:TRIED], "counts": (len(kept), len(left))}
