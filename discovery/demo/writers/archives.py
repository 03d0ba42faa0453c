"""Writes formats that are an archive or a container: Keras 3, HDF5, NVIDIA NeMo."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import pack
from typing import Any

from discovery.demo.writers.sparse import write_pieces, write_sparse

#: The smallest file with a group.
HDF5_BYTES = 800


def write_keras(
    path: Path,
    layers: Sequence[str] = ("InputLayer", "Dense", "Dense"),
    *,
    name: str = "functional",
    weights: int = 4096,
    version: str = "3.5.0",
) -> None:
    """Write a ``.keras`` archive.

    ``layers`` are class names, ``weights`` the number of bytes of its HDF5 member.
    """
    serialized: list[dict[str, Any]] = [
        {
            "module": "keras.layers",
            "class_name": kind,
            "config": {"name": f"{kind.lower()}_{number}", "dtype": "float32"},
            "registered_name": None,
        }
        for number, kind in enumerate(layers)
    ]
    config = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {"name": name, "layers": serialized},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "metadata.json",
            json.dumps({"keras_version": version, "date_saved": "2024-09-18@10:21:44"}),
        )
        archive.writestr("config.json", json.dumps(config))
        archive.writestr(
            "model.weights.h5",
            _hdf5_head(max(weights, HDF5_BYTES)) + bytes(max(weights - HDF5_BYTES, 0)),
        )


def write_hdf5(path: Path, length: int = 4096) -> None:
    """An HDF5 file with an empty root group, as long as its superblock says."""
    write_sparse(path, _hdf5_head(max(length, HDF5_BYTES)), length)


def _hdf5_head(length: int) -> bytes:
    """Superblock version 0, then the root group: object header, B-tree and heap, all empty."""
    undefined = (1 << 64) - 1
    header, tree, heap, names = 96, 136, 680, 712
    block = b"\x89HDF\r\n\x1a\n" + bytes((0, 0, 0, 0, 0, 8, 8, 0)) + pack("<HHI", 4, 16, 0)
    block += pack("<4Q", 0, undefined, length, undefined) + pack("<QQII16x", 0, header, 0, 0)
    block += pack("<BBHII4x", 1, 0, 1, 1, 24) + pack("<HHB3xQQ", 0x11, 16, 0, tree, heap)
    block += pack("<4sBBHQQ", b"TREE", 0, 0, 0, undefined, undefined) + bytes(heap - tree - 24)
    return (
        block
        + pack("<4sB3xQQQ", b"HEAP", 0, HDF5_BYTES - names, 8, names)
        + pack("<8xQQ", 1, HDF5_BYTES - names - 8)
        + bytes(64)
    )


def write_nemo(
    path: Path, config: Mapping[str, object], *, weights: int = 1 << 20, compressed: bool = False
) -> None:
    """``config`` becomes the top level of model_config.yaml.

    A compressed archive holds its weights for real: keep them small.
    """
    text = "".join(f"{key}: {value}\n" for key, value in config.items()).encode()
    tail = -weights % 512 + 1024
    pieces: list[bytes | int] = [
        _tar_header("./", 0, tarfile.DIRTYPE),
        _tar_header("./model_config.yaml", len(text)),
        text + bytes(-len(text) % 512),
    ]
    pieces += [_tar_header("./model_weights.ckpt", weights), weights, bytes(tail)]
    if compressed:
        data = b"".join(bytes(piece) if isinstance(piece, int) else piece for piece in pieces)
        pieces = [gzip.compress(data, mtime=0)]
    write_pieces(path, pieces)


def _tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.USTAR_FORMAT)
