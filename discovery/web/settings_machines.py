"""The Machines page: profiles of other machines that memory needs are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from discovery.models import Right
from discovery.services.core import config_files
from discovery.services.core.form_stamps import Conflict, stamp
from discovery.services.settings import editing
from discovery.services.settings.editing import SettingsError
from discovery.web.shared.shortcuts import needs, page_or_partial

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEY = "machines"
MOST = 100


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile as its fields hold it: GPUs are sizes in GB, separated by commas."""

    name: str = ""
    ram: str = ""
    gpus: str = ""
    error: str = ""


class Faulty(Exception):
    """A profile is invalid: ``rows`` are all of them, with their errors."""

    def __init__(self, rows: list[ProfileRow]) -> None:
        super().__init__("machine profiles that cannot be read")
        self.rows = rows


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.SETTINGS)
def index(request: HttpRequest) -> HttpResponse:
    now = editing.current(KEY)
    context: dict[str, Any] = {
        "rows": [*_rows(now), ProfileRow()],
        "seen": stamp(now),
        "file": config_files.DISCOVERY.path,
    }
    if request.method != "POST":
        return page_or_partial(request, "discovery/settings_machines.html", "form", context)
    context["rows"] = _sent(request.POST)
    status = 422
    try:
        wanted = _profiles(context["rows"])
        seen = {KEY: request.POST["seen"]} if "seen" in request.POST else {}
        editing.save({KEY: wanted}, by=cast("User", request.user), seen=seen)
    except Faulty as error:
        context["rows"] = error.rows
    except SettingsError as error:
        context["error"] = next(iter(error.faults.values()))
    except Conflict as conflict:
        context["theirs"], status = _rows(conflict.theirs[KEY]), 409
    else:
        messages.success(request, "Saved.")
        return redirect("settings-machines")
    return page_or_partial(request, "discovery/settings_machines.html", "form", context, status)


def _rows(machines: dict[str, Any]) -> list[ProfileRow]:
    return [
        ProfileRow(name, f"{each['ram_gb']:g}", ", ".join(f"{size:g}" for size in each["gpus_gb"]))
        for name, each in machines.items()
    ]


def _sent(sent: QueryDict) -> list[ProfileRow]:
    columns = (sent.getlist("name"), sent.getlist("ram"), sent.getlist("gpus"))
    return [
        ProfileRow(*(text.strip() for text in row))
        for row in list(zip(*columns, strict=False))[:MOST]
    ]


def _profiles(rows: list[ProfileRow]) -> dict[str, Any]:
    """``machines`` of the file; a row without any text is none. Raises ``Faulty``."""
    found: dict[str, Any] = {}
    faults: dict[int, str] = {}
    for number, row in enumerate(rows):
        if not (row.name or row.ram or row.gpus):
            continue
        if not row.name or row.name in found:
            faults[number] = "Enter a name of its own."
            continue
        try:
            gpus = [
                _gigabytes(text) for text in row.gpus.replace(";", ",").split(",") if text.strip()
            ]
            found[row.name] = {"ram_gb": _gigabytes(row.ram), "gpus_gb": gpus}
        except ValueError:
            faults[number] = "Enter sizes in GB above 0, like 64 or 24, 24."
    if faults:
        raise Faulty(
            [
                ProfileRow(row.name, row.ram, row.gpus, faults.get(i, ""))
                for i, row in enumerate(rows)
            ]
        )
    return found


def _gigabytes(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1_000_000:
        raise ValueError(text)
    return int(value) if value == int(value) else value
