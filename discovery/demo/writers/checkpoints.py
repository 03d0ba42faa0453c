"""Write small checkpoints of arrays and checkpoints that are split into several files.

These are NumPy's, MLC's, and PyTorch's distributed ones.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]


def write_npz(path: Path, shapes: Shapes) -> None:
    """Arrays of zeros, as ``numpy.savez`` writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, shape in shapes.items():
            told = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
            line = told.ljust(117).encode() + b"\n"
            head = b"\x93NUMPY\x01\0" + len(line).to_bytes(2, "little") + line
            archive.writestr(f"{name}.npy", head + bytes(4 * prod(shape)))


def write_mlc(folder: Path, *, shards: int = 2) -> None:
    """A model of 128 parameters, packed to 4 bits, in shards of a tensor each."""
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(shards):
        tensors = [
            {"name": f"layers.{number}.q_weight", "shape": [2, 4], "dtype": "uint32",
             "format": "f32-to-bf16", "nbytes": 32, "byteOffset": 0},
            {"name": f"layers.{number}.q_scale", "shape": [2, 1], "dtype": "float16",
             "format": "f32-to-bf16", "nbytes": 4, "byteOffset": 32},
        ]  # fmt: skip
        path = f"params_shard_{number}.bin"
        (folder / path).write_bytes(bytes(36))
        records.append({"dataPath": path, "format": "raw-shard", "nbytes": 36, "records": tensors})
    bits = {"ParamSize": shards, "ParamBytes": 36.0 * shards, "BitsPerParam": 4.5}
    (folder / "ndarray-cache.json").write_text(json.dumps({"metadata": bits, "records": records}))
    config = {
        "model_type": "llama", "quantization": "q4f16_1", "context_window_size": 4096,
        "vocab_size": 100, "model_config": {"hidden_size": 8, "num_hidden_layers": 2},
    }  # fmt: skip
    (folder / "mlc-chat-config.json").write_text(json.dumps(config))


def write_torch_dcp(folder: Path, shapes: Shapes) -> None:
    """As ``torch.distributed.checkpoint.save`` writes it: several archives in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = _text("state_dict_metadata") + b"}(" + b"".join(_entries(shapes)) + b"u"
    root = _object("Metadata", b"}(" + listed + b"u")
    (folder / ".metadata").write_bytes(b"\x80\x02" + root + b".")
    with (folder / "__0_0.distcp").open("wb") as file:
        for name in shapes:
            one = io.BytesIO()
            with zipfile.ZipFile(one, "w") as archive:
                archive.writestr(f"archive/{len(name)}", bytes(64))
            file.write(one.getvalue())


def _entries(shapes: Shapes) -> Iterator[bytes]:
    for name, shape in shapes.items():
        layout = b"ctorch.distributed.checkpoint.metadata\n_MEM_FORMAT_ENCODING\nK\x00\x85R"
        properties = _object("TensorProperties", b"(ctorch\nbfloat16\n" + layout + b"t")
        sides = b"".join(b"M" + side.to_bytes(2, "little") for side in shape)
        size = b"ctorch\nSize\n((" + sides + b"ttR"
        state = b"}(" + _text("properties") + properties + _text("size") + size + b"u"
        yield _text(name) + _object("TensorStorageMetadata", state)


def _text(text: str) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


def _object(name: str, state: bytes) -> bytes:
    module = b"ctorch.distributed.checkpoint.metadata\n"
    return module + name.encode() + b"\n)\x81" + state + b"b"
