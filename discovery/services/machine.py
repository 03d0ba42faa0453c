"""This machine: its RAM, and its GPUs by NVML or ``rocm-smi`` where they are there.

Neither is a dependency. ``pynvml`` (package ``nvidia-ml-py``) is used when it can be imported, ``rocm-smi`` when it is on the PATH.
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

from discovery.engine.memory import Gpu, Machine
from discovery.engine.text import clean, plural

#: ``rocm-smi`` hangs when the driver does.
ROCM_SECONDS = 5
#: GPUs come and go with their drivers: asked again after this time.
KEPT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """``notes`` say, in sentences for an administrator, why GPUs could not be asked; empty where all was answered."""

    machine: Machine
    notes: tuple[str, ...] = ()


def this_machine() -> ThisMachine:
    """As it was at most ``KEPT_SECONDS`` ago."""
    return _asked(int(time.monotonic() // KEPT_SECONDS))


def forget() -> None:
    """Ask anew next time."""
    _asked.cache_clear()


@lru_cache(maxsize=1)
def _asked(_period: int) -> ThisMachine:
    notes: list[str] = []
    gpus = _nvidia(notes) + _amd(notes)
    return ThisMachine(Machine("this machine", psutil.virtual_memory().total, tuple(gpus)), tuple(notes))


def _nvidia(notes: list[str]) -> list[Gpu]:
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        # Without a driver there is no NVIDIA GPU to speak of; every other fault hides one.
        if not isinstance(error, getattr(nvml, "NVMLError_LibraryNotFound", ())):
            notes.append(f"NVIDIA GPUs could not be asked: {_words(error)}.")
        return []
    try:
        return [_nvidia_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        notes.append(f"NVIDIA GPUs could not be asked: {_words(error)}.")
        return []
    finally:
        nvml.nvmlShutdown()


def _nvidia_gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name = nvml.nvmlDeviceGetName(handle)
    return Gpu(_words(name.decode(errors="replace") if isinstance(name, bytes) else name), int(nvml.nvmlDeviceGetMemoryInfo(handle).total))


def _amd(notes: list[str]) -> list[Gpu]:
    program = shutil.which("rocm-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run([program, "--showmeminfo", "vram", "--json"], capture_output=True, timeout=ROCM_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        notes.append(f"AMD GPUs could not be asked: rocm-smi did not answer in {plural(ROCM_SECONDS, 'second')}.")
        return []
    except OSError as error:
        notes.append(f"AMD GPUs could not be asked: rocm-smi did not start ({_words(error)}).")
        return []
    if answer.returncode != 0:
        said = _words((answer.stderr or answer.stdout).decode(errors="replace"))
        notes.append(f"AMD GPUs could not be asked: rocm-smi ended with status {answer.returncode}{': ' + said if said else ''}.")
        return []
    try:
        return _amd_gpus(json.loads(answer.stdout))
    except (ValueError, TypeError, KeyError, RecursionError):
        notes.append("AMD GPUs could not be asked: the answer of rocm-smi is not the JSON it documents.")
        return []


def _amd_gpus(cards: Any) -> list[Gpu]:
    """``{"card0": {"VRAM Total Memory (B)": "17163091968"}, "system": {...}}``."""
    if not isinstance(cards, dict):
        raise TypeError("no object of cards")
    names = sorted((name for name in cards if name.startswith("card")), key=lambda name: (len(name), name))
    return [Gpu(f"AMD {_words(name)}", int(cards[name]["VRAM Total Memory (B)"])) for name in names]


def _words(value: object) -> str:
    """One line of what another program said."""
    return " ".join(clean(str(value), 200).split()).rstrip(".")
