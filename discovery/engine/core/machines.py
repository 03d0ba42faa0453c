"""Machines, real or named in the config, and whether a model fits one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel

from discovery.engine.core.vocabulary import Fits

GIB = 1 << 30

#: Kept for the system and what else runs: this much of the RAM, or a quarter of it where that is
#: less.
RAM_RESERVE = 2 * GIB
#: Kept of each GPU for its driver's context and the screen: this much, or an eighth of it where
#: that is less.
GPU_RESERVE = GIB // 2


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    total_bytes: int

    @property
    def usable_bytes(self) -> int:
        return self.total_bytes - min(GPU_RESERVE, self.total_bytes // 8)


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    ram_bytes: int
    gpus: tuple[Gpu, ...] = ()

    @property
    def usable_ram_bytes(self) -> int:
        return self.ram_bytes - min(RAM_RESERVE, self.ram_bytes // 4)

    @property
    def usable_gpu_bytes(self) -> int:
        """Of all GPUs together: layers can be spread over them."""
        return sum(gpu.usable_bytes for gpu in self.gpus)


def capacity(machine: Machine) -> tuple[int, int]:
    """Bytes that fit in the GPUs (in RAM where there is none), and in GPUs and RAM together."""
    if not machine.gpus:
        return machine.usable_ram_bytes, machine.usable_ram_bytes
    return machine.usable_gpu_bytes, machine.usable_gpu_bytes + machine.usable_ram_bytes


def fits(total_bytes: int, machine: Machine) -> Fits:
    """``memory``: wholly in the GPUs, or in RAM where there is none.

    ``offload``: in GPUs and RAM together, or RAM alone beside a GPU.
    """
    inside, together = capacity(machine)
    if total_bytes <= inside:
        return Fits.MEMORY
    return Fits.OFFLOAD if total_bytes <= together else Fits.NO


Gigabytes = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class MachineProfile(BaseModel):
    """Sizes as they are sold: a "24 GB" GPU or a "64 GB" machine has 24 or 64 × 2^30 bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ram_gb: Gigabytes
    gpus_gb: Annotated[tuple[Gigabytes, ...], Field(max_length=64)] = ()


class Machines(
    RootModel[
        Annotated[
            dict[Annotated[str, Field(min_length=1, max_length=100)], MachineProfile],
            Field(max_length=100),
        ]
    ]
):
    """``{"workstation": {"ram_gb": 64, "gpus_gb": [24, 24]}}``."""

    model_config = ConfigDict(frozen=True)

    root: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], MachineProfile],
        Field(max_length=100),
    ] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.root)

    def machine(self, name: str) -> Machine | None:
        """The profile called ``name``; ``None`` when there is none."""
        profile = self.root.get(name)
        if profile is None:
            return None
        gpus = tuple(Gpu(f"GPU {i}", int(size * GIB)) for i, size in enumerate(profile.gpus_gb, 1))
        return Machine(name, int(profile.ram_gb * GIB), gpus)
