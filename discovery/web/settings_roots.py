"""The Roots page: the folders to scan, other programs' folders, and steps for an empty registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.engine.core.text import plural
from discovery.models import Right, Root, ScanRun
from discovery.services import scans
from discovery.services.access import permissions
from discovery.services.core import config_files
from discovery.services.core.form_stamps import Conflict
from discovery.services.settings import roots, stores
from discovery.services.settings.editing import SettingsError
from discovery.web.scans import active_runs
from discovery.web.shared.shortcuts import is_fragment, needs, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Fields of a root that hold a number, and the largest that each takes.
NUMBERS = {"interval_minutes": 525_600, "max_depth": 64}


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.ROOTS, Right.VIEW_ALL)
def index(request: HttpRequest) -> HttpResponse:
    """The roots, and a form that adds one."""
    if request.method == "POST":
        return _add(request, "discovery/settings_roots.html", _context())
    return page_or_partial(request, "discovery/settings_roots.html", "roots", _context())


def _context() -> dict[str, Any]:
    return {"rows": roots.rows(), "file": config_files.DISCOVERY.path}


def _add(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    path = request.POST.get("path", "")
    given = {"path": path, "name": request.POST.get("name", "")}
    try:
        root = roots.add(path, name=given["name"], by=cast("User", request.user))
    except SettingsError as error:
        context |= {"error": next(iter(error.faults.values())), "given": given}
        return page_or_partial(request, template, "add", context, status=422)
    inside = roots.below(root.path)
    note = f" {inside[0]} is inside it and keeps its own models." if inside else ""
    messages.success(request, f"{root.path} was added.{note}")
    if permissions.may(request.user, Right.SCAN):
        scans.request(ScanRun.Trigger.PAGE, path=root.path, user_id=request.user.pk)
    return redirect("welcome" if request.POST.get("next") == "welcome" else "settings")


@require_safe
@needs(Right.ROOTS, Right.VIEW_ALL)
def found(request: HttpRequest) -> HttpResponse:
    """Show the stores of other programs; the page loads this later because it takes a while."""
    context = {"stores": stores.found(), "next": request.GET.get("next", "")}
    return page_or_partial(request, "discovery/settings_found.html", "stores", context)


@require_POST
@needs(Right.ROOTS, Right.VIEW_ALL)
def change(request: HttpRequest, pk: int) -> HttpResponse:
    root = get_object_or_404(Root.objects.exclude(path=Root.REMOTE), pk=pk)
    seen = request.POST.get("seen")
    try:
        values = _values(request)
        roots.change(root, values, by=cast("User", request.user), seen=seen)
    except SettingsError as error:
        return _conflicted(request, root, 422, "; ".join(error.faults.values()))
    except Conflict as conflict:
        theirs = ", ".join(_said(name, value) for name, value in conflict.theirs.items())
        text = (
            f"This root was changed in another session: it now has {theirs}. Your edit has not been"
            " saved. Save again to replace it."
        )
        return _conflicted(request, root, 409, text)
    messages.success(request, f"{root.path} was changed.")
    return redirect("settings")


def _conflicted(request: HttpRequest, root: Root, status: int, text: str) -> HttpResponse:
    context = {**_context(), "faulty": root.pk, "fault": text, "sent": request.POST}
    return page_or_partial(request, "discovery/settings_roots.html", "roots", context, status)


def _values(request: HttpRequest) -> dict[str, Any]:
    """Return the values; raises ``SettingsError`` for an invalid number."""
    values: dict[str, Any] = {
        name: request.POST.get(name) == "1" for name in ("enabled", "read_only")
    }
    for name, most in NUMBERS.items():
        text = request.POST.get(name, "").strip()
        if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
            raise SettingsError(
                {name: f"{LABELS[name]}: enter a number from 1 to {most:,}, or nothing"}
            )
        values[name] = int(text) if text else None
    return values


LABELS = {
    "enabled": "Enabled",
    "read_only": "Read-only",
    "interval_minutes": "Scan every",
    "max_depth": "Maximum depth",
}


def _said(name: str, value: Any) -> str:
    shown = {True: "on", False: "off", None: "the default"}.get(value, value)
    return f"{LABELS[name]}: {shown}"


@require_POST
@needs(Right.ROOTS, Right.FORGET, Right.VIEW_ALL)
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    root = get_object_or_404(Root.objects.exclude(path=Root.REMOTE), pk=pk)
    forget = request.POST.get("models") == "forget"
    try:
        count = roots.remove(root, forget=forget, by=cast("User", request.user))
    except SettingsError as error:
        messages.error(request, str(error))
    else:
        kept = f"{plural(count, 'model')} forgotten" if forget else "its models stay registered"
        messages.success(request, f"{root.path} was removed: {kept}.")
    return redirect("settings")


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.ROOTS, Right.VIEW_ALL, Right.SCAN)
def welcome(request: HttpRequest) -> HttpResponse:
    """Show three steps to a first registry: this machine's models, a folder, a scan."""
    rows = roots.rows()
    context: dict[str, Any] = {
        "rows": rows,
        "active": active_runs(),
        "next": "welcome",
        "models": sum(row.models for row in rows),
    }
    if request.method == "POST":
        return _add(request, "discovery/welcome.html", context)
    if is_fragment(request):
        return page_or_partial(request, "discovery/welcome.html", "progress", context)
    return page_or_partial(request, "discovery/welcome.html", "add", context)
