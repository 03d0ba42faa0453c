"""One small file of every format that is recognised by structure, for the tests beside this module."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from discovery.engine.formats import (
    coreml,
    ctranslate2,
    flax,
    ggml,
    keras,
    nemo,
    openvino,
    tensorflow,
    tensorrt,
    tflite,
)
from discovery.engine.types import Header
from tests import builders

TENSORS = [
    ("layer.0.weight", "F32", (4, 3)),
    ("layer.0.bias", "F32", (4,)),
    ("layer.1.weight", "F32", (2, 4)),
]
PORTS = [("x", "F32", (1, 3))], [("y", "F32", (1, 2))]
TINY = builders.Sizes(layers=1, hidden=8, vocab=3)
LLAMA = [(name, "F32", shape) for name, _, shape in builders.tensors("llama", TINY)]
WHISPER = [(f"t{number}", "F32", (2,)) for number in range(11 + 15 + 24)]
LORA = [
    ("layers.0.attention.wq.weight.loraA", "F32", (8, 4)),
    ("layers.0.attention.wq.weight.loraB", "F32", (4, 8)),
]

CASES: dict[str, tuple[ModuleType, Callable[[Path], object], str]] = {
    "openvino": (openvino, lambda p: builders.openvino(p / "m.xml", TENSORS, *PORTS), "m.xml"),
    "savedmodel": (tensorflow, lambda p: builders.savedmodel(p, TENSORS, *PORTS), "saved_model.pb"),
    "variables": (
        tensorflow,
        lambda p: builders.savedmodel(p, TENSORS, *PORTS),
        "variables/variables.index",
    ),
    "keras": (keras, lambda p: builders.keras(p / "m.keras"), "m.keras"),
    "hdf5": (keras, lambda p: builders.hdf5(p / "m.h5", 900), "m.h5"),
    "tflite": (tflite, lambda p: builders.tflite(p / "m.tflite", TENSORS, *PORTS), "m.tflite"),
    "flax": (flax, lambda p: builders.flax(p / "m.msgpack", TENSORS), "m.msgpack"),
    "flax in chunks": (
        flax,
        lambda p: builders.flax(p / "m.msgpack", TENSORS, chunk_bytes=16),
        "m.msgpack",
    ),
    "mlmodel": (
        coreml,
        lambda p: builders.coreml(p / "m.mlmodel", *PORTS, description="Reads digits"),
        "m.mlmodel",
    ),
    "mlpackage": (
        coreml,
        lambda p: builders.coreml(p / "m.mlpackage", *PORTS),
        "m.mlpackage/Manifest.json",
    ),
    "ctranslate2": (
        ctranslate2,
        lambda p: builders.ctranslate2(p / "model.bin", TENSORS, aliases={"a": "layer.0.bias"}),
        "model.bin",
    ),
    "nemo": (
        nemo,
        lambda p: builders.nemo(
            p / "m.nemo", {"target": "nemo.asr.Model", "sample_rate": 16000}, weights=700
        ),
        "m.nemo",
    ),
    "nemo gzip": (
        nemo,
        lambda p: builders.nemo(p / "m.nemo", {"target": "x"}, weights=700, compressed=True),
        "m.nemo",
    ),
    "ggml llama": (
        ggml,
        lambda p: builders.ggml_llama(p / "m.bin", LLAMA, TINY, file_type=0, container="ggml"),
        "m.bin",
    ),
    "ggmf": (
        ggml,
        lambda p: builders.ggml_llama(
            p / "m.bin", LLAMA, TINY, file_type=0, container="ggmf", version=1
        ),
        "m.bin",
    ),
    "ggjt": (ggml, lambda p: builders.ggml_llama(p / "m.bin", LLAMA, TINY, file_type=0), "m.bin"),
    "ggla": (ggml, lambda p: builders.ggml_lora(p / "m.bin", LORA), "m.bin"),
}

MODULES = (coreml, ctranslate2, flax, ggml, keras, nemo, openvino, tensorflow, tensorrt, tflite)


def build(case: str, folder: Path) -> bytes:
    _, write, name = CASES[case]
    write(folder)
    return (folder / name).read_bytes()


def read(module: ModuleType, data: bytes) -> Header:
    header: Header = module.read(io.BytesIO(data), len(data))
    return header
