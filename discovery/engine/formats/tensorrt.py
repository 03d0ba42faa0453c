"""TensorRT engines (``.engine``, ``.plan``): recognized by their tag.

What follows is NVIDIA's own and changes between releases.

Source: the plan's tag and version as trtexec reads them (samples/common of
https://github.com/NVIDIA/TensorRT).
"""

from __future__ import annotations

from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "tensorrt"

TAG = b"ftrt"
HEADER_BYTES = 28


def read(stream: BinaryIO, size: int) -> Header:
    """``metadata["tensorrt_version"]`` where the layout of the header is known.

    Raises ``NotThisFormat`` or ``InvalidHeader``.
    """
    head = stream.read(HEADER_BYTES)
    if head[:4] != TAG:
        raise NotThisFormat("it does not start with ftrt")
    if len(head) < HEADER_BYTES or size == HEADER_BYTES:
        raise InvalidHeader("the file ends inside the plan's header", len(head))
    serialization = int.from_bytes(head[4:8], "little")
    metadata: dict[str, object] = {"serialization_version": serialization}
    if serialization == 0:
        metadata["tensorrt_version"] = ".".join(str(part) for part in head[24:28])
    return Header(format=NAME, metadata=metadata)


FORMAT = Format(
    name=NAME,
    label="TensorRT",
    rank=130,
    type=ModelType.TENSORRT,
    suffixes=(".engine", ".plan", ".trt"),
    read=read,
)
