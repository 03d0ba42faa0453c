"""``/system``: what the machine that answers has, which workers are alive, and notices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest
from ninja import Path, Router, Schema
from pydantic import Field

from discovery.api.authentication import Access, caller_of
from discovery.api.errors import ApiError
from discovery.api.inputs import Key
from discovery.engine.core.service_words import TokenScope
from discovery.models import Notice, Right
from discovery.services.access import notices
from discovery.services.machine import resources as system

router = Router(tags=["System"])

SYSTEM = Access(TokenScope.ADMIN, Right.SYSTEM)


class Cpu(Schema):
    cores: int | None
    load_percent: float


class SystemMemory(Schema):
    total_bytes: int
    available_bytes: int


class Gpu(Schema):
    name: str
    total_bytes: int
    free_bytes: int | None


class Disk(Schema):
    """Sizes are ``null`` while the disk is out of reach."""

    path: str
    total_bytes: int | None
    free_bytes: int | None
    models_bytes: int


class Worker(Schema):
    host: str
    pid: int
    state: str


class Resources(Schema):
    cpu: Cpu
    memory: SystemMemory
    gpus: list[Gpu]
    disks: list[Disk]
    workers: list[Worker]


@router.get(
    "/system/resources",
    auth=SYSTEM,
    response=Resources,
    operation_id="system_resources",
    summary="Resources",
)
def resources(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001  (ninja passes it)
    """Processor, memory, GPUs, the disks that hold models, and the task workers."""
    return system.resources()


class NoticeRow(Schema):
    """What an upgrade did to accounts."""

    notice_id: int = Field(description="The id of the notice.", examples=[1])
    title: str = Field(
        description="What it is about.", examples=["Staff are in the group Administrators now"]
    )
    text: str = Field(description="What to do.", examples=["Look through the group."])
    accounts: list[str] = Field(description="User names.", examples=[["ada"]])
    created_at: datetime


class Notices(Schema):
    count: int
    results: list[NoticeRow]


@router.get(
    "/system/notices",
    auth=SYSTEM,
    response=Notices,
    operation_id="list_notices",
    summary="Notices of upgrades",
)
def unconfirmed(request: HttpRequest) -> dict[str, Any]:
    """Those that no superuser has confirmed. Only superusers see them."""
    _require_superuser(request)
    rows = [_notice(row) for row in notices.unconfirmed()]
    return {"count": len(rows), "results": rows}


@router.post(
    "/system/notices/{notice_id}/confirm",
    auth=SYSTEM,
    response=NoticeRow,
    operation_id="confirm_notice",
    summary="Confirm a notice",
)
def confirm(request: HttpRequest, notice_id: Path[Key]) -> dict[str, Any]:
    """It is not shown again. Only superusers may confirm it."""
    _require_superuser(request)
    row = Notice.objects.filter(pk=notice_id).first()
    if row is None:
        raise Http404(f"There is no notice {notice_id}.")
    notices.confirm(row, by=caller_of(request).person)
    return _notice(row)


def _require_superuser(request: HttpRequest) -> None:
    if not caller_of(request).user.is_superuser:
        raise ApiError(403, "Only superusers look after accounts.")


def _notice(row: Notice) -> dict[str, Any]:
    return {
        "notice_id": row.pk,
        "title": row.title,
        "text": row.text,
        "accounts": row.names,
        "created_at": row.created_at,
    }
