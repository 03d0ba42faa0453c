"""A model's Access tab, for administrators: who sees it and why, and the form that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from discovery.engine.core.service_words import VisibilitySource
from discovery.engine.core.text import clean
from discovery.models import RegisteredModel, Right, Visibility
from discovery.services.access import visibility
from discovery.services.core.form_stamps import touched
from discovery.services.metadata import metadata
from discovery.web.model import tab_context
from discovery.web.shared import shown
from discovery.web.shared.shortcuts import fetch, needs, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Groups offered as ticks; people named.
MAX_GROUPS = 500
MAX_PEOPLE = 100

#: Given back to access rules, access file and default.
AUTOMATIC = "automatic"
#: Is not a visibility, so that it is refused with the list of those.
NOTHING_CHOSEN = "?"

HINTS = {
    Visibility.PUBLIC: "everybody, through the API even without an account",
    Visibility.RESTRICTED: "administrators, and the groups ticked below or granted by a collection",
    Visibility.ADMIN_ONLY: "administrators alone",
}


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.GRANT)
def tab(request: HttpRequest, model_id: str) -> HttpResponse:
    record = fetch(request, model_id)
    if request.method != "POST":
        return page_or_partial(
            request, "discovery/model_access.html", "tab", _context(request, record)
        )
    now = _now(record)
    given = {
        "visibility": _sent_visibility(request.POST),
        "groups": sorted(shown.sent(request.POST, "groups")),
    }
    seen = shown.seen(request.POST, now)
    changes = touched(given, seen)
    try:
        made = metadata.edit(
            record, changes, by=cast("User", request.user), channel="page", seen=seen
        )
    except metadata.InvalidMetadata as error:
        context = {**_context(request, record, given, errors=error.errors), "stamps": seen}
        return page_or_partial(request, "discovery/model_access.html", "tab", context, status=422)
    except metadata.Conflict as conflict:
        record = fetch(request, model_id)
        disputes = shown.disputes(
            conflict.theirs, given, {"visibility": "Visibility", "groups": "Groups"}, _in_words
        )
        context = {
            **_context(request, record, shown.again(given, _now(record), seen, conflict.theirs)),
            "disputes": disputes,
        }
        return page_or_partial(request, "discovery/model_access.html", "tab", context, status=409)
    messages.success(request, "Who sees the model is changed." if made else "Nothing was changed.")
    return redirect("model-access", record.model_id)


def _sent_visibility(sent: QueryDict) -> str | None:
    """What was chosen; ``None`` is automatic. A form without a choice changes nothing."""
    value = "".join(shown.sent(sent, "visibility")[-1:])
    return None if value == AUTOMATIC else value or NOTHING_CHOSEN


def _now(record: RegisteredModel) -> dict[str, Any]:
    """The fields of the form as ``metadata`` compares them."""
    linked = metadata.standing_links({record: ("groups",)})
    return {name: metadata.decided(record, name, linked) for name in ("visibility", "groups")}


def _in_words(name: str, value: Any) -> str:
    if value is None:
        return "Automatic"
    return (
        Visibility(value).label
        if name == "visibility" and value in Visibility.values
        else ", ".join(value)
        if name == "groups"
        else str(value)
    )


def _automatic(record: RegisteredModel) -> str:
    """What the choice means; now, where it is chosen."""
    if record.visibility_source == VisibilitySource.PERSON or record.quarantined_at:
        return "as access rules, access file and default say"
    said = VisibilitySource.label_of(record.visibility_source).lower()
    return f"{record.get_visibility_display().lower()}, by {said}"


def _context(
    request: HttpRequest,
    record: RegisteredModel,
    chosen: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
) -> dict[str, Any]:
    told = visibility.explained(record)
    chosen = chosen or {**_now(record), "groups": told["groups"]}
    names = set(Group.objects.order_by("name").values_list("name", flat=True)[:MAX_GROUPS]) | set(
        told["groups"]
    )
    who = clean(request.GET.get("who", ""), 150)
    return {
        **tab_context(request, record, "access"),
        "told": told,
        "people": told["users"][:MAX_PEOPLE],
        "more_people": max(len(told["users"]) - MAX_PEOPLE, 0),
        "choices": [
            (AUTOMATIC, "Automatic", _automatic(record), chosen["visibility"] is None),
            *(
                (value, label, HINTS[Visibility(value)], value == chosen["visibility"])
                for value, label in Visibility.choices
            ),
        ],
        "decided_by": visibility.decided_by(record),
        "groups": [(name, name in chosen["groups"]) for name in sorted(names)],
        "stamps": shown.stamps(_now(record)),
        "errors": errors or {},
        "who": who,
        "answer": visibility.of_person(record, who) if who else None,
    }
