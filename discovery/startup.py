"""The first steps of each process of an installation.

It ends when its parent ends, and keeps its files private to its owner.

``python -m discovery.startup PARENT MODULE [ARGUMENT …]`` runs a module that knows nothing of this,
such as granian: it and all its descendants end with their parents. This module does not know Django
or the rest of the application.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import runpy
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
#: Where the system sends no signal, the parent is looked for this often.
_POLL = 1.0

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_pid = os.getpid()
_umask: int | None = None


def die_with_parent(parent: int) -> None:
    """Have this process killed when the process ``parent`` ends in any way.

    It ends at once where the parent is already gone.

    On Linux the parent is the *thread* that started this process: start processes from threads that
    stay.
    """
    if _libc is None or _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if _is_gone(parent):
        os._exit(1)


def die_with_worker_parent() -> None:
    """Make a worker of ``multiprocessing`` (any start method) end with the process that started it.

    Other processes do not change.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        die_with_parent(parent.pid)


def die_with_forks(parent: int) -> None:
    """:func:`die_with_parent`, for this process and for all that will be forked from it."""
    die_with_parent(parent)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_die_with_forker)


def keep_files_private() -> None:
    """Make the files that this process creates from now on readable only by their owner.

    :func:`public_mode` is for the exceptions.
    """
    global _umask
    before = os.umask(0o077)
    if _umask is None:
        _umask = before


def public_mode(path: Path) -> int:
    """Return the mode for a file that belongs to the person and not to the installation.

    It is the mode of the file that it replaces, or what the umask of the process's starter allows.
    """
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o666 & ~starters_umask()


def starters_umask() -> int:
    """Return the umask that this process was started with, which its children get again."""
    if _umask is not None:
        return _umask
    current = os.umask(0o077)
    os.umask(current)
    return current


def _die_with_forker() -> None:
    global _pid
    forker, _pid = _pid, os.getpid()
    die_with_parent(forker)


def _watch(parent: int) -> None:
    while not _is_gone(parent):
        time.sleep(_POLL)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def _is_gone(parent: int) -> bool:
    return not psutil.pid_exists(parent) if sys.platform == "win32" else os.getppid() != parent


def _main() -> None:
    parent, module, *arguments = sys.argv[1:]
    die_with_forks(int(parent))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # By its name, so that there is one copy of this module and its state in the process.
    from discovery import startup

    startup._main()
