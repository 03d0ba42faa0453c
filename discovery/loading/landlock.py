"""Landlock: limit for good what this process may read and write, native code included.

It needs no privileges.

It does not hold modes, owners, times and attributes of files: the filter of system calls does
(``seccomp``). Sources: ``landlock(7)`` and https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from struct import pack

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH, _NET_PORT = 1, 1, 2
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(1, 6))
_MAKE_DIR, _MAKE_REG, _REFER, _TRUNCATE = 1 << 7, 1 << 8, 1 << 13, 1 << 14
#: Rights by the version of Landlock that knows them: 13 from the first, moving between folders,
#: truncating, devices.
_KNOWN = {1: 13, 2: 14, 3: 15, 5: 16}
_CONNECT = 1 << 1
_BIND_AND_CONNECT, _ABSTRACT_SOCKETS_AND_SIGNALS = 3, 3

READ = _READ_FILE | _READ_DIR
LIST = _READ_DIR
USE = READ | _WRITE_FILE
CHANGE = USE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_OF_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE


def version() -> int:
    """0 where the kernel has none, or has it switched off."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE, None, 0, _VERSION_FLAG)))


def restrict(rights: Iterable[tuple[str, int]], ports: Iterable[int] = ()) -> None:
    """Limit this process to ``rights`` on paths and to TCP connections to ``ports``.

    A right on a folder covers everything below it.

    Raises ``OSError`` where the kernel has no Landlock.
    """
    known = version()
    if not known:
        raise OSError("the kernel has no Landlock")
    handled = (1 << max(bits for since, bits in _KNOWN.items() if since <= known)) - 1
    net = _BIND_AND_CONNECT if known >= 4 else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if known >= 6 else 0
    attributes = pack("=QQQ", handled, net, scoped)[: 24 if scoped else 16 if net else 8]
    libc = _libc()
    ruleset = _checked(libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        for path, allowed in rights:
            _allow(libc, ruleset, path, allowed & handled)
        for port in ports if net else ():
            _checked(libc.syscall(_ADD_RULE, ruleset, _NET_PORT, pack("=QQ", _CONNECT, port), 0))
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, allowed: int) -> None:
    """Nothing for a path that is not there."""
    try:
        opened = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            allowed &= _OF_A_FILE
        if allowed:
            _checked(
                libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, pack("=Qi", allowed, opened), 0)
            )
    finally:
        os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
