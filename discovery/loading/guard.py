"""An audit hook that blocks the network, other programs and writing outside the scratch folder.

It covers calls through Python's own functions and reports what it blocked. Native code, and
functions that Python does not audit, are limited by the cell (``confine``), or by nothing where
the system has no cell.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from discovery.engine.core.addresses import read
from discovery.loading.job import Job

_REACHING = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
)
_REFUSED = frozenset(
    {
        "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
        "os.spawn", "os.startfile", "os.startfile/2",
        "pty.spawn", "socket.bind", "socket.sendto", "socket.sendmsg", "sqlite3.connect",
        "os.setxattr", "os.removexattr", "os.chflags",
        "os.lchflags", "os.killpg",
    }
)  # fmt: skip
#: Event: (position of a path, position of the folder that it is relative to, if the event tells
#: one).
_CHANGING: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),),
    "os.truncate": ((0, None),), "os.chmod": ((0, 2),),
    "os.lchmod": ((0, None),), "os.chown": ((0, 3),), "os.utime": ((0, 3),),
    "os.rename": ((0, 2), (1, 3)), "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),), "shutil.rmtree": ((0, 1),),
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class NotAllowed(PermissionError):
    """An operation that the guard blocked.

    It is an ``OSError``, so that libraries that only probe the system (``platform``,
    ``ctypes.util``) continue without it.
    """


class _Unknown(Exception):
    """The target of a path cannot be determined."""


def server(job: Job) -> tuple[str, int] | None:
    """Return the (address, port) that a job may connect to.

    The address is empty for whatever the host's name resolves to.
    """
    try:
        return (job.place, read(job.endpoint).port) if job.endpoint else None
    except ValueError:
        return None  # the loader refuses the address


def install(scratch: str, *, server: tuple[str, int] | None, where: str = "a test load") -> None:
    """For good: an audit hook cannot be taken off.

    ``server`` allows connecting there, and nothing else. ``where`` is what the reasons call the
    process.
    """
    sys.addaudithook(_hook(os.path.realpath(scratch) + os.sep, server, where))


def _hook(
    scratch: str, server: tuple[str, int] | None, where: str = "a test load"
) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (
            event in _REFUSED
            or (event == "os.kill" and arguments[0] != os.getpid())
            or _reaches_out(event, arguments, server)
        ):
            raise NotAllowed(errno.EPERM, f"{event} is not allowed in {where}")
        if event == "open" and _writes(arguments):
            relative = arguments[1] is not None
            _judge(event, arguments[0], None, scratch, relative=relative, where=where)
        for path, folder in _CHANGING.get(event, ()):
            _judge(
                event,
                arguments[path],
                arguments[folder] if folder is not None and folder < len(arguments) else None,
                scratch,
                where=where,
            )

    return hook


def _reaches_out(event: str, arguments: tuple[Any, ...], server: tuple[str, int] | None) -> bool:
    """Return whether the event uses the network beyond the server."""
    if server is None:
        return event in _REACHING or event in ("socket.__new__", "socket.connect")
    if event == "socket.connect":
        address = arguments[1]
        return not (
            isinstance(address, tuple)
            and len(address) > 1
            and server[0] in ("", address[0])
            and address[1] == server[1]
        )
    return event in _REACHING and server[0] not in ("", arguments[0])


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    # A descriptor was judged when it was opened.
    return isinstance(flags, int) and bool(flags & _WRITING) and not isinstance(path, int)


def _judge(
    event: str,
    path: Any,
    folder: int | None,
    scratch: str,
    *,
    where: str,
    relative: bool = True,
) -> None:
    """Raise ``NotAllowed`` unless the path of an audit event may be written.

    ``relative`` says whether the path may be relative to the current folder; ``os.open`` does not
    report which folder it is relative to.
    """
    try:
        named = _named(path, folder)
        inside = (os.path.realpath(named) + os.sep).startswith(scratch)
        if named == os.devnull or (inside and (relative or os.path.isabs(named))):
            return
    except _Unknown:
        named = repr(path)
    raise NotAllowed(errno.EPERM, f"{event} of {named[:200]!r} is not allowed in {where}")


def _named(path: Any, folder: int | None) -> str:
    """Return the path as text; raises ``_Unknown``."""
    if isinstance(path, int):
        return _opened(path)
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise _Unknown
    text = os.fsdecode(path)
    return (
        text if folder in (None, -1) or os.path.isabs(text) else os.path.join(_opened(folder), text)
    )


def _opened(descriptor: int | None) -> str:
    """Return the path that a descriptor was opened with, where the system knows it."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError as error:
        raise _Unknown from error
