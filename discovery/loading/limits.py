"""What the child may use, set by the child itself before it imports anything heavy. What a system does not offer is left out."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

import psutil

from discovery.loading.job import Job

if sys.platform != "win32":
    import resource

#: Libraries write small caches, never weights.
MAX_WRITTEN_BYTES = 16 << 20

#: CPU seconds between SIGXCPU, which says why, and SIGKILL, which cannot be ignored.
CPU_GRACE = 5

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

#: One thread each: RLIMIT_DATA counts the stacks of all of them, and the machine has other things to do.
_POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON")
THREADS = {"VECLIB_MAXIMUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"} | {
    f"{pool}_NUM_THREADS": "1" for pool in _POOLS
}


def apply(job: Job) -> None:
    """Memory, CPU time, no core dump, lowest priority, no network unless the model lives there. Ends the process if the parent is gone."""
    _die_with(job.parent)
    if sys.platform != "win32":
        _bound(resource.RLIMIT_CORE, 0)
        _bound(resource.RLIMIT_FSIZE, MAX_WRITTEN_BYTES)
        _bound(resource.RLIMIT_CPU, job.cpu_seconds, CPU_GRACE)
        # Mapped files are not counted: a checkpoint larger than the limit can be looked through.
        _bound(resource.RLIMIT_DATA, job.memory_bytes)
    _step_back()
    if not job.endpoint:
        _leave_the_network()


def _die_with(parent: int) -> None:
    """A worker that is killed takes the child with it."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent and os.getppid() != parent:
        sys.exit("the process that asked for this test load is gone")


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


def _leave_the_network() -> None:
    """An empty network namespace of its own, where the kernel lets us; ``guard`` holds where it does not."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def peak_memory() -> int | None:
    """Bytes. VmHWM rather than ``ru_maxrss``, which starts at what the parent had in use when it forked."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
