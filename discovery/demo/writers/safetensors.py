"""Writes safetensors files: one, or shards with their index.

Source: https://huggingface.co/docs/safetensors (format section).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from discovery.demo.writers.sparse import TensorSpec, tensor_bytes, write_json, write_sparse


def write_safetensors(
    path: Path, tensors: Sequence[TensorSpec], metadata: Mapping[str, str] | None = None
) -> None:
    """A valid file with a hole for data, in the order given."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata is not None else {}
    position = 0
    for name, dtype, shape in tensors:
        end = position + tensor_bytes(dtype, shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    write_sparse(path, len(text).to_bytes(8, "little") + text, 8 + len(text) + position)


def write_safetensors_shards(
    folder: Path,
    tensors: Sequence[TensorSpec],
    shards: int,
    *,
    stem: str = "model",
    metadata: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write safetensors in one file or in shards, and return the weight files.

    The names are ``stem.safetensors``, or ``stem-00001-of-0000N.safetensors`` with
    ``stem.safetensors.index.json``.
    """
    shards = min(shards, len(tensors))
    if shards <= 1:
        write_safetensors(folder / f"{stem}.safetensors", tensors, metadata)
        return [folder / f"{stem}.safetensors"]
    weight_map: dict[str, str] = {}
    paths: list[Path] = []
    for number, part in enumerate(split(tensors, shards), start=1):
        path = folder / f"{stem}-{number:05d}-of-{shards:05d}.safetensors"
        write_safetensors(path, part, metadata)
        weight_map |= {name: path.name for name, _, _ in part}
        paths.append(path)
    total = sum(tensor_bytes(dtype, shape) for _, dtype, shape in tensors)
    write_json(
        folder / f"{stem}.safetensors.index.json",
        {"metadata": {"total_size": total}, "weight_map": weight_map},
    )
    return paths


def split(tensors: Sequence[TensorSpec], shards: int) -> list[list[TensorSpec]]:
    """Split the tensors into ``shards`` runs of about the same number of bytes.

    Every run has a tensor while there are enough of them.
    """
    left = sum(tensor_bytes(dtype, shape) for _, dtype, shape in tensors)
    parts: list[list[TensorSpec]] = [[]]
    held = 0
    for index, tensor in enumerate(tensors):
        wanted = shards - len(parts)  # shards not begun yet
        if parts[-1] and wanted and (held * (wanted + 1) >= left or len(tensors) - index <= wanted):
            parts.append([])
            left, held = left - held, 0
        parts[-1].append(tensor)
        held += tensor_bytes(tensor[1], tensor[2])
    return parts
