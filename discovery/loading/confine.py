"""The child's side of its cell: it gives up, for good, what the cell does not leave it.

After ``limits``, before anything heavy is imported.

``python -m discovery.loading.confine`` is a child that only tries what must fail, and tells.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from discovery import startup
from discovery.engine.core.addresses import read
from discovery.loading import landlock, limits, seccomp, users
from discovery.loading.job import Job, Mechanism

#: Beside the places of Python and of the model: the child's own process, the machine's size, and
#: devices that hold nothing.
LOOKED_AT = (
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
)


_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a child in the cell could do when it tried, and as whom it ran."""

    user: str = ""
    reads: bool = True
    writes: bool = True
    network: bool = True
    processes: bool = True


def apply(job: Job) -> str:
    """Confine this process; return the name of its new user.

    Raises ``OSError`` where the cell does not hold as it should.
    """
    if sys.platform == "win32":
        return ""
    cell, scratch = job.cell, os.getcwd()
    if sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) > 1:
        raise OSError("threads run already, which would stay outside the cell")
    # In bubblewrap, or for a server, it stays where it is.
    stays = cell.mechanism is Mechanism.BUBBLEWRAP or bool(job.endpoint)
    left = stays or _unshare(_CLONE_NEWNET)
    if cell.mechanism is Mechanism.LANDLOCK:
        _restrict(job, scratch)
    user = users.leave_root(cell.readable, cell.files, scratch)
    if not left:
        # Who is not root may, where the kernel lets them, as a user of a name space of their own:
        # not before the user was changed for good.
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    # The kernel forgets this when the user changes.
    startup.die_with_parent(job.parent or os.getppid())
    if cell.filtered:
        seccomp.install(speaking=bool(job.endpoint))
    return user


def _unshare(spaces: int) -> bool:
    return sys.platform == "linux" and bool(ctypes.CDLL(None).unshare(spaces) == 0)


def _restrict(job: Job, scratch: str) -> None:
    rights = dict.fromkeys((*map(os.path.realpath, LOOKED_AT), *job.cell.readable), landlock.READ)
    listed = {path: landlock.LIST for path in job.cell.listable if path not in rights}
    landlock.restrict(
        [*rights.items(), *listed.items(), (os.devnull, landlock.USE), (scratch, landlock.CHANGE)],
        _ports(job),
    )


def _ports(job: Job) -> tuple[int, ...]:
    with suppress(ValueError):  # the loader refuses the address
        return (read(job.endpoint).port,) if job.endpoint else ()
    return ()


def _try(job: Job) -> Facts:
    """``job.root`` is a folder that the cell must keep from us."""
    user = apply(job)
    secret = os.path.join(job.root, job.name)
    return Facts(
        user=user,
        reads=_reads(secret),
        writes=_writes(f"{secret}.new"),
        network=_speaks(),
        processes=_forks(),
    )


def _reads(path: str) -> bool:
    with suppress(OSError), open(path, "rb"):
        return True
    return False


def _writes(path: str) -> bool:
    with suppress(OSError), open(path, "xb"):
        return True
    return False


def _speaks() -> bool:
    """Return whether the process can open a socket and has a network to reach.

    A network namespace of its own has only the loopback interface.
    """
    with suppress(OSError), socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return any(name != "lo" for _, name in socket.if_nameindex())
    return False


def _forks() -> bool:
    if sys.platform == "win32":
        return True
    with suppress(OSError):
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return True
    return False


def main() -> None:
    job = Job.from_json(sys.stdin.buffer.read())
    limits.apply(job)
    sys.stdout.write(json.dumps(msgspec.to_builtins(_try(job))))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
