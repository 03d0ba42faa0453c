"""``*.safetensors.index.json`` and ``*.bin.index.json``: which shard holds which tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.text import positive

#: How the names of indexes end.
SUFFIXES = (".safetensors.index.json", ".bin.index.json")


@dataclass(frozen=True, slots=True)
class WeightIndex:
    """An index of shards.

    ``shards`` are the file names it asks for; ``outside`` those that would leave the folder;
    ``total_size`` bytes of weights, as claimed.
    """

    shards: tuple[str, ...]
    outside: tuple[str, ...]
    total_size: int | None
    total_parameters: int | None


def read(index: Mapping[str, Any]) -> WeightIndex | None:
    """The index; ``None`` without a ``weight_map`` that names a file."""
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict):
        return None
    named = {name for name in weight_map.values() if isinstance(name, str) and name}
    outside = {
        name
        for name in named
        if name.startswith(("/", "\\"))
        or "\\" in name
        or ":" in name
        or ".." in name.split("/")
        or "\0" in name
    }
    metadata = index.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return WeightIndex(
        shards=tuple(sorted(named - outside)),
        outside=tuple(sorted(outside)),
        total_size=positive(metadata.get("total_size")),
        total_parameters=positive(metadata.get("total_parameters")),
    )
