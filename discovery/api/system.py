"""``/system/resources``: what the machine that answers has, and which workers are alive."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from discovery.api.authentication import Access
from discovery.engine.core.vocabulary import TokenScope
from discovery.models import Right
from discovery.services.machine import resources as system

router = Router(tags=["System"])


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
    auth=Access(TokenScope.ADMIN, Right.SYSTEM),
    response=Resources,
    operation_id="system_resources",
    summary="Resources",
)
def resources(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001  (ninja passes it)
    """Processor, memory, GPUs, the disks that hold models, and the task workers."""
    return system.resources()
