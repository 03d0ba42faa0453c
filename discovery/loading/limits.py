"""What the child may use, set by the child itself before it imports anything heavy.

What a system does not offer is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path

import psutil

from discovery import startup
from discovery.loading.job import Job

if sys.platform != "win32":
    import resource

#: Libraries write small caches, never weights.
MAX_WRITTEN_BYTES = 16 << 20

#: CPU seconds between SIGXCPU, which says why, and SIGKILL, which cannot be ignored.
CPU_GRACE = 5

_PR_SET_NO_NEW_PRIVS = 38

#: One thread each: RLIMIT_DATA counts the stacks of all of them, and the machine has other things
#: to do.
_POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON")
THREADS = {"VECLIB_MAXIMUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"} | {
    f"{pool}_NUM_THREADS": "1" for pool in _POOLS
}


def apply(job: Job) -> None:
    """Memory, CPU time, no core dump, lowest priority. Ends the process if the parent is gone."""
    hold(job.parent, job.memory_bytes, job.cpu_seconds)
    _step_back()


def hold(parent: int, memory_bytes: int, cpu_seconds: int) -> None:
    """The limits without the lowest priority: for a child that somebody waits for."""
    _die_with(parent)
    if sys.platform != "win32":
        _bound(resource.RLIMIT_CORE, 0)
        _bound(resource.RLIMIT_FSIZE, MAX_WRITTEN_BYTES)
        _bound(resource.RLIMIT_CPU, cpu_seconds, CPU_GRACE)
        # Mapped files are not counted: a checkpoint larger than the limit can be looked through.
        _bound(resource.RLIMIT_DATA, memory_bytes)


def _die_with(parent: int) -> None:
    """A worker that is killed takes the child with it, which gains no rights either."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    startup.die_with_parent(parent or os.getppid())


if sys.platform != "win32":

    def _bound(kind: int, value: int, grace: int = 0) -> None:
        _, hard = resource.getrlimit(kind)
        top = value + grace if hard == resource.RLIM_INFINITY else min(value + grace, hard)
        resource.setrlimit(kind, (min(value, top), top))


def _step_back() -> None:
    """Lowest priority for CPU and disk, and first in line when the system runs out of memory."""
    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.IDLE_PRIORITY_CLASS)
        else:
            process.nice(19)
        if sys.platform == "linux":
            process.ionice(psutil.IOPRIO_CLASS_IDLE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def peak_memory() -> int | None:
    """Bytes.

    VmHWM rather than ``ru_maxrss``, which starts at what the parent had in use when it forked.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
