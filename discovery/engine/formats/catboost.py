"""CatBoost: ``.cbm``, a flatbuffer behind its own length.

Source: ``catboost/libs/model/model.cpp`` (``OutputModel``) and ``flatbuffers/model.fbs`` of
https://github.com/catboost/catboost.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "catboost"

MAGIC = b"CBM1"
#: The training parameters stand in the open, as JSON, near the start.
HEAD_BYTES = 64 << 10
_LOSS = re.compile(rb'"loss_function"\s*:\s*\{[^{}]{0,200}"type"\s*:\s*"([A-Za-z]{1,40})"')
_NUMBERS = {
    "depth": re.compile(rb'"depth"\s*:\s*(\d{1,4})'),
    "iterations": re.compile(rb'"iterations"\s*:\s*(\d{1,7})'),
}


def read(stream: BinaryIO, _size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(HEAD_BYTES)
    if head[:4] != MAGIC:
        raise NotThisFormat("it does not start with CBM1")
    if len(head) < 16:
        raise InvalidHeader("the file ends inside its header", len(head))
    core = int.from_bytes(head[4:8], "little")
    root = int.from_bytes(head[8:12], "little")
    if not 4 <= root <= core - 4:
        raise InvalidHeader(f"its root table lies at byte {root:,} of {core:,}", 8)
    metadata: dict[str, Any] = {
        "objective": found[1].decode() if (found := _LOSS.search(head)) else None
    }
    for name, expression in _NUMBERS.items():
        if number := expression.search(head):
            metadata[name] = int(number[1])
    return Header(
        format=NAME,
        metadata=metadata,
        expected_size=8 + core,
        fields={"architecture": "gradient-boosted trees"},
    )


FORMAT = Format(
    name=NAME,
    label="CatBoost",
    rank=190,
    type=ModelType.CATBOOST,
    suffixes=(".cbm",),
    magic=lambda head, _suffix: head[:4] == MAGIC,
    knows_its_size=True,
    read=read,
    usage=Usage(
        "CatBoost",
        "pip install catboost",
        "import catboost\n\nmodel = catboost.CatBoost().load_model({path!r})\n"
        "print(model.tree_count_, model.feature_names_)",
    ),
)
