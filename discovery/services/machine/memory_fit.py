"""How much memory a model needs, at any context and KV type.

It is compared with this machine or one that the config names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from discovery.engine.identify.document import needed
from discovery.engine.memory import KV_TYPES, Estimate, Fits, Machine, fits
from discovery.engine.memory import capacity as capacity_of
from discovery.models import RegisteredModel
from discovery.services.core import config_files
from discovery.services.machine.hardware import this_machine

#: Contexts offered for choosing among, besides the model's own.
CONTEXTS = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)


@dataclass(frozen=True, slots=True)
class OnMachine:
    """One machine's answer.

    ``budget`` is the memory counted for it: its GPUs', or its RAM where it has none.
    """

    machine: Machine
    budget: int
    fits: Fits | None


@dataclass(frozen=True, slots=True)
class Need:
    """The terms of the sum for one variant, and how it fits each machine."""

    estimate: Estimate
    variant: str
    machines: Sequence[OnMachine]
    notes: Sequence[str]
    context: int | None
    kv_type: str


def machines() -> list[Machine]:
    """Return this machine first, then those that ``machines`` of model_discovery.json names."""
    named = config_files.machines()
    profiles = (named.machine(name) for name in named.names)
    return [this_machine().machine, *(machine for machine in profiles if machine)]


def capacity() -> tuple[int, int]:
    """Bytes that fit this machine's memory, and its memory with offload."""
    return capacity_of(this_machine().machine)


def need(
    record: RegisteredModel, *, variant: str = "", context: int | None = None, kv_type: str = "f16"
) -> Need | None:
    """``None`` for a model without weights.

    An unknown variant is the first one, an unknown KV type f16.
    """
    if not record.variants:
        return None
    kv_type = kv_type if kv_type in KV_TYPES else "f16"
    chosen: dict[str, Any] = next(
        (item for item in record.variants if item["name"] == variant), record.variants[0]
    )
    estimate = needed(chosen, record.memory_shape, context=context, kv_type=kv_type)
    answers = [
        OnMachine(
            machine,
            machine.usable_gpu_bytes if machine.gpus else machine.usable_ram_bytes,
            fits(estimate.total_bytes, machine) if estimate.total_bytes is not None else None,
        )
        for machine in machines()
    ]
    return Need(estimate, chosen["name"], answers, this_machine().notes, context, kv_type)
