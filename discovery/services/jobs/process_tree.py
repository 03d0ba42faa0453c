"""Other processes of this machine.

Functions tell whether they still exist and what they have started, and end them.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil


@cache
def machine() -> str:
    """Where process numbers mean the same as here: this boot of this kernel, in this namespace.

    A host may be renamed between two starts, and two containers of one host may share its name.
    Systems that tell neither are known by the name of the host alone.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink().name}"[:100]
    except OSError:
        return socket.gethostname()[:100]


def started(pid: int) -> float | None:
    """When the process began, on a clock that only ``machine`` has; ``None`` when it is gone."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform == "linux":  # psutil's own answer moves when the clock is set
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return process.create_time()
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    except psutil.AccessDenied:
        return 0.0  # somebody else's: there, and not to be looked at


def tree(pid: int) -> list[psutil.Process]:
    """The process and all below it; what ends meanwhile may be missing."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill the processes, and return when they are gone or hang in the kernel.

    A process with a reused id is spared.
    """
    doomed = list(processes)
    for process in doomed:
        try:
            process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    deadline = time.monotonic() + 5
    while any(map(_runs, doomed)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
