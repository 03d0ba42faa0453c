"""One small file of every format that is recognized by structure, for the tests beside this
module.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from discovery.demo.writers import checkpoints as written
from discovery.engine.core.types import Header
from discovery.engine.formats import (
    caffe,
    catboost,
    coreml,
    ctranslate2,
    darknet,
    dlib,
    executorch,
    fasttext,
    flax,
    ggml,
    joblib,
    kaldi,
    keras,
    lightgbm,
    mediapipe,
    mlc,
    mnn,
    ncnn,
    nemo,
    numpy,
    openvino,
    paddle,
    rknn,
    skops,
    spacy,
    tensorflow,
    tensorrt,
    tesseract,
    tfjs,
    tflite,
    torch_dcp,
    torch_export,
    torchscript,
    torchserve,
    word2vec,
    xgboost,
)
from tests.support import builders, checkpoints

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
    "mlmodelc": (coreml, lambda p: builders.mlmodelc(p / "m.mlmodelc"), "m.mlmodelc/metadata.json"),
    "fasttext": (fasttext, lambda p: builders.fasttext(p / "m.bin"), "m.bin"),
    "fasttext without a magic": (
        fasttext,
        lambda p: builders.fasttext(p / "m.bin", version=None),
        "m.bin",
    ),
    "fasttext packed": (
        fasttext,
        lambda p: builders.fasttext(p / "m.ftz", width=1, packed=True),
        "m.ftz",
    ),
    "word2vec": (word2vec, lambda p: builders.word2vec(p / "m.bin"), "m.bin"),
    "word2vec text": (word2vec, lambda p: builders.word2vec(p / "m.vec", text=True), "m.vec"),
    "xgboost": (xgboost, lambda p: builders.xgboost(p / "model.json"), "model.json"),
    "xgboost ubj": (xgboost, lambda p: builders.xgboost(p / "m.ubj"), "m.ubj"),
    "lightgbm": (lightgbm, lambda p: builders.lightgbm(p / "model.txt"), "model.txt"),
    "catboost": (catboost, lambda p: builders.catboost(p / "m.cbm"), "m.cbm"),
    "sklearn": (joblib, lambda p: builders.sklearn(p / "m.joblib"), "m.joblib"),
    "skops": (skops, lambda p: builders.skops(p / "m.skops"), "m.skops"),
    "spacy": (spacy, lambda p: builders.spacy(p / "m"), "m/meta.json"),
    "kaldi": (kaldi, lambda p: builders.vosk(p / "m"), "m/am/final.mdl"),
    "tesseract": (tesseract, lambda p: builders.traineddata(p / "m.traineddata"), "m.traineddata"),
    "torchscript": (torchscript, lambda p: builders.torchscript(p / "m.jit"), "m.jit"),
    "torch export": (torch_export, lambda p: builders.torch_export(p / "m.pt2"), "m.pt2"),
    "torchserve": (torchserve, lambda p: builders.torchserve(p / "m.mar"), "m.mar"),
    "executorch": (executorch, lambda p: builders.executorch(p / "m.pte", segments=32), "m.pte"),
    "ncnn": (ncnn, lambda p: builders.ncnn(p / "m.param"), "m.param"),
    "mnn": (mnn, lambda p: builders.mnn(p / "m.mnn"), "m.mnn"),
    "rknn": (rknn, lambda p: builders.rknn(p / "m.rknn"), "m.rknn"),
    "tfjs": (tfjs, lambda p: builders.tfjs(p / "m"), "m/model.json"),
    "tfjs manifest": (
        tfjs,
        lambda p: builders.tfjs_manifest(p / "m-weights_manifest.json"),
        "m-weights_manifest.json",
    ),
    "paddle": (
        paddle,
        lambda p: builders.paddle(p / "m.pdiparams", program="m.pdmodel"),
        "m.pdmodel",
    ),
    "paddle parameters": (paddle, lambda p: builders.paddle(p / "m.pdiparams"), "m.pdiparams"),
    "paddle pir": (
        paddle,
        lambda p: builders.paddle(p / "m.pdiparams", program="inference.json"),
        "inference.json",
    ),
    "caffe": (caffe, lambda p: builders.caffe(p / "m.caffemodel"), "m.caffemodel"),
    "darknet": (darknet, lambda p: builders.darknet(p / "m.weights"), "m.weights"),
    "dlib": (dlib, lambda p: builders.dlib(p / "predictor.dat"), "predictor.dat"),
    "mediapipe": (mediapipe, lambda p: builders.mediapipe(p / "m.task"), "m.task"),
    "mlc": (mlc, lambda p: written.write_mlc(p / "m"), "m/ndarray-cache.json"),
    "npz": (numpy, lambda p: checkpoints.npz(p / "m.npz", {"layer.0": (4, 3)}), "m.npz"),
    "distributed checkpoint": (
        torch_dcp,
        lambda p: written.write_torch_dcp(p / "m", {"layer.0": (4, 3)}),
        "m/.metadata",
    ),
    "litertlm": (mediapipe, lambda p: builders.mediapipe(p / "m.litertlm"), "m.litertlm"),
}

#: What a sound file of a kind is said to do all the same.
NOTICES = {
    "sklearn": {"known_import"},
    "torchscript": {"torchscript_code"},
    "torchserve": {"remote_code"},
}
#: Nothing in them says where they end, or only where they end at the earliest.
OPEN_ENDED = {
    "word2vec", "word2vec text", "lightgbm", "kaldi", "tesseract", "rknn", "mnn", "dlib", "darknet",
    "litertlm", "ncnn", "mlmodelc", "paddle", "paddle parameters",
}  # fmt: skip

MODULES = (
    caffe,
    catboost,
    coreml,
    ctranslate2,
    darknet,
    dlib,
    executorch,
    fasttext,
    flax,
    ggml,
    kaldi,
    keras,
    lightgbm,
    mediapipe,
    mlc,
    mnn,
    ncnn,
    nemo,
    numpy,
    openvino,
    rknn,
    skops,
    spacy,
    tensorflow,
    tensorrt,
    tesseract,
    tfjs,
    tflite,
    torch_dcp,
    torch_export,
    torchserve,
    word2vec,
    xgboost,
)


def build(case: str, folder: Path) -> bytes:
    _, write, name = CASES[case]
    write(folder)
    return (folder / name).read_bytes()


def read(module: ModuleType, data: bytes) -> Header:
    header: Header = module.read(io.BytesIO(data), len(data))
    return header
