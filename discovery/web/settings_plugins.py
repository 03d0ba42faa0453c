"""The Plugins page: what is loaded, what each handles, how it fails, and a switch for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from discovery.engine.core.text import plural
from discovery.models import Plugin, Right
from discovery.services.access import permissions
from discovery.services.core import config_files
from discovery.services.plugins import sources, switching
from discovery.services.plugins.asking import MOST_FAILURES
from discovery.services.plugins.overview import overview
from discovery.web.shared.shortcuts import needs, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@require_safe
@needs(Right.SETTINGS)
def index(request: HttpRequest) -> HttpResponse:
    sees_all = permissions.may(request.user, Right.VIEW_ALL)
    context: dict[str, Any] = {
        "shown": overview(with_paths=sees_all),
        "folder": sources.folder(),
        "file": config_files.DISCOVERY.path,
        "most_failures": MOST_FAILURES,
        "sees_all": sees_all,
    }
    return page_or_partial(request, "discovery/settings_plugins.html", "plugins", context)


@require_POST
@needs(Right.SETTINGS)
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """``action`` is on or off."""
    row = get_object_or_404(Plugin.objects.exclude(class_name=""), pk=pk)
    action = request.POST.get("action", "")
    if action not in ("on", "off"):
        messages.error(request, "That action is not available here.")
        return redirect("settings-plugins")
    switching.switch(row, on=action == "on", by=cast("User", request.user))
    told = (
        f"{row.label} is on. The next scan asks it again."
        if action == "on"
        else f"{row.label} is off. Its models stay registered as they are."
    )
    messages.success(request, told)
    return redirect("settings-plugins")


@require_POST
@needs(Right.SETTINGS)
def reload(request: HttpRequest) -> HttpResponse:
    count = switching.reload(by=cast("User", request.user))
    messages.success(
        request, f"{plural(count, 'plugin')} loaded. The next scan asks them about all files again."
    )
    return redirect("settings-plugins")
