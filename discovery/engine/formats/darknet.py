"""Darknet: ``.weights``, with a version, the number of images seen in training, then floats.

The file does not describe its layers: a ``.cfg`` file next to it does.

Source: ``load_weights_upto`` of https://github.com/AlexeyAB/darknet (src/parser.c).
"""

from __future__ import annotations

from math import isfinite
from struct import unpack
from typing import BinaryIO

from discovery.engine.core.errors import NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "darknet"

#: Floats that must make sense.
SAMPLE = 256
#: Batch norms and convolutions of images have none that are larger.
LARGEST = 1e6


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat``: Darknet files have no magic number, so that values which make no
    sense mean another format.
    """
    head = stream.read(20 + 4 * SAMPLE)
    if len(head) < 24:
        raise NotThisFormat("it is too short for a header and a weight")
    major, minor, revision = unpack("<3i", head[:12])
    if not (major == 0 and minor in (1, 2) and 0 <= revision < 100):
        raise NotThisFormat("it does not start with a version of Darknet's")
    start = 20 if minor >= 2 else 16
    seen = int.from_bytes(head[12:start], "little")
    numbers = unpack(
        f"<{(len(head) - start) // 4}f", head[start : start + (len(head) - start) // 4 * 4]
    )
    if (
        (size - start) % 4
        or seen > 1 << 48
        or not any(numbers)
        or not all(isfinite(number) and abs(number) < LARGEST for number in numbers)
    ):
        raise NotThisFormat("what follows its version is not weights")
    return Header(
        format=NAME,
        metadata={"version": f"{major}.{minor}.{revision}", "images_seen": seen},
        parameter_count=(size - start) // 4,
        dtype="F32",
        fields={"architecture": "Darknet"},
    )


FORMAT = Format(
    name=NAME,
    label="Darknet",
    rank=240,
    names=((".weights", r"(?P<stem>.*)\.weights"),),
    type=ModelType.UNKNOWN,
    read=read,
    usage=Usage(
        "OpenCV",
        "pip install opencv-python",
        "import cv2\n\n"
        'net = cv2.dnn.readNetFromDarknet({path!r}.removesuffix(".weights") + ".cfg", {path!r})\n'
        "print(net.getLayerNames())",
    ),
)
