"""The pages of single settings.

They show the current value, its source and its history, and a form that writes it back to the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.models import Right, SettingChange
from discovery.services.access import permissions
from discovery.services.core import config_files
from discovery.services.core.form_stamps import Conflict
from discovery.services.settings import editing, exclusions, roots, undoing, watch
from discovery.services.settings.catalogue import LIMITS, SCANNING, Kind, Setting
from discovery.services.settings.editing import InForce, SettingsError
from discovery.web.shared.shortcuts import needs, numbered, page_or_partial, require

if TYPE_CHECKING:
    from django.contrib.auth.models import User

HISTORY_PAGE = 50
#: What changes of roots take: their paths are not for everybody.
ROOTS = (Right.ROOTS, Right.VIEW_ALL)
#: Settings that a trial can say something about.
TRIED = ("max_scan_depth", "scan_subdirectories", "exclude_patterns", "supported_formats")


@dataclass(slots=True)
class Field:
    """A setting in a form.

    ``text`` is the text in its field, ``theirs`` the value that somebody else has set in the
    meantime.
    """

    now: InForce
    text: str
    seen: str
    error: str = ""
    theirs: str = ""

    @property
    def setting(self) -> Setting:
        return self.now.setting

    @property
    def name(self) -> str:
        return self.setting.name

    @property
    def chosen(self) -> list[str]:
        return self.text.splitlines()

    @property
    def is_locked(self) -> bool:
        return self.now.source == "environment"


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.SETTINGS)
def scanning(request: HttpRequest) -> HttpResponse:
    return _page(request, SCANNING, "settings-scanning", "Scanning")


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.SETTINGS)
def limits(request: HttpRequest) -> HttpResponse:
    return _page(request, LIMITS, "settings-limits", "Retention and limits")


def _page(request: HttpRequest, wanted: tuple[Setting, ...], name: str, title: str) -> HttpResponse:
    """A form of settings: shown, tried or saved."""
    fields = [_shown(now) for now in editing.in_force(wanted)]
    context: dict[str, Any] = {
        "fields": fields,
        "page_name": name,
        "title": title,
        "file": config_files.DISCOVERY.path,
        "can_try": wanted is SCANNING,
    }
    status = 200
    if request.method == "POST":
        values = _sent(request, fields)
        status = 422 if any(field.error for field in fields) else 200
        if status == 200 and request.POST.get("action") == "try":
            status = _try(context, fields, values)
        elif status == 200:
            status = _save(request, context, fields, values)
            if status == 302:
                return redirect(name)
    context["faults"] = [field for field in fields if field.error]
    return page_or_partial(request, "discovery/settings.html", "form", context, status)


def _shown(now: InForce) -> Field:
    return Field(now, as_text(now.value), now.stamp)


def as_text(value: Any) -> str:
    """A value as its field holds it."""
    if isinstance(value, list):
        return "\n".join(value)
    return ("1" if value else "") if isinstance(value, bool) else str(value)


def _sent(request: HttpRequest, fields: list[Field]) -> dict[str, Any]:
    """Return {key: value} of a form; errors are shown at their fields."""
    values: dict[str, Any] = {}
    for field in fields:
        if field.is_locked:
            continue
        setting, many = field.setting, request.POST.getlist(field.name)
        text = request.POST.get(field.name, "").replace("\r\n", "\n")
        field.text = "\n".join(many) if setting.kind == Kind.CHOICES else text
        field.seen = request.POST.get(f"seen-{field.name}", "")
        try:
            values[setting.key] = setting.parse(text, many)
        except ValueError as error:
            field.error = str(error)
    return values


def _try(context: dict[str, Any], fields: list[Field], values: Mapping[str, Any]) -> int:
    try:
        context["trial"] = exclusions.try_out({name: values[f"discovery.{name}"] for name in TRIED})
    except SettingsError as error:
        _blame(context, fields, error.faults)
        return 422
    return 200


def _save(
    request: HttpRequest, context: dict[str, Any], fields: list[Field], values: Mapping[str, Any]
) -> int:
    """302 when it is saved, or what the form is answered with."""
    seen = {field.setting.key: field.seen for field in fields if field.seen}
    try:
        changed = editing.save(values, by=cast("User", request.user), seen=seen)
    except SettingsError as error:
        _blame(context, fields, error.faults)
        return 422
    except Conflict as conflict:
        for field in fields:
            if field.setting.key in conflict.theirs:
                field.theirs = as_text(conflict.theirs[field.setting.key])
                field.seen = field.now.stamp
        return 409
    watch.apply()
    messages.success(request, "Saved." if changed else "Nothing was changed.")
    return 302


def _blame(context: dict[str, Any], fields: list[Field], faults: Mapping[str, str]) -> None:
    for field in fields:
        field.error = faults.get(field.setting.key, "")
    if "" in faults:
        context["error"] = faults[""]


@require_safe
@needs(Right.SETTINGS)
def history(request: HttpRequest) -> HttpResponse:
    rows = SettingChange.objects.select_related("by")
    if not permissions.may_all(request.user, ROOTS):
        rows = rows.exclude(key=roots.KEY)
    context = {"page": numbered(request, rows, HISTORY_PAGE)}
    return page_or_partial(request, "discovery/settings_history.html", "results", context)


@require_POST
@needs(Right.SETTINGS)
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    change, by = get_object_or_404(SettingChange, pk=pk), cast("User", request.user)
    if change.key == roots.KEY:
        require(request, *ROOTS)
    try:
        undoing.undo(change, by=by)
    except SettingsError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{change.key} is as it was before.")
    return redirect("settings-history")
