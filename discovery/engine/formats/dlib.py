"""dlib: ``.dat``, serialized shape predictors and networks.

Numbers are a byte with their sign and length, then their bytes.

Source: ``serialize.h``, ``shape_predictor.h``, ``matrix.h`` and ``dnn/core.h`` of
https://github.com/davisking/dlib.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "dlib"

#: Version 1, then the shape of the mean shape: rows and columns, both negative.
_PREDICTOR = re.compile(rb"\x01\x01(?:\x81(.)|\x82(..))\x81\x01", re.DOTALL)
#: Version 1 to 5 of a layer, then the length of the name of its loss.
_NETWORK = re.compile(rb"\x01[\x01-\x05]\x01([\x07-\x40])(?=loss_)")
#: dlib puts an underscore behind most such names.
_LOSS = re.compile(rb"loss_[a-z_]{2,}\d*_?")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(128)
    if found := _NETWORK.match(head):
        name = head[found.end() : found.end() + found[1][0]]
        if not _LOSS.fullmatch(name):
            raise NotThisFormat("it does not start like a network of dlib's")
        kind, landmarks = f"network ({name.decode().rstrip('_')})", None
    elif found := _PREDICTOR.match(head):
        rows = int.from_bytes(found[1] or found[2], "little")
        if not 2 <= rows <= 20_000 or rows % 2:
            raise NotThisFormat("it does not start like a shape predictor of dlib's")
        if size < found.end() + 2 * rows:
            raise InvalidHeader("the file ends inside its mean shape", size)
        kind, landmarks = "shape predictor", rows // 2
    else:
        raise NotThisFormat("it starts like none of dlib's objects")
    return Header(
        format=NAME,
        metadata={"kind": kind, "landmarks": landmarks},
        fields={"architecture": f"dlib {kind}"},
        task="keypoint-detection" if landmarks else "image-feature-extraction",
    )


FORMAT = Format(
    name=NAME,
    label="dlib",
    rank=245,
    type=ModelType.DLIB,
    names=((".dat", r"(?P<stem>.*(?:dlib|predictor|landmark|face|mmod|resnet|detector).*)\.dat"),),
    read=read,
    usage=Usage(
        "dlib",
        "pip install dlib",
        "import dlib\n\n"
        "# shape_predictor, face_recognition_model_v1 or cnn_face_detection_model_v1\n"
        "model = dlib.shape_predictor({path!r})",
    ),
)
