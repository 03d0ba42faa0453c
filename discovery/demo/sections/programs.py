"""Models of the demo tree for programs other than Transformers and llama.cpp.

There is a small one in each of their formats.
"""

from __future__ import annotations

from pathlib import Path

from discovery.demo.writers import checkpoints, devices, vectors
from discovery.demo.writers.cards import DemoCard, write_card
from discovery.demo.writers.gguf import write_gguf


def write_language(root: Path) -> None:
    folder = root / "lid-176"
    vectors.write_fasttext(folder / "model.bin", words=400, labels=176, width=16, buckets=2_000)
    write_card(folder, DemoCard(
        "Which of 176 languages is it",
        "Tells the language of a sentence in a tenth of a millisecond.",
        license="cc-by-sa-3.0", tags=("fasttext", "language-identification"),
        pipeline_tag="text-classification", library="fasttext", language=(),
    ))  # fmt: skip
    vectors.write_word2vec(root / "word2vec/news-100.bin", words=2_000, width=100)
    vectors.write_spacy(root / "en_core_tiny-3.7.0")
    gguf = root / "tiny.gguf"
    write_gguf(gguf, {"general.architecture": "llama"}, [("token_embd.weight", "F32", (8, 4))])
    devices.write_llamafile(root / "llamafile/tiny.llamafile", gguf.read_bytes())
    gguf.unlink()
    devices.write_mediapipe(root / "on-device/gemma-tiny.litertlm")
    checkpoints.write_mlc(root / "tiny-llama-q4f16_1-MLC")
    layers = {f"layers.{number}.attention.wq.weight": (64, 64) for number in range(2)}
    checkpoints.write_npz(root / "tiny-mlx/weights.npz", layers)
    checkpoints.write_torch_dcp(root / "tiny-pretrained-dcp", layers)


def write_tables(root: Path) -> None:
    """What boosts trees and fits curves."""
    vectors.write_xgboost(root / "credit-risk.ubj", features=23, trees=400)
    vectors.write_lightgbm(root / "churn-gbm.txt", trees=100)
    vectors.write_catboost(root / "click-through.cbm", size=40_000)
    vectors.write_sklearn(root / "housing-prices.joblib")
    vectors.write_skops(root / "iris.skops")


def write_audio(root: Path) -> None:
    vectors.write_vosk(root / "vosk-model-small-en-us-0.15")
    devices.write_torchscript(root / "voice-activity.jit")


def write_vision(root: Path) -> None:
    devices.write_ncnn(root / "ncnn/upscale-x4.param")
    devices.write_mnn(root / "mnn/detector.mnn")
    devices.write_rknn(root / "rknn/detector-rk3588.rknn")
    devices.write_tfjs(root / "digits-tfjs")
    devices.write_paddle(root / "text-detector/inference.pdiparams", program="inference.pdmodel")
    devices.write_caffe(root / "caffe/tiny-net.caffemodel")
    devices.write_darknet(root / "darknet/tiny-yolo.weights", floats=4_000)
    devices.write_dlib(root / "dlib/shape_predictor_68_face_landmarks.dat")
    devices.write_executorch(root / "executorch/classifier.pte", segments=64)
    devices.write_torch_export(root / "exported/classifier.pt2")
    devices.write_torchserve(root / "served/digits.mar")
    vectors.write_traineddata(root / "tesseract/eng.traineddata")
