"""Vision models of the demo tree, in the formats that phones, browsers and cameras use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from discovery.demo.writers.archives import write_hdf5, write_keras
from discovery.demo.writers.cards import DemoCard, write_card
from discovery.demo.writers.folders import diffusers_folder, transformers_folder
from discovery.demo.writers.graphs import Port, write_coreml, write_savedmodel, write_tensorrt
from discovery.demo.writers.onnx import write_onnx
from discovery.demo.writers.sparse import TensorSpec
from discovery.demo.writers.tflite import write_tflite

PICTURE: tuple[Port, ...] = (("input", "F32", (1, 224, 224, 3)),)
CLASSES: tuple[Port, ...] = (("probabilities", "F32", (1, 1000)),)


def write(root: Path) -> None:
    _transformers(root)
    _convolutions(root)
    _devices(root)
    diffusers_folder(
        root / "stable-diffusion-xl-base", channels=(320, 640, 1280), depths=(0, 2, 10), text=2048,
        card=DemoCard(
            "Stable Diffusion XL base 1.0",
            "Latent diffusion for pictures of 1024 by 1024. The base model makes a whole picture; "
            "a refiner can follow.",
            license="openrail++", tags=("text-to-image", "stable-diffusion"),
            pipeline_tag="text-to-image", library="diffusers",
            uses="Illustration, design studies, teaching.",
            limits="Text inside pictures is unreadable and hands need luck.",
        ),
    )  # fmt: skip


def _transformers(root: Path) -> None:
    transformers_folder(
        root / "clip-vit-large", family="clip", layers=12, hidden=768, vocab=49408, context=77,
        dtype="F32",
        card=DemoCard(
            "CLIP ViT-L/14",
            "Puts pictures and sentences into one space, so that a picture can be found by what is "
            "said about it and sorted into classes "
            "nobody trained.",
            license="mit", tags=("vision", "zero-shot-image-classification"),
            pipeline_tag="zero-shot-image-classification",
            scores={"ImageNet zero-shot": 75.5},
        ),
    )  # fmt: skip
    transformers_folder(
        root / "vit-base-patch16-224", family="vit", layers=12, hidden=768, vocab=1000, dtype="F32",
        card=DemoCard(
            "Vision Transformer base, patches of 16",
            "Trained on ImageNet-21k and tuned on ImageNet's 1,000 classes at 224 by 224 pixels.",
            tags=("vision", "image-classification"), pipeline_tag="image-classification",
            language=(), scores={"ImageNet": 81.3},
        ),
    )  # fmt: skip


def _convolutions(root: Path) -> None:
    folder = root / "resnet50-onnx"
    write_onnx(
        folder / "resnet50-v1-12.onnx",
        _resnet50(),
        [("data", "F32", ("N", 3, 224, 224))],
        [("resnetv17_dense0_fwd", "F32", ("N", 1000))],
    )
    write_card(folder, DemoCard(
        "ResNet-50 v1",
        "The residual network that most others are measured against, in one ONNX file.",
        tags=("onnx", "image-classification", "resnet"), pipeline_tag="image-classification",
        library="onnx", language=(), scores={"ImageNet": 74.9},
    ))  # fmt: skip
    folder = root / "efficientnet-b0-keras"
    write_keras(
        folder / "efficientnet_b0.keras",
        [
            "InputLayer",
            "Rescaling",
            *(["Conv2D", "BatchNormalization", "Activation"] * 16),
            "Dense",
        ],
        weights=3 << 20,
    )
    write_card(folder, DemoCard(
        "EfficientNet B0",
        "Keras 3 archive, trained on ImageNet. Five million parameters.",
        tags=("keras", "image-classification"), pipeline_tag="image-classification",
        library="keras", language=(), scores={"ImageNet": 77.1},
    ))  # fmt: skip
    write_hdf5(root / "plant-disease-cnn/plant_disease.h5", 18_874_368)
    variables: list[TensorSpec] = [
        (f"backbone/block_{number}/kernel/.ATTRIBUTES/VARIABLE_VALUE", "F32", (3, 3, 256, 256))
        for number in range(9)
    ]
    folder = root / "deeplab-v3-savedmodel"
    write_savedmodel(
        folder,
        variables,
        [("image", "F32", (1, 513, 513, 3))],
        [("mask", "F32", (1, 513, 513, 21))],
    )
    write_card(folder, DemoCard(
        "DeepLab v3, MobileNet backbone",
        "Tells 20 kinds of things from their background, pixel by pixel, as a TensorFlow "
        "SavedModel with a serving signature.",
        tags=("tensorflow", "image-segmentation"), pipeline_tag="image-segmentation",
        library="tensorflow", language=(),
    ))  # fmt: skip


def _devices(root: Path) -> None:
    folder = root / "mobilenet-v2-tflite"
    quantized: list[TensorSpec] = [
        (f"MobilenetV2/expanded_conv_{number}/weights", "I8", (96 + 32 * number, 3, 3, 16))
        for number in range(17)
    ]
    write_tflite(
        folder / "mobilenet_v2_1.0_224_int8.tflite",
        quantized,
        PICTURE,
        CLASSES,
        description="MobileNet v2, post-training int8",
    )
    write_card(folder, DemoCard(
        "MobileNet v2 for microcontrollers and phones",
        "Eight-bit weights and activations, calibrated on 500 pictures. Four milliseconds a "
        "picture on a phone of 2022.",
        tags=("tflite", "int8", "edge"), pipeline_tag="image-classification", library="tf-lite",
        language=(), scores={"ImageNet": 70.8},
    ))  # fmt: skip
    folder = root / "midas-small-coreml"
    depth: Sequence[Port] = [("depth", "F32", (1, 256, 256))]
    write_coreml(
        folder / "MiDaSSmall.mlpackage",
        [("image", "F32", (1, 3, 256, 256))],
        depth,
        description="Depth from one picture",
        license_name="MIT",
    )
    write_card(folder, DemoCard(
        "MiDaS small for Core ML",
        "Estimates how far away things are from a single picture, on the neural engine of a phone.",
        license="mit", tags=("coreml", "depth-estimation"), pipeline_tag="depth-estimation",
        library="coreml", language=(),
    ))  # fmt: skip
    folder = root / "yolov8n-tensorrt"
    write_tensorrt(folder / "yolov8n_fp16_sm86.engine", 8_912_896)
    write_card(folder, DemoCard(
        "YOLOv8 nano, TensorRT",
        "Built for one kind of GPU (compute capability 8.6) and one release of TensorRT: rebuild "
        "it from the ONNX export elsewhere.",
        license="agpl-3.0", tags=("tensorrt", "object-detection", "fp16"),
        pipeline_tag="object-detection", library="tensorrt", language=(),
        scores={"COCO": 37.3},
    ))  # fmt: skip


def _resnet50() -> list[TensorSpec]:
    """Weights and the four vectors of each batch normalization."""
    shapes: list[tuple[str, tuple[int, ...]]] = []

    def convolution(name: str, outputs: int, inputs: int, kernel: int) -> None:
        shapes.append((f"{name}.weight", (outputs, inputs, kernel, kernel)))
        shapes.extend(
            (f"{name}.bn.{part}", (outputs,))
            for part in ("gamma", "beta", "running_mean", "running_var")
        )

    convolution("conv1", 64, 3, 7)
    inputs = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            base = f"stage{stage}.{block}"
            convolution(f"{base}.conv1", width, inputs, 1)
            convolution(f"{base}.conv2", width, width, 3)
            convolution(f"{base}.conv3", 4 * width, width, 1)
            if not block:
                convolution(f"{base}.downsample", 4 * width, inputs, 1)
            inputs = 4 * width
    shapes += [("fc.weight", (1000, 2048)), ("fc.bias", (1000,))]
    return [(name, "F32", shape) for name, shape in shapes]
