"""A share that hangs, for tests: whatever asks the system about a path below it waits until it is
let go.

The functions of ``os`` by which everything reaches the disk are wrapped, as is ``open``; their C
code is never entered for such a path, and the waiting thread holds no lock, as it would not in the
kernel. That is a stand-in for a FUSE file system whose process is stopped, which not every machine
that runs the tests may have; ``tests/benchmarks/hung_share.py`` does the same with a real one.
Other processes are made to wait by ``tests/stand_in``, a ``sitecustomize`` with the same wrappers
that looks at a file.

That nobody waited for the share is shown by its still hanging when the work is done, which holds on
a machine of any speed: see ``hanging``.
"""

from __future__ import annotations

import builtins
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import as_shipped

#: Seconds after which a share answers after all: whoever waits for one is found out by that.
LONG = 600.0
#: Functions of ``os`` that take a path first.
ASKING = (
    "stat",
    "lstat",
    "scandir",
    "listdir",
    "open",
    "readlink",
    "access",
    "statvfs",
    "mkdir",
    "unlink",
    "rename",
    "replace",
    "chmod",
)


class Hanging:
    """``paths`` hang until ``let_go``, or for ``LONG`` seconds.

    ``waiting`` counts the threads that do, ``most`` the most there ever were at once, ``asked`` all
    of them; ``outwaited`` is true once one of them had to wait for so long.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *paths: Path | str) -> None:
        self.tops = tuple(str(path) for path in paths)
        self.gate = threading.Event()
        self.door = threading.Lock()
        self.waiting = self.most = self.asked = 0
        self.outwaited = False
        for name in ASKING:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))
        opening = self._wrapped(io.open)
        monkeypatch.setattr(io, "open", opening)
        monkeypatch.setattr(builtins, "open", opening)

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if self._is_below(path):
                self._wait()
            return original(path, *args, **kwargs)

        return asked

    def _is_below(self, path: Any) -> bool:
        if self.gate.is_set() or not isinstance(path, str | bytes | os.PathLike):
            return False
        text = os.fsdecode(path)
        return any(text == top or text.startswith(top + os.sep) for top in self.tops)

    def _wait(self) -> None:
        with self.door:
            self.waiting += 1
            self.asked += 1
            self.most = max(self.most, self.waiting)
        try:
            if not self.gate.wait(LONG):
                self.outwaited = True
                self.gate.set()
        finally:
            with self.door:
                self.waiting -= 1

    def let_go(self) -> None:
        self.gate.set()


@contextmanager
def hanging(*paths: Path | str) -> Iterator[Hanging]:
    """``paths`` hang within the block, which is over before they answer; the product waits for
    disks as long as it does in earnest.
    """
    with as_shipped(), pytest.MonkeyPatch.context() as patched:
        held = Hanging(patched, *paths)
        try:
            yield held
            assert not held.outwaited, f"something waited for {', '.join(held.tops)}"
        finally:
            held.let_go()
