"""git-lfs pointers: what a clone without LFS leaves in place of the weights.

Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A pointer is text of about 130 bytes; the specification caps it at 1,024.
MAX_POINTER_BYTES = 1_024

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize"
    rb" (\d{1,18})\n?"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The absent file: its SHA-256 and its size in bytes."""

    sha256: str
    size: int


def read(head: bytes) -> Pointer | None:
    """The pointer in ``head``, the whole of a small file; ``None`` if it is not a pointer."""
    match = _POINTER.match(head.replace(b"\r\n", b"\n"))
    return Pointer(match[1].decode(), int(match[2])) if match else None
