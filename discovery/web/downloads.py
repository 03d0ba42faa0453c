"""The Downloads pages: the queue, one download, and the preview of a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.models import Download, Right, Root
from discovery.services.downloads import planning, queue
from discovery.services.downloads.planning import Plan, Wish
from discovery.services.downloads.queue import NotDownloaded
from discovery.services.registries.configured import configured
from discovery.services.registries.protocol import RegistryError
from discovery.web.scans import STOP_POLLING
from discovery.web.shared.shortcuts import (
    as_key,
    is_fragment,
    needs,
    numbered,
    page_or_partial,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Downloads that are over, on a page; files of a model that a form lists.
PAGE_SIZE, MAX_LISTED = 25, 2_000
RIGHTS = (Right.DOWNLOAD, Right.VIEW_ALL)
State = Download.State

#: What the buttons do, and what is said where it came too late.
ACTIONS = {
    "pause": (queue.pause, "It neither waits nor runs any more."),
    "resume": (queue.resume, "It cannot go on: it is over, or its folder is taken."),
    "cancel": (queue.cancel, "It is over already."),
}


@require_safe
@needs(*RIGHTS)
def index(request: HttpRequest) -> HttpResponse:
    """The queue; it refreshes itself while something waits or runs."""
    rows = _rows()
    over = rows.filter(state__in=(State.DONE, State.CANCELLED)).order_by("-finished_at", "-pk")
    page = numbered(request, over, PAGE_SIZE)
    waiting = list(rows.exclude(state__in=(State.DONE, State.CANCELLED)).order_by("pk"))
    context = {
        "open": waiting,
        "moves": any(job.is_active for job in waiting),
        "page": page,
        "registries": _enabled(),
    }
    return page_or_partial(request, "discovery/downloads.html", "results", context)


@require_safe
@needs(*RIGHTS)
def one(request: HttpRequest, pk: int) -> HttpResponse:
    job = get_object_or_404(_rows(), pk=pk)
    over = is_fragment(request) and not job.is_active
    context = {"job": job, "files": job.files[:MAX_LISTED], "listed": MAX_LISTED}
    status = STOP_POLLING if over else 200
    return page_or_partial(request, "discovery/download.html", "state", context, status=status)


@require_POST
@needs(*RIGHTS)
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """``action`` is pause, resume, accept or cancel."""
    job = get_object_or_404(_rows(), pk=pk)
    action = request.POST.get("action", "")
    if action == "accept":
        done, told = queue.resume(job, accept_unsafe=True), ACTIONS["resume"][1]
    elif action in ACTIONS:
        step, told = ACTIONS[action]
        done = step(job)
    else:
        done, told = False, "There is no such action."
    if not done:
        messages.warning(request, told)
    elif action == "cancel":
        messages.success(request, f"The download of {job.remote_id} is canceled.")
    return redirect("download", pk) if request.POST.get("back") else redirect("downloads")


@require_http_methods(["GET", "HEAD", "POST"])
@needs(*RIGHTS)
def new(request: HttpRequest) -> HttpResponse:
    """What a download would be; POST changes the choice, or queues it."""
    given = request.POST if request.method == "POST" else request.GET
    context: dict[str, Any] = {
        "registries": _enabled(),
        "registry": given.get("registry", "")[:40],
        "remote_id": given.get("remote_id", "").strip()[:300],
        "listed": MAX_LISTED,
    }
    if not context["registry"] or not context["remote_id"]:
        return page_or_partial(request, "discovery/download_new.html", "form", context)
    status = 200
    try:
        plan = planning.make(_wish(request))
        context["plan"] = plan
        if request.method == "POST" and request.POST.get("action") == "download":
            return _queue(request, plan)
    except RegistryError as error:
        context["error"], status = str(error), 200 if request.method != "POST" else 422
    except NotDownloaded:  # the plan has its reasons
        status = 422
    if "plan" in context:
        context["chosen"] = context["plan"].chosen_paths
    return page_or_partial(request, "discovery/download_new.html", "form", context, status)


def _queue(request: HttpRequest, plan: Plan) -> HttpResponse:
    job, created = queue.queue(plan, by=cast("User", request.user))
    if job.state == State.FAILED:
        messages.error(request, job.message)
    elif created:
        messages.success(request, f"The download of {job.remote_id} is queued.")
    else:
        messages.warning(request, "It is this download already. Nothing else was started.")
    return redirect("download", job.pk)


def _wish(request: HttpRequest) -> Wish:
    given = request.POST if request.method == "POST" else request.GET
    key = as_key(given.get("root", ""))
    # A form with no file ticked is not one that leaves the choice open.
    has_chosen = request.method == "POST" and given.get("chosen") == "1"
    pickles = bool(given.get("pickles"))
    if has_chosen and pickles != bool(given.get("had_pickles")):
        has_chosen = False
    return Wish(
        registry=given.get("registry", "")[:40],
        remote_id=given.get("remote_id", "").strip()[:300],
        revision=given.get("revision", "").strip()[:100],
        files=given.getlist("file") if has_chosen else None,
        root=Root.objects.exclude(path=Root.REMOTE).filter(pk=key).first() if key else None,
        folder=given.get("folder", "")[:1_000],
        pickles=pickles,
    )


def _rows() -> QuerySet[Download]:
    return Download.objects.select_related("root", "model", "requested_by")


def _enabled() -> list[tuple[str, str]]:
    return [(name, each.label) for name, each in configured().items() if each.settings.enabled]
