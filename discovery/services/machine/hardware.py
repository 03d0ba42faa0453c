"""This machine: its RAM, and its GPUs with their free memory.

GPUs are read through NVML or ``rocm-smi``.

Neither is a dependency. ``pynvml`` (package ``nvidia-ml-py``) is used when it can be imported,
``rocm-smi`` when it is on the PATH.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import psutil

from discovery.engine.core.text import clean, plural
from discovery.engine.memory import Gpu, Machine
from discovery.services.core.timeouts import ask

#: ``rocm-smi`` hangs when the driver does.
ROCM_SECONDS = 5
#: GPUs come and go with their drivers: asked again after this time.
KEPT_SECONDS = 300
#: A page that shows GPUs waits no longer for them.
PATIENCE = 2.5


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """The memory and the GPUs of this machine.

    ``notes`` explain to an administrator, in sentences, why GPUs could not be read; they are empty
    where all answered.
    """

    machine: Machine
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphicsCard:
    """One GPU as it is now. ``free_bytes`` is ``None`` where its driver does not tell."""

    name: str
    total_bytes: int
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Cards:
    """GPUs; ``notes`` explain what failed, ``absent`` why a kind of GPU is not queried at all."""

    cards: tuple[GraphicsCard, ...] = ()
    notes: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def this_machine() -> ThisMachine:
    """As it was at most ``KEPT_SECONDS`` ago."""
    return _asked(int(time.monotonic() // KEPT_SECONDS))


def cards() -> Cards:
    """Return the current GPUs. A driver that hangs becomes a note and delays nothing."""
    silent = Cards(
        notes=(f"GPUs could not be asked: their drivers did not answer in {PATIENCE:g} seconds.",)
    )
    return ask({"gpus": _cards}, PATIENCE).get("gpus", silent)


def forget() -> None:
    """Drop the cached result."""
    _asked.cache_clear()


@lru_cache(maxsize=1)
def _asked(_period: int) -> ThisMachine:
    told = _cards()
    gpus = tuple(Gpu(card.name, card.total_bytes) for card in told.cards)
    return ThisMachine(Machine("this machine", psutil.virtual_memory().total, gpus), told.notes)


def _cards() -> Cards:
    notes: list[str] = []
    absent: list[str] = []
    found = _nvidia(notes, absent) + _amd(notes, absent)
    return Cards(tuple(found), tuple(notes), tuple(absent))


def _nvidia(notes: list[str], absent: list[str]) -> list[GraphicsCard]:
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:
        absent.append("NVIDIA GPUs can't be detected: nvidia-ml-py isn't installed.")
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        # Without a driver there is no NVIDIA GPU to speak of; every other fault hides one.
        if isinstance(error, getattr(nvml, "NVMLError_LibraryNotFound", ())):
            absent.append("There is no NVIDIA driver on this machine.")
        else:
            notes.append(f"NVIDIA GPUs could not be asked: {_words(error)}.")
        return []
    try:
        return [_nvidia_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        notes.append(f"NVIDIA GPUs could not be asked: {_words(error)}.")
        return []
    finally:
        nvml.nvmlShutdown()


def _nvidia_gpu(nvml: Any, index: int) -> GraphicsCard:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name = nvml.nvmlDeviceGetName(handle)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return GraphicsCard(
        _words(name.decode(errors="replace") if isinstance(name, bytes) else name),
        int(memory.total),
        int(memory.free),
    )


def _amd(notes: list[str], absent: list[str]) -> list[GraphicsCard]:
    program = shutil.which("rocm-smi")
    if program is None:
        absent.append("AMD GPUs can't be detected: rocm-smi isn't on the PATH.")
        return []
    try:
        answer = subprocess.run(
            [program, "--showmeminfo", "vram", "--json"],
            capture_output=True,
            timeout=ROCM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        notes.append(
            "AMD GPUs could not be asked: rocm-smi did not answer in"
            f" {plural(ROCM_SECONDS, 'second')}."
        )
        return []
    except OSError as error:
        notes.append(f"AMD GPUs could not be asked: rocm-smi did not start ({_words(error)}).")
        return []
    if answer.returncode != 0:
        said = _words((answer.stderr or answer.stdout).decode(errors="replace"))
        notes.append(
            "AMD GPUs could not be asked: rocm-smi ended with status"
            f" {answer.returncode}{': ' + said if said else ''}."
        )
        return []
    try:
        return _amd_gpus(json.loads(answer.stdout))
    except (ValueError, TypeError, KeyError, RecursionError):
        notes.append(
            "AMD GPUs could not be asked: the answer of rocm-smi is not the JSON it documents."
        )
        return []


def _amd_gpus(cards: Any) -> list[GraphicsCard]:
    """Read the GPUs from the JSON of ``rocm-smi``.

    It looks like ``{"card0": {"VRAM Total Memory (B)": "17163091968", "VRAM Total Used Memory (B)":
    "10850304"}, "system": {...}}``.
    """
    if not isinstance(cards, dict):
        raise TypeError("no object of cards")
    names = sorted(
        (name for name in cards if name.startswith("card")), key=lambda name: (len(name), name)
    )
    return [_amd_gpu(name, cards[name]) for name in names]


def _amd_gpu(name: str, card: dict[str, str]) -> GraphicsCard:
    total, used = int(card["VRAM Total Memory (B)"]), card.get("VRAM Total Used Memory (B)")
    return GraphicsCard(
        f"AMD {_words(name)}", total, None if used is None else max(total - int(used), 0)
    )


def _words(value: object) -> str:
    """Return one line of another program's output."""
    return " ".join(clean(str(value), 200).split()).rstrip(".")
