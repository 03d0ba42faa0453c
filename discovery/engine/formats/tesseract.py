"""Tesseract: ``.traineddata``, a table of offsets and the components behind it, or that packed by
gzip, as programs in browsers load it.

Source: ``TessdataManager::LoadMemBuffer`` and ``TessdataType`` of
https://github.com/tesseract-ocr/tesseract (src/ccutil/tessdatamanager.cpp).
"""

from __future__ import annotations

from io import BytesIO
from struct import unpack
from typing import BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "tesseract"

GZIP = b"\x1f\x8b\x08"

MAX_ENTRIES = 64
COMPONENTS = {
    0: "language config", 1: "unicharset", 2: "ambiguities", 3: "templates", 4: "cutoffs",
    5: "norms", 6: "punctuation", 7: "words", 8: "numbers", 9: "frequent words",
    17: "neural network", 18: "network punctuation", 19: "network words", 20: "network numbers",
    21: "network unicharset", 22: "recoder", 23: "version",
}  # fmt: skip
_NETWORK, _VERSION = 17, 23


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    first = stream.read(4)
    if first.startswith(GZIP):
        packed = decompression.gzip_start(stream, 4 + 8 * MAX_ENTRIES)
        return _read(BytesIO(packed), None)
    stream.seek(0)
    return _read(stream, size)


def _read(stream: BinaryIO, size: int | None) -> Header:
    """``size`` is ``None`` where only the table is there."""
    count = int.from_bytes(stream.read(4), "little")
    if not 1 <= count <= MAX_ENTRIES:
        raise NotThisFormat("it does not start with a number of components")
    start = 4 + 8 * count
    table = stream.read(8 * count)
    if len(table) < 8 * count:
        raise NotThisFormat("it is shorter than its table of components")
    offsets = unpack(f"<{count}q", table)
    present = {number: at for number, at in enumerate(offsets) if at >= 0}
    places = list(present.values())
    if (
        not places
        or min(places) != start
        or places != sorted(places)
        or any(at < -1 for at in offsets)
    ):
        raise NotThisFormat("its table of components makes no sense")
    if size is not None and places[-1] >= size:
        raise InvalidHeader(
            f"its last component starts at byte {places[-1]:,}, the file has {size:,}", size
        )
    version = None
    if _VERSION in present and size is not None:
        stream.seek(present[_VERSION])
        version = stream.read(80).split(b"\0")[0].decode("utf-8", "replace").strip()
    return Header(
        format=NAME,
        metadata={
            "components": [COMPONENTS.get(number, f"component {number}") for number in present],
            "version": version,
        },
        fields={"architecture": "LSTM" if _NETWORK in present else "character classifier"},
        task="image-to-text",
    )


FORMAT = Format(
    name=NAME,
    label="Tesseract",
    rank=215,
    type=ModelType.TESSERACT,
    suffixes=(".traineddata",),
    names=((".gz", r"(?P<stem>.*)\.traineddata\.gz"),),
    read=read,
    usage=Usage(
        "Tesseract",
        "pip install tesserocr pillow",
        "import os\nimport tesserocr\nfrom PIL import Image\n\n"
        "folder, name = os.path.split({path!r})\n"
        'print(tesserocr.image_to_text(Image.open("page.png"), lang=name.partition(".")[0],'
        " path=folder))",
    ),
)
