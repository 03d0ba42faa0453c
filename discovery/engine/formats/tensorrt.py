"""TensorRT engines (``.engine``, ``.plan``): recognized by their tag.

What follows is NVIDIA's own and changes between releases. Ultralytics writes the length of a JSON
object and the object in front of it.

Sources: the plan's tag and version as trtexec reads them (samples/common of
https://github.com/NVIDIA/TensorRT); ``ultralytics/utils/export/engine.py`` of
https://github.com/ultralytics/ultralytics.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.text import clean
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "tensorrt"

TAG = b"ftrt"
HEADER_BYTES = 28
MAX_PREFACE = 1 << 20
#: What such a preface says of the model, by the document's names.
_FIELDS = ("description", "author", "version", "license")


def read(stream: BinaryIO, size: int) -> Header:
    """Read the header.

    ``metadata["tensorrt_version"]`` is set if the layout of the header is known; ``properties`` is
    the JSON in front of the plan.

    Raises ``NotThisFormat`` or ``InvalidHeader``.
    """
    head = stream.read(HEADER_BYTES)
    start, properties = 0, dict[str, Any]()
    if head[:4] != TAG and head[4:5] == b"{":
        start, properties = _preface(stream, head)
        stream.seek(start)
        head = stream.read(HEADER_BYTES)
    if head[:4] != TAG:
        raise NotThisFormat("it does not start with ftrt")
    if len(head) < HEADER_BYTES or size == start + HEADER_BYTES:
        raise InvalidHeader("the file ends inside the plan's header", start + len(head))
    serialization = int.from_bytes(head[4:8], "little")
    metadata: dict[str, object] = {"serialization_version": serialization}
    if serialization == 0:
        metadata["tensorrt_version"] = ".".join(str(part) for part in head[24:28])
    told = {key: clean(properties[key], 600) for key in _FIELDS if key in properties}
    return Header(format=NAME, metadata={**metadata, "properties": properties}, fields=told)


def _preface(stream: BinaryIO, head: bytes) -> tuple[int, dict[str, Any]]:
    """(where the plan starts, the text values that are written in front of it)."""
    length = int.from_bytes(head[:4], "little")
    if length > MAX_PREFACE:
        raise NotThisFormat("it does not start with ftrt")
    stream.seek(4)
    try:
        told = json.loads(stream.read(length))
    except (ValueError, RecursionError) as error:
        raise NotThisFormat("it starts with neither ftrt nor a JSON object") from error
    told = told if isinstance(told, dict) else {}
    return 4 + length, {key[:80]: told[key] for key in told if isinstance(told[key], str)}


FORMAT = Format(
    name=NAME,
    label="TensorRT",
    rank=130,
    type=ModelType.TENSORRT,
    suffixes=(".engine", ".plan", ".trt"),
    read=read,
)
