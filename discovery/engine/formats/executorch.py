"""ExecuTorch: ``.pte``, a flatbuffer with the identifier ``ET12``, and perhaps segments behind it.

Source: ``schema/program.fbs`` and ``schema/extended_header.h`` of
https://github.com/pytorch/executorch.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "executorch"

_IDENTIFIER = re.compile(rb"ET\d\d")
_EXTENDED = b"eh00"
#: From byte 8: magic, length, size of the program, offset of the segments, their size.
_EXTENDED_BYTES = 24
_WITH_SEGMENTS = 32


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(64)
    if not _IDENTIFIER.fullmatch(head[4:8]):
        raise NotThisFormat("it has no ET12 at byte 4")
    root = int.from_bytes(head[:4], "little")
    if not 8 <= root <= size - 4:
        raise InvalidHeader(f"its root table lies at byte {root:,} of {size:,}", 0)
    metadata = {"identifier": head[4:8].decode()}
    if head[8:12] != _EXTENDED:
        return Header(format=NAME, metadata=metadata)
    length = int.from_bytes(head[12:16], "little")
    if length < _EXTENDED_BYTES or len(head) < 8 + min(length, _WITH_SEGMENTS):
        raise InvalidHeader(f"its extended header claims {length:,} bytes", 12)
    program, start = (int.from_bytes(head[at : at + 8], "little") for at in (16, 24))
    segments = int.from_bytes(head[32:40], "little") if length >= _WITH_SEGMENTS else 0
    if root > program or (start and start < program):
        raise InvalidHeader("its program and its segments overlap", 16)
    end = max(program, start + segments if start else 0)
    return Header(
        format=NAME,
        metadata={**metadata, "program_bytes": program, "segment_bytes": segments},
        expected_size=end,
    )


FORMAT = Format(
    name=NAME,
    label="ExecuTorch",
    rank=170,
    type=ModelType.EXECUTORCH,
    suffixes=(".pte",),
    magic=lambda head, _suffix: _IDENTIFIER.fullmatch(head[4:8]) is not None,
    knows_its_size=True,
    is_program=True,
    read=read,
    usage=Usage(
        "ExecuTorch",
        "pip install executorch",
        "from executorch.runtime import Runtime\n\n"
        "program = Runtime.get().load_program({path!r})\n"
        "print(program.method_names)",
    ),
)
