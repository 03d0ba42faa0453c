"""A model's Access tab, for administrators: who sees it and why, and the form that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from discovery.engine.text import clean
from discovery.models import RegisteredModel, Visibility
from discovery.services import access, metadata
from discovery.web.model import frame
from discovery.web.pages import fetch, page_or_partial, staff_only

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Groups offered as ticks; people named.
MAX_GROUPS = 500
MAX_PEOPLE = 100

HINTS = {
    Visibility.PUBLIC: "everybody, through the API even without an account",
    Visibility.RESTRICTED: "administrators, and the groups ticked below or granted by a collection",
    Visibility.ADMIN_ONLY: "administrators alone",
}


@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
def tab(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    if request.method != "POST":
        return page_or_partial(
            request, "discovery/model_access.html", "tab", _context(request, record)
        )
    sent = request.POST
    changes = {"visibility": sent.get("visibility", ""), "groups": sent.getlist("groups")}
    seen = {name: sent[f"seen-{name}"] for name in changes if f"seen-{name}" in sent}
    try:
        made = metadata.edit(
            record, changes, by=cast("User", request.user), through="page", seen=seen
        )
    except metadata.InvalidMetadata as error:
        return page_or_partial(
            request,
            "discovery/model_access.html",
            "tab",
            _context(request, record, changes, errors=error.errors),
            status=422,
        )
    except metadata.Conflict:
        return page_or_partial(
            request,
            "discovery/model_access.html",
            "tab",
            {**_context(request, record), "overtaken": True},
            status=409,
        )
    messages.success(request, "Who sees the model is changed." if made else "Nothing was changed.")
    return redirect("model-access", model_id)


def _context(
    request: HttpRequest,
    record: RegisteredModel,
    chosen: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
) -> dict[str, Any]:
    told = access.explained(record)
    chosen = chosen or {"visibility": record.visibility, "groups": told["groups"]}
    names = set(Group.objects.order_by("name").values_list("name", flat=True)[:MAX_GROUPS]) | set(
        told["groups"]
    )
    who = clean(request.GET.get("who", ""), 150)
    return {
        **frame(record, "access"),
        "told": told,
        "people": told["users"][:MAX_PEOPLE],
        "more_people": max(len(told["users"]) - MAX_PEOPLE, 0),
        "choices": [
            (value, label, HINTS[Visibility(value)], value == chosen["visibility"])
            for value, label in Visibility.choices
        ],
        "groups": [(name, name in chosen["groups"]) for name in sorted(names)],
        "seen": {name: metadata.stamp(record, name) for name in ("visibility", "groups")},
        "errors": errors or {},
        "who": who,
        "answer": access.of_person(record, who) if who else None,
    }
