"""The Saved views page, and the star: what a person keeps of the lists of models for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from discovery.models import SavedView
from discovery.services.core.form_stamps import Conflict
from discovery.services.curation import favourites, saved_views
from discovery.web.shared import shown
from discovery.web.shared.shortcuts import fetch, is_fragment, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    user = cast("User", request.user)
    context: dict[str, Any] = {"given": {}}
    if request.method == "POST":
        given = {name: request.POST.get(name, "") for name in ("name", "query", "shared")}
        try:
            view = saved_views.save(
                user,
                given["name"],
                given["query"],
                shared=given["shared"] == "1",
                replace=request.POST.get("replace") == "1",
            )
        except saved_views.SavedViewError as error:
            context |= {
                "given": given,
                "error": str(error),
                "taken": isinstance(error, saved_views.NameTaken),
            }
        else:
            messages.success(request, f"The view {view.name} is saved.")
            return redirect(address(view))
    context["views"] = saved_views.shown_to(user)
    return page_or_partial(
        request,
        "discovery/saved_views.html",
        "results",
        context,
        status=422 if "error" in context else 200,
    )


def address(view: SavedView) -> str:
    return f"{reverse('models')}?{view.query}" if view.query else reverse("models")


@require_POST
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """``action``: rename, share, unshare or delete."""
    user = cast("User", request.user)
    view = get_object_or_404(saved_views.editable_by(user), pk=pk)
    action = request.POST.get("action", "")
    try:
        if action == "delete":
            view.delete()
            messages.success(request, f"The view {view.name} is deleted. The models are untouched.")
        elif action == "rename":
            saved_views.change(
                view,
                user,
                name="".join(shown.sent(request.POST, "name")[-1:]),
                seen=shown.seen(request.POST, {"name": ""}),
            )
            messages.success(request, f"The view is called {view.name} now.")
        elif action in ("share", "unshare"):
            saved_views.change(view, user, shared=action == "share")
            messages.success(
                request,
                f"{view.name} is"
                f" {'shared with everybody' if view.shared else 'for its owner alone'} now.",
            )
        else:
            messages.error(request, "That is not something that can be done here.")
    except saved_views.SavedViewError as error:
        messages.error(request, str(error))
    except Conflict as conflict:
        disputes = shown.disputes(
            conflict.theirs, {"name": request.POST.get("name", "")}, {"name": "Name"}
        )
        context = {
            "given": {},
            "disputed": view,
            "disputes": disputes,
            "stamps": shown.stamps({"name": view.name}),
        }
        return page_or_partial(
            request,
            "discovery/saved_views.html",
            "results",
            {**context, "views": list(saved_views.visible_to(user))},
            status=409,
        )
    return redirect("views")


@require_POST
def favourite(request: HttpRequest, model_id: str) -> HttpResponse:
    """``favourite`` 1 marks the model, 0 takes the mark away."""
    record = fetch(request, model_id)
    favourites.mark(
        record, cast("User", request.user), favourite=request.POST.get("favourite") == "1"
    )
    if is_fragment(request):
        return page_or_partial(request, "discovery/favourite.html", "button", {"model": record})
    back = request.headers.get("Referer", "")
    return redirect(
        back
        if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
        else reverse("model", args=[record.model_id])
    )
