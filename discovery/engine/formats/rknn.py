"""Rockchip's RKNN: recognized by its magic; what follows is Rockchip's own.

Source: files that rknn-toolkit and rknn-toolkit2 wrote (https://github.com/airockchip).
"""

from __future__ import annotations

from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "rknn"

#: Plain, encrypted.
MAGICS = {b"RKNN": False, b"CYPTRKNN": True}
HEADER_BYTES = 24


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(HEADER_BYTES)
    magic = next((magic for magic in MAGICS if head.startswith(magic)), None)
    if magic is None:
        raise NotThisFormat("it does not start with RKNN")
    if size <= HEADER_BYTES:
        raise InvalidHeader("the file ends inside its header", size)
    version = int.from_bytes(head[8:16], "little")
    known = not MAGICS[magic] and 0 < version < 1_000
    return Header(
        format=NAME,
        metadata={"encrypted": MAGICS[magic], "file_version": version if known else None},
    )


FORMAT = Format(
    name=NAME,
    label="RKNN",
    rank=220,
    type=ModelType.RKNN,
    suffixes=(".rknn",),
    magic=lambda head, _suffix: head.startswith(tuple(MAGICS)),
    read=read,
    usage=Usage(
        "RKNN",
        "pip install rknn-toolkit-lite2",
        "from rknnlite.api import RKNNLite\n\n"
        "model = RKNNLite()\nmodel.load_rknn({path!r})\nmodel.init_runtime()",
    ),
)
