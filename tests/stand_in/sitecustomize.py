"""Makes folders hang in the processes that have this folder on their PYTHONPATH, as
``tests.hanging`` does in its own.

``KAREN_HANGING`` names a file; each line of it is a folder that hangs as long as it stands there.
"""

from __future__ import annotations

import builtins
import io
import os
import time
from collections.abc import Callable
from typing import Any

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
LIST = os.environ.get("KAREN_HANGING", "")
_open, _read = os.open, os.read


def hangs(path: Any) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    text = os.fsdecode(path)
    return any(text == top or text.startswith(top + os.sep) for top in listed())


def listed() -> list[str]:
    try:
        descriptor = _open(LIST, os.O_RDONLY)
    except OSError:
        return []
    try:
        return [line for line in os.fsdecode(_read(descriptor, 1 << 16)).splitlines() if line]
    finally:
        os.close(descriptor)


def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    def asked(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        while hangs(path):
            time.sleep(0.2)
        return original(path, *args, **kwargs)

    return asked


if LIST:
    for name in ASKING:
        setattr(os, name, wrapped(getattr(os, name)))
    io.open = builtins.open = wrapped(io.open)
