"""The messages between a scan and the child process of a plugin: JSON, a line each.

The child is not trusted: what it answers is checked by who asked.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

#: Bytes of a line: an answer about one path.
MAX_LINE = 1 << 20


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a plugin's code is: ``file`` in the plugins folder, or else the module of that name.

    ``class_name`` is one of its classes; empty while it is not known which there are. ``paths``
    are folders that its imports are looked for in, besides those of Python.
    """

    module: str
    class_name: str = ""
    file: str = ""
    paths: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.module}.{self.class_name}" if self.class_name else self.module


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The first line to the child: what it loads, what it may read, and its limits.

    ``readable`` are absolute paths.
    """

    source: Source
    readable: tuple[str, ...]
    parent: int
    memory_bytes: int
    cpu_seconds: int


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """One class of a module."""

    class_name: str
    version: str = ""
    label: str = ""
    summary: str = ""
    suffixes: tuple[str, ...] = ()


def encode(message: Any) -> bytes:
    """One line. File names that are not UTF-8 are escaped."""
    return json.dumps(msgspec.to_builtins(message)).encode() + b"\n"
