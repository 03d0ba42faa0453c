"""A filter of system calls, for good: a closed list, everything else fails with EPERM.

Whatever runs here afterwards, native code included, starts no program and no process, opens no
socket, and changes neither owners, modes, times, attributes nor links of any file. The filter is a
program of the kernel's classic BPF. Sources: ``seccomp(2)`` and
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator
from struct import pack

from discovery.loading.syscalls import ABSENT, ALLOWED, ARCHITECTURES, SPEAKING, number

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
#: Where ``struct seccomp_data`` keeps the number, the machine, and the low half of the first
#: argument.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_CLONE_THREAD, _CLONE_NAMESPACES = 0x10000, 0x7E020000
_O_ACCMODE, _O_TRUNC = 0o3, 0o1000
_AF_INET, _AF_INET6 = 2, 10
#: Names of threads and of memory, and two questions.
_PRCTL = (3, 15, 16, 23, 0x53564D41)
#: Of terminals two questions; of any file, whether it is inherited, waits, and how much it holds.
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
#: Copies, flags, locks, and the sizes of pipes: no leases, no signals to whom it likes.
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032, 1034)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(*, speaking: bool = False) -> None:
    """Install the filter; raises ``OSError`` where the kernel or the machine does not support it.

    ``speaking`` allows sockets of the Internet.
    """
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"there is no system call filter for {machine}")
    code = b"".join(program(machine, os.getpid(), speaking=speaking))
    libc = ctypes.CDLL(None, use_errno=True)
    loaded = _Program(len(code) // 8, code)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(loaded), 0, 0
    ):
        raise OSError(
            ctypes.get_errno(), f"no system call filter: {os.strerror(ctypes.get_errno())}"
        )


def program(machine: str, pid: int, *, speaking: bool) -> Iterator[bytes]:
    """The instructions, eight bytes each."""
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield from _unless_equal(ARCHITECTURES[machine], [_refuse(errno.EPERM)])
    yield _instruction(_LOAD, _NUMBER)
    for name in (*ALLOWED, *(SPEAKING if speaking else ())):
        yield from _when(machine, name, [_instruction(_RETURN, _ALLOW)])
    for name in ABSENT:
        yield from _when(machine, name, [_refuse(errno.ENOSYS)])
    for name, block in _looked_at(pid, speaking=speaking).items():
        yield from _when(machine, name, block)
    yield _refuse(errno.EPERM)


def _looked_at(pid: int, *, speaking: bool) -> dict[str, list[bytes]]:
    """Calls that depend on their arguments: name → the block that decides."""
    to_itself = _allow_if(0, (pid,))
    opening = {
        "open": _not_equal(1, _O_ACCMODE | _O_TRUNC, _O_TRUNC),
        "openat": _not_equal(2, _O_ACCMODE | _O_TRUNC, _O_TRUNC),
    }
    calls = {
        "clone": _allow_if(0, (_CLONE_THREAD,), mask=_CLONE_THREAD | _CLONE_NAMESPACES),
        "kill": to_itself,
        "tgkill": to_itself,
        "prlimit64": _allow_if(0, (0, pid)),
        "sched_setaffinity": _allow_if(0, (0, pid)),
        "prctl": _allow_if(0, _PRCTL),
        "ioctl": _allow_if(1, _IOCTL),
        "fcntl": _allow_if(1, _FCNTL),
    }
    return calls | opening | ({"socket": _allow_if(0, (_AF_INET, _AF_INET6))} if speaking else {})


def _allow_if(argument: int, values: Iterable[int], *, mask: int = 0) -> list[bytes]:
    """Allow the call when the argument, masked, is one of the values."""
    block = _argument(argument, mask)
    for value in values:
        block += [_instruction(_EQUAL, value, 0, 1), _instruction(_RETURN, _ALLOW)]
    return [*block, _refuse(errno.EPERM)]


def _not_equal(argument: int, mask: int, value: int) -> list[bytes]:
    """Allow the call unless the masked argument equals the value.

    For example, a file opened for reading must not be truncated by the same call.
    """
    return [
        *_argument(argument, mask),
        _instruction(_EQUAL, value, 1, 0),
        _instruction(_RETURN, _ALLOW),
        _refuse(errno.EPERM),
    ]


def _argument(argument: int, mask: int) -> list[bytes]:
    return [_instruction(_LOAD, _ARGUMENTS + 8 * argument)] + (
        [_instruction(_AND, mask)] if mask else []
    )


def _when(machine: str, name: str, block: list[bytes]) -> list[bytes]:
    """Return the filter that runs ``block`` for the call ``name``.

    ``block`` ends in a return; the result is empty where the machine has no such call.
    """
    wanted = number(name, machine)
    return [] if wanted is None else [_instruction(_EQUAL, wanted, 0, len(block)), *block]


def _unless_equal(value: int, block: list[bytes]) -> list[bytes]:
    return [_instruction(_EQUAL, value, len(block), 0), *block]


def _refuse(number: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | number)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return pack("=HBBI", code, if_true, if_false, value)
