"""MLC LLM: ``ndarray-cache.json`` (``tensor-cache.json`` since TVM 0.21), with the weights in
shards in the same folder.

Source: ``NDArrayCacheMetadata`` of https://github.com/mlc-ai/mlc-llm and ``tvmjs.py`` of
https://github.com/apache/tvm.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container
from math import isfinite
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.parameters import main_dtype
from discovery.engine.core.text import positive
from discovery.engine.core.types import External, Header, Tensor
from discovery.engine.formats.flax import DTYPES

NAME = "mlc"

MANIFESTS = ("ndarray-cache.json", "tensor-cache.json")
#: Settings of the model, which its library was compiled with.
CONFIG = "mlc-chat-config.json"
MAX_BYTES = 32 << 20
MAX_TENSORS = 100_000
MAX_SHARDS = 10_000
HEAD_BYTES = 4_096


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``. Shards are the header's external data."""
    head = stream.read(HEAD_BYTES)
    if head.lstrip()[:1] != b"{" or size > MAX_BYTES or b'"records"' not in head:
        raise NotThisFormat("it is not a list of TVM's shards")
    text = head + stream.read(size)
    if b'"dataPath"' not in text:
        raise NotThisFormat("it names no shards of TVM's")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"the list of shards is not JSON: {str(error)[:120]}") from error
    shards = document.get("records")
    if not isinstance(shards, list) or not 0 < len(shards) <= MAX_SHARDS:
        raise InvalidHeader("the list of shards names none, or too many")
    tensors: list[Tensor] = []
    externals = [_shard(shard, tensors) for shard in shards]
    told = document.get("metadata")
    packed = any(tensor.name.endswith("q_weight") for tensor in tensors)
    count = _parameters(told if isinstance(told, dict) else {})
    return Header(
        format=NAME,
        tensors=tensors,
        parameter_count=count or (None if packed else sum(map(_elements, tensors))),
        dtype=None if packed else main_dtype(tensors),
        externals=externals,
    )


def _shard(shard: Any, tensors: list[Tensor]) -> External:
    """What a shard is called and how long it must be; its tensors join ``tensors``."""
    records = shard.get("records") if isinstance(shard, dict) else None
    path = shard.get("dataPath") if isinstance(shard, dict) else None
    if not isinstance(path, str) or not isinstance(records, list):
        raise InvalidHeader("a shard has no path, or no list of what is in it")
    if len(tensors) + len(records) > MAX_TENSORS:
        raise InvalidHeader(f"the shards hold more than {MAX_TENSORS:,} tensors")
    tensors += map(_tensor, records)
    return External(path[:1_000], positive(shard.get("nbytes")) or 1)


def _tensor(record: Any) -> Tensor:
    told = record if isinstance(record, dict) else {}
    name, shape, kind = told.get("name"), told.get("shape"), told.get("dtype")
    size = told.get("nbytes")
    if not (
        isinstance(name, str)
        and isinstance(kind, str)
        and isinstance(shape, list)
        and len(shape) <= 32
        and all(type(side) is int and 0 <= side < 1 << 40 for side in shape)
        and type(size) is int
        and 0 <= size < 1 << 60
    ):
        raise InvalidHeader("a tensor has no name, shape, type or length that make sense")
    return Tensor(name[:512], DTYPES.get(kind, kind.upper()[:40]), tuple(shape), -1, size)


def _elements(tensor: Tensor) -> int:
    count = 1
    for side in tensor.shape:
        count *= side
    return count


def _parameters(told: dict[str, Any]) -> int | None:
    """Packed weights are counted where the writer knew them: bytes of all, bits of each."""
    size, bits = told.get("ParamBytes"), told.get("BitsPerParam")
    if not isinstance(size, int | float) or not isinstance(bits, int | float):
        return None
    if (
        isinstance(size, bool)
        or not isfinite(size)
        or not 0 < size < 1 << 60
        or not 0.5 < bits < 65
    ):
        return None
    return round(size * 8 / bits)


def _is_folder(_folder: str, files: Collection[str], _folders: Collection[str]) -> bool:
    return any(name in files for name in MANIFESTS)


def _is_data(path: str, others: Container[str]) -> bool:
    place, slash, name = path.rpartition("/")
    return (
        name.startswith("params_shard_")
        and name.endswith(".bin")
        and any(f"{place}{slash}{manifest}" in others for manifest in MANIFESTS)
    )


FORMAT = Format(
    name=NAME,
    label="MLC LLM",
    rank=260,
    tried_for=(".json",),
    names=((".json", r"(?:ndarray|tensor)-cache\.json"),),
    is_folder=_is_folder,
    is_data=_is_data,
    read=read,
)
