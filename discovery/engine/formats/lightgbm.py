"""LightGBM: a text of ``key=value`` lines, then the trees.

Source: ``GBDT::SaveModelToString`` of https://github.com/microsoft/LightGBM
(src/boosting/gbdt_model_text.cpp).
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "lightgbm"

#: Of the start: the names and the ranges of all features stand there.
MAX_HEAD = 4 << 20
_END = b"end of trees"
_MAGIC = b"tree\nversion=v"
_LINE = re.compile(rb"^([a-z_]{1,40})=([^\n]{0,4096})$", re.MULTILINE)


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(min(size, 1 << 16)).replace(b"\r\n", b"\n")
    if not head.startswith(_MAGIC):
        raise NotThisFormat("it does not start with tree and version=")
    end = head.find(b"\n\n")
    if end < 0:
        head += stream.read(MAX_HEAD)
        end = head.find(b"\n\n")
        if end < 0:
            raise InvalidHeader("the file ends inside its header", size)
    told = {key.decode(): value for key, value in _LINE.findall(head[:end])}
    if not {"version", "num_class"} <= told.keys() or "tree_sizes" not in head[:end].decode(
        "latin-1"
    ):
        raise InvalidHeader("the header names no version, classes or trees", 0)
    sizes = _sizes(head[:end])
    behind = end + 2 + sum(sizes)
    if size >= behind + len(_END):
        stream.seek(behind)
        if stream.read(len(_END)) != _END:
            raise InvalidHeader("the trees are not as long as the header says", behind)
    features = told.get("max_feature_idx", b"")
    metadata: dict[str, Any] = {
        "version": told["version"].decode("latin-1")[:20],
        "objective": told.get("objective", b"").decode("utf-8", "replace")[:120] or None,
        "classes": _number(told["num_class"]),
        "features": (number + 1 if (number := _number(features)) is not None else None),
        "trees": len(sizes),
    }
    return Header(
        format=NAME,
        metadata=metadata,
        expected_size=behind + len(_END),
        fields={"architecture": "gradient-boosted trees"},
    )


def _sizes(head: bytes) -> list[int]:
    start = head.index(b"tree_sizes")
    line = head[start : head.find(b"\n", start) if b"\n" in head[start:] else len(head)]
    parts = line.partition(b"=")[2].split()
    if not all(part.isdigit() and len(part) < 12 for part in parts):
        raise InvalidHeader("the sizes of the trees are not numbers", start)
    return [int(part) for part in parts]


def _number(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) < 10 else None


FORMAT = Format(
    name=NAME,
    label="LightGBM",
    rank=185,
    type=ModelType.LIGHTGBM,
    suffixes=(".lgb", ".lgbm", ".lightgbm"),
    tried_for=(".txt", ".model"),
    names=((".txt", r"(?P<stem>.*(?:lgb|gbm|booster|model|classifier|regressor|ranker).*)\.txt"),),
    magic=lambda head, _suffix: head.replace(b"\r\n", b"\n").startswith(_MAGIC),
    knows_its_size=True,
    read=read,
    usage=Usage(
        "LightGBM",
        "pip install lightgbm",
        "import lightgbm\n\nmodel = lightgbm.Booster(model_file={path!r})\n"
        "print(model.num_trees(), model.feature_name())",
    ),
)
