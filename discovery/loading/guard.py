"""An audit hook for the child: no network, no other programs, nothing written outside its scratch folder, whatever a library is talked into.

It holds for what goes through Python. Native code is held by the limits, and by the network namespace where there is one.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

_REACHING = frozenset(
    {
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.gethostbyaddr",
        "socket.getnameinfo",
    }
)
_SENDING = frozenset({"socket.bind", "socket.sendto", "socket.sendmsg"})
_STARTING = frozenset(
    {
        "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.startfile/2",
        "pty.spawn",
    }
)  # fmt: skip
_CHANGING = frozenset(
    {
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.mkdir",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.link",
        "os.symlink",
        "os.utime",
        "shutil.rmtree",
    }
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class NotAllowed(PermissionError):
    """An ``OSError``, so that libraries which only try their luck (``platform``, ``ctypes.util``) go on without."""


def install(scratch: str, *, network: bool) -> None:
    """For good: an audit hook cannot be taken off. ``network`` allows connecting, and nothing else."""
    sys.addaudithook(_hook(os.path.realpath(scratch) + os.sep, network))


def _hook(scratch: str, network: bool) -> Callable[[str, tuple[Any, ...]], None]:
    refused = _SENDING | _STARTING | (frozenset() if network else _REACHING)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in refused:
            raise NotAllowed(errno.EPERM, f"{event} is not allowed in a test load")
        if (event == "open" and _writes(arguments)) or event in _CHANGING:
            path = arguments[0]
            if isinstance(path, (str, bytes, os.PathLike)) and not _inside(
                os.fsdecode(path), scratch
            ):
                raise NotAllowed(
                    errno.EPERM,
                    f"{event} of {os.fsdecode(path)[:200]!r} is not allowed in a test load",
                )

    return hook


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & _WRITING)


def _inside(path: str, scratch: str) -> bool:
    return path == os.devnull or os.path.realpath(path).startswith(scratch)
