"""Write small files for programs that run models on devices, in browsers and on servers.

These are TorchScript, ExecuTorch, ncnn, MNN, RKNN, TensorFlow.js, PaddlePaddle, Caffe, Darknet,
dlib, MediaPipe, llamafile and compiled Core ML.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from struct import pack

from discovery.demo.writers.tflite import write_tflite


def write_torchscript(path: Path) -> None:
    """Write a TorchScript program without weights, which is recognized by its code."""
    _zip(
        path,
        {
            "m/data.pkl": b"\x80\x02c__torch__\nNet\n)\x81}X\x08\0\0\0training\x89sb.",
            "m/code/__torch__.py": b"class Net(Module):\n  training : bool\n",
            "m/constants.pkl": b"\x80\x02).",
            "m/version": b"3\n",
        },
    )


def write_torch_export(path: Path, *, native: bool = False) -> None:
    members = {
        "m/archive_format": b"pt2",
        "m/models/model.json": b'{"graph_module": {}}',
        "m/data/weights/weight_0": bytes(16),
        "m/version": b"1",
    }
    _zip(path, members | ({"m/data/aotinductor/model/m.so": b"\x7fELF"} if native else {}))


def write_torchserve(path: Path, *, handler: bool = True, weights: bool = True) -> None:
    manifest = {
        "runtime": "python",
        "model": {
            "modelName": "digits",
            "modelVersion": "1.0",
            "serializedFile": "digits.safetensors",
            "handler": "handler.py" if handler else "image_classifier",
        },
    }
    members = {"MAR-INF/MANIFEST.json": json.dumps(manifest).encode()}
    if handler:
        members["handler.py"] = b"class Handler: ...\n"
    if weights:
        members["digits.safetensors"] = bytes(64)
    _zip(path, members)


def write_executorch(path: Path, *, segments: int = 0) -> None:
    program = 96
    extended = b"eh00" + pack("<I3Q", 32, program, program if segments else 0, segments)
    data = pack("<I", 48) + b"ET12" + extended
    _write(path, data + bytes(program - len(data)) + bytes(segments))


def write_ncnn(path: Path, *, channels: int = 3) -> None:
    """Write an ncnn model: ``path`` ends in ``.param``; the weights are in the same folder."""
    weights = 16 * channels * 9
    text = (
        f"7767517\n2 2\nInput in0 0 1 in0\n"
        f"Convolution conv0 1 1 in0 out0 0=16 1=3 5=1 6={weights}\n"
    )
    _write(path, text.encode())
    _write(path.with_suffix(".bin"), bytes(4 * (weights + 17)))


def write_mnn(path: Path) -> None:
    """A net of one operator over one tensor."""
    data = pack("<I", 24)
    data += pack("<10H", 20, 12, 0, 0, 0, 4, 0, 0, 0, 8)  # what the net has: fields 3 and 7
    data += pack("<i2I", 20, 8, 12)  # the net at 24: its operators at 36, its names at 44
    data += pack("<2I", 1, 28) + pack("<2I", 1, 44)  # the operator at 68, the name at 92
    data += pack("<8H", 16, 12, 0, 0, 0, 4, 0, 8)  # what the operator has: fields 3 and 5
    data += pack("<i2I", 16, 8, 9)  # the operator: its name at 80, its type
    data += pack("<I", 4) + b"conv" + bytes(4) + pack("<I", 5) + b"input" + bytes(3)
    _write(path, data)


def write_rknn(path: Path) -> None:
    _write(path, b"RKNN\0\0\0\0" + pack("<2Q", 6, 64) + bytes(64))


def write_tfjs(folder: Path, *, shards: int = 2) -> None:
    names = [f"group1-shard{number}of{shards}.bin" for number in range(1, shards + 1)]
    weights = [
        {"name": "conv/kernel", "shape": [3, 3, 3, 8], "dtype": "float32"},
        {"name": "conv/bias", "shape": [8], "dtype": "float32"},
    ]
    document = {
        "format": "graph-model",
        "generatedBy": "2.15.0",
        "convertedBy": "TensorFlow.js Converter v4",
        "modelTopology": {},
        "weightsManifest": [{"paths": names, "weights": weights}],
    }
    _write(folder / "model.json", json.dumps(document).encode())
    for name in names:
        _write(folder / name, bytes(4 * (216 + 8) // shards))


def write_tfjs_manifest(path: Path) -> None:
    """``…-weights_manifest.json`` and its ``.bin``, as face-api.js keeps them."""
    stem = path.name.removesuffix("-weights_manifest.json")
    quantized = {"dtype": "uint8", "scale": 0.1, "min": -1.0}
    weights = [{"name": "w", "shape": [4, 4], "dtype": "float32", "quantization": quantized}]
    _write(path, json.dumps([{"weights": weights, "paths": [f"{stem}.bin"]}]).encode())
    _write(path.with_name(f"{stem}.bin"), bytes(16))


def write_paddle(path: Path, *, program: str = "") -> None:
    """Write a Paddle model: ``path`` ends in ``.pdiparams``; ``program`` names the program file."""
    tensor = _message(1, 5) + _bytes(2, b"\x04") + b""
    data = bytes(16) + pack("<I", len(tensor)) + tensor + bytes(16)
    _write(path, data * 2)
    if program.endswith(".json"):
        _write(path.with_name(program), b'{"base_code":{"magic":"pir","version":1},"program":{}}')
    elif program:
        _write(path.with_name(program), _paddle_program())


def _paddle_program() -> bytes:
    def variable(name: str, sides: tuple[int, ...], *, kept: bool) -> bytes:
        shape = _message(1, 5) + b"".join(_message(2, side & (1 << 64) - 1) for side in sides)
        kind = _message(1, 7) + _bytes(3, _bytes(1, shape))
        return _bytes(3, _bytes(1, name.encode()) + _bytes(2, kind) + _message(3, int(kept)))

    block = b"\x08\0\x10" + b"\xff" * 9 + b"\x01"
    block += variable("a_image", (-1, 3, 224, 224), kept=False)
    block += variable("w_0", (4, 3), kept=True) + _bytes(4, _bytes(3, b"mul"))
    return _bytes(1, block) + _bytes(4, _message(1, 0))


def write_caffe(path: Path) -> None:
    shape = _bytes(7, _bytes(1, b"\x02\x03"))
    blob = shape + _bytes(5, bytes(24))
    layer = _bytes(1, b"conv1") + _bytes(2, b"Convolution") + _bytes(7, blob)
    _write(path, _bytes(1, b"TinyNet") + _bytes(100, layer))


def write_darknet(path: Path, *, floats: int = 20) -> None:
    _write(path, pack("<3iQ", 0, 2, 5, 32_000) + pack("<f", 0.5) * floats)


def write_dlib(path: Path) -> None:
    """The start of a shape predictor of 68 points."""
    _write(path, b"\x01\x01\x81\x88\x81\x01" + bytes(400))


def write_mediapipe(path: Path) -> None:
    """``path`` ends in ``.task`` or ``.litertlm``."""
    if path.suffix == ".litertlm":
        _write(path, b"LITERTLM" + pack("<4IQ", 1, 3, 0, 0, 64) + bytes(64))
        return
    part = path.with_suffix(".tflite")
    ports = [("image", "F32", (1, 8, 8, 3))], [("hands", "F32", (1, 4))]
    write_tflite(part, [("conv", "F32", (4, 3, 3, 3))], *ports)
    model = part.read_bytes()
    part.unlink()
    inner = path.with_suffix(".inner")
    _zip(inner, {"landmarks.tflite": model})
    bundle = inner.read_bytes()
    inner.unlink()
    _zip(path, {"hand_detector.tflite": model, "hand_landmarker.task": bundle})


def write_llamafile(path: Path, gguf: bytes) -> None:
    _zip(path, {"tiny.gguf": gguf, ".args": b"-m\ntiny.gguf\n"}, before=b"MZqFpD='\n" + bytes(64))


def write_mlmodelc(folder: Path) -> None:
    """A compiled Core ML model, with a description, a program and weights."""
    told = {
        "metadataOutputVersion": "3.0",
        "storagePrecision": "Float16",
        "modelType": {"name": "MLModelType_mlProgram"},
        "inputSchema": [{"name": "melspectrogram_features", "shape": "[1, 80, 1, 3000]"}],
        "outputSchema": [],
    }
    _write(folder / "metadata.json", json.dumps([told]).encode())
    _write(folder / "model.mil", b"program(1.0)\n")
    _write(folder / "coremldata.bin", bytes(100))
    _write(folder / "analytics" / "coremldata.bin", bytes(100))
    _write(folder / "weights" / "weight.bin", bytes(256))


def _message(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def _zip(path: Path, members: Mapping[str, bytes], before: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a" if before else "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
