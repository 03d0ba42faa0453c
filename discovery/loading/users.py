"""Another user than root, for a process that root started.

It is nobody, else the owner of the model's files, else root without its privileges.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from struct import pack

NOBODY = 65534
_CAPABILITIES_VERSION_3 = 0x20080522
#: CAP_DAC_READ_SEARCH
_MAY_READ = 1 << 2

if sys.platform != "win32":

    def leave_root(readable: Sequence[str], files: Sequence[str], scratch: str) -> str:
        """Become, for good, the first user who may read all of ``readable``, and return the name.

        That user gets the scratch folder.

        ``files`` are the model's own: their owner is the candidate after nobody. Nothing changes
        where the process does not run as root.
        """
        if os.geteuid() != 0:
            return name(os.geteuid())
        for uid, gid in _candidates(files):
            if _may_read(uid, gid, readable, scratch):
                if os.stat(scratch).st_uid != uid:
                    _give(scratch, uid, gid)
                os.setgroups([])
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                return name(uid)
        return _stay(readable)


def name(uid: int) -> str:
    return {0: "root without privileges", NOBODY: "nobody"}.get(uid, f"user {uid}")


def _candidates(files: Sequence[str]) -> Iterator[tuple[int, int]]:
    yield NOBODY, NOBODY
    owners = {(status.st_uid, status.st_gid) for status in map(os.stat, files)}
    if len(owners) == 1 and all(uid for uid, _ in owners):
        yield from owners


if sys.platform != "win32":

    def _may_read(uid: int, gid: int, paths: Sequence[str], scratch: str) -> bool:
        """Tried rather than computed: by taking the user on for a moment."""
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(gid)
        os.seteuid(uid)
        try:
            folders = os.access(os.path.dirname(scratch), os.X_OK, effective_ids=True)
            return folders and all(os.access(path, os.R_OK, effective_ids=True) for path in paths)
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)

    def _give(folder: str, uid: int, gid: int) -> None:
        """Give the user the scratch folder, unless everybody may write to it.

        A cell has no other users.
        """
        if not os.stat(folder).st_mode & 0o002:
            os.chown(folder, uid, gid)


def _stay(readable: Sequence[str]) -> str:
    """Stay root without its privileges, and return the name.

    The privilege to read is kept where files of other people are private and no cell has removed
    it.
    """
    may_keep = _has(_MAY_READ)
    _capabilities(effective=0, permitted=_MAY_READ if may_keep else 0)
    if not may_keep or all(os.access(path, os.R_OK, effective_ids=True) for path in readable):
        _capabilities(effective=0, permitted=0)
        return name(0)
    _capabilities(effective=_MAY_READ, permitted=_MAY_READ)
    return "root with the privilege to read alone"


def _has(capability: int) -> bool:
    with open("/proc/self/status") as status:
        return any(
            line.startswith("CapPrm:") and int(line.split()[1], 16) & capability for line in status
        )


def _capabilities(*, effective: int, permitted: int) -> None:
    """Of the first 32; none of the others, and none to inherit."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux" and libc.capset(
        pack("=Ii", _CAPABILITIES_VERSION_3, 0), pack("=6I", effective, permitted, 0, 0, 0, 0)
    ):
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")
