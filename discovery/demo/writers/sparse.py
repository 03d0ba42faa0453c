"""Write files with a real header and a hole where the data would be.

They show gigabytes but take kilobytes on disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

from discovery.engine.core.parameters import DTYPE_BITS

#: Name, safetensors dtype name, shape.
TensorSpec: TypeAlias = tuple[str, str, Sequence[int]]


def tensor_bytes(dtype: str, shape: Sequence[int]) -> int:
    return prod(shape) * DTYPE_BITS[dtype] // 8


def write_sparse(path: Path, head: bytes, length: int) -> None:
    """``head``, then a hole up to ``length`` bytes in all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(max(length, len(head)))


def write_pieces(path: Path, pieces: Iterable[bytes | int]) -> None:
    """Write bytes and holes, for formats that mix headers and data.

    A number leaves a hole of that many bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for piece in pieces:
            if isinstance(piece, int):
                file.seek(piece, 1)
            else:
                file.write(piece)
        file.truncate()


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, document: Any) -> None:
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
