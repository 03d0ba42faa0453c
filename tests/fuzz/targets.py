"""Everything that reads bytes which somebody else wrote: what to call with them, and files to begin
with.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from discovery.engine import formats
from discovery.engine.archives.archives import Inspector
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.parameters import count_parameters
from discovery.engine.core.types import Tensor
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
    gguf,
    joblib,
    kaldi,
    keras,
    lightgbm,
    llamafile,
    mediapipe,
    mlc,
    mnn,
    ncnn,
    nemo,
    numpy,
    onnx,
    openvino,
    paddle,
    pytorch,
    rknn,
    safetensors,
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
from discovery.engine.integrity import checksum_lists
from discovery.engine.memory import shape_from_config
from discovery.engine.pickles.pickles import Scanner
from discovery.engine.sidecars import (
    adapter,
    card,
    json_file,
    lfs,
    license_file,
    metadata_json,
    model_config,
    model_shape,
    native_config,
    quantization,
    tokenizer,
    weight_index,
)
from discovery.engine.untrusted import chat_templates
from tests.engine import cases
from tests.support import builders

#: Larger seeds are left out: mutations of small files meet more of the reader.
MAX_SEED = 1 << 16


@dataclass(frozen=True, slots=True)
class Target:
    """``read`` may raise what is in ``may_raise`` and nothing else.

    ``write`` makes seeds in a folder; files of ``shared`` with one of the ``names`` are seeds too.
    """

    read: Callable[[bytes], object]
    write: Callable[[Path], object]
    names: tuple[str, ...] = ()
    may_raise: tuple[type[Exception], ...] = ()


def seeds(target: Target, folder: Path, shared: Path | None = None) -> list[bytes]:
    """The target's own files and, where there is one, those of the shared folder (``hostile/``
    generated, ``corpus/models``).
    """
    folder.mkdir(parents=True)
    target.write(folder)
    places = [folder, *([shared] if shared else [])]
    paths = [
        path
        for place in places
        for path in sorted(place.rglob("*"))
        if place == folder or _is_named(path, target.names)
    ]
    found = [
        path.read_bytes()
        for path in paths
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_SEED
    ]
    if not found:
        raise ValueError("there is nothing to begin with")
    return list(dict.fromkeys(found))


def _is_named(path: Path, names: Sequence[str]) -> bool:
    return path.name in names or path.suffix in names


def _format(module: ModuleType) -> Callable[[bytes], object]:
    return lambda data: module.read(io.BytesIO(data), len(data))


def _any_format(data: bytes) -> None:
    """As the walk would call them: by suffix and first bytes."""
    for suffix in ("safetensors", "gguf", "onnx", "bin", "pt", "pb", "h5", "npz", "json"):
        try:
            formats.read(io.BytesIO(data), len(data), f"x.{suffix}", data[:4096])
        except (NotThisFormat, InvalidHeader):
            continue


def _pickles(data: bytes) -> None:
    scanner = Scanner(io.BytesIO(data), len(data))
    while not scanner.at_end:
        scanner.load()
    scanner.problems()


def _archive(name: str) -> Callable[[bytes], object]:
    return lambda data: Inspector().look(io.BytesIO(data), len(data), name)


def _json(*readers: Callable[[dict[str, object]], object]) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        parsed = json_file.parse_object(data)
        for reader in readers if isinstance(parsed.data, dict) else ():
            reader(parsed.data)

    return read


_PACKED = [
    Tensor("m.weight", "U32", (8, 4), 0, 0), Tensor("m.scales", "BF16", (8, 1), 0, 0),
    Tensor("n.weight_packed", "I32", (8, 4), 0, 0), Tensor("n.weight_scale", "BF16", (8, 1), 0, 0),
]  # fmt: skip


def _counted(config: dict[str, object]) -> int:
    return count_parameters(_PACKED, quantization.read(config))


def _template(data: bytes) -> object:
    return chat_templates.oddities(data.decode("utf-8", "replace"))


def _card(data: bytes) -> None:
    card.read(data)
    card.prose(data)
    card.has_front_matter(data)


def _written(*made: str) -> Callable[[Path], object]:
    """Cases of the tests for formats that are recognized by structure."""

    def write(folder: Path) -> None:
        for case in made:
            (folder / f"{case}.bin").write_bytes(cases.build(case, folder / f"{case}.d"))
            _remove_larger(folder)

    return write


def _remove_larger(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.parent != folder:
            path.unlink()


def _sidecar(**documents: object) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        for name, document in documents.items():
            (folder / f"{name}.json").write_text(json.dumps(document))

    return write


def _texts(*texts: str) -> Callable[[Path], object]:
    return lambda folder: [
        (folder / str(number)).write_text(text) for number, text in enumerate(texts)
    ]


def _safetensors(folder: Path) -> None:
    builders.safetensors(folder / "a.safetensors", cases.TENSORS, {"format": "pt"})


def _gguf(folder: Path) -> None:
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "tokenizer.ggml.tokens": ["a", "b"],
        "general.alignment": 32,
    }
    for version in (1, 2, 3):
        builders.gguf(folder / f"{version}.gguf", metadata, [("w", "F32", (4, 2))], version=version)


def _onnx(folder: Path) -> None:
    builders.onnx(folder / "a.onnx", cases.TENSORS, *cases.PORTS)
    builders.onnx(folder / "b.onnx", cases.TENSORS, *cases.PORTS, external="b.data")


def _torch(folder: Path) -> None:
    builders.torch_zip(folder / "a.pt", cases.TENSORS)
    builders.torch_legacy(folder / "b.pt", cases.TENSORS)
    builders.pickle_with_import(folder / "c.pkl", "os", "system")


def _llamafile(folder: Path) -> None:
    _gguf(folder)
    builders.llamafile(folder / "m.llamafile", (folder / "3.gguf").read_bytes())


def _archives(folder: Path) -> None:
    _torch(folder)
    builders.keras(folder / "m.keras")
    builders.nemo(folder / "m.nemo", {"target": "x"}, weights=700)
    builders.nemo(folder / "g.nemo", {"target": "x"}, weights=700, compressed=True)


def _tensorrt(folder: Path) -> None:
    builders.tensorrt(folder / "m.engine", 100)
    told = b'{"task": "detect", "license": "AGPL-3.0"}'
    plan = (folder / "m.engine").read_bytes()
    (folder / "p.engine").write_bytes(len(told).to_bytes(4, "little") + told + plan)


_CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": [4, 2], "vocab_size": 100, "max_position_embeddings": 128,
    "rope_scaling": {"type": "yarn", "factor": 4.0},
    "torch_dtype": "bfloat16", "quantization_config": {"quant_method": "gptq", "bits": 4},
    "text_config": {"hidden_size": 8, "layer_types": ["full"]},
}  # fmt: skip
_LORA = {"base_model_name_or_path": "x/y", "peft_type": "LORA", "r": 8}
_METADATA = {"tags": ["x"], "custom": {"a": [1, {"b": None}]}, "context_length": 4, "type": "PEFT"}
_INDEX = {
    "metadata": {"total_size": 1.5},
    "weight_map": {"w": "a-00001-of-00002.safetensors", "v": "../x"},
}
_TOKENIZER = {"added_tokens": [{"id": 3}], "model": {"vocab": {"a": 0, "b": 1}, "merges": ["a b"]}}
_LICENSE = (
    "Attribution-NonCommercial-ShareAlike 4.0 International\n"
    "SPDX-License-Identifier: CC-BY-NC-SA-4.0\n"
    "Apache License Version 2.0, January 2004\nPermission is hereby granted, free of charge, to"
    " any person obtaining a copy\nRedistribution and use in source and binary forms"
)
_CARD = (
    "---\nlicense: mit\ntags:\n- a\nmodel-index:\n- name: x\n  results: []\n---\n# T\n\nProse"
    " [l](x).\n\n- use\n"
)
_TEMPLATE = (
    "{% for m in messages %}{{ m['content'] | trim }}{% endfor %}{# c #}{{ ''.__class__ }}{{"
    " range(10 * 9) }}{% raw %}{{ x }}{% endraw %}"
)
_HEADER = (NotThisFormat, InvalidHeader)

TARGETS: dict[str, Target] = {
    "safetensors": Target(_format(safetensors), _safetensors, (".safetensors",), _HEADER),
    "gguf": Target(_format(gguf), _gguf, (".gguf",), _HEADER),
    "ggml": Target(_format(ggml), _written("ggml llama", "ggmf", "ggjt", "ggla"), (), _HEADER),
    "onnx": Target(_format(onnx), _onnx, (".onnx",), _HEADER),
    "pytorch": Target(_format(pytorch), _torch, (".pt", ".pkl"), _HEADER),
    "openvino": Target(_format(openvino), _written("openvino"), (), _HEADER),
    "tensorflow": Target(_format(tensorflow), _written("savedmodel", "variables"), (), _HEADER),
    "keras": Target(_format(keras), _written("keras", "hdf5"), (".keras",), _HEADER),
    "tflite": Target(_format(tflite), _written("tflite"), (), _HEADER),
    "flax": Target(_format(flax), _written("flax", "flax in chunks"), (), _HEADER),
    "coreml": Target(_format(coreml), _written("mlmodel", "mlpackage", "mlmodelc"), (), _HEADER),
    "ctranslate2": Target(_format(ctranslate2), _written("ctranslate2"), (), _HEADER),
    "nemo": Target(_format(nemo), _written("nemo", "nemo gzip"), (), _HEADER),
    "tensorrt": Target(_format(tensorrt), _tensorrt, (), _HEADER),
    "caffe": Target(_format(caffe), _written("caffe"), (), _HEADER),
    "catboost": Target(_format(catboost), _written("catboost"), (), _HEADER),
    "darknet": Target(_format(darknet), _written("darknet"), (), _HEADER),
    "dlib": Target(_format(dlib), _written("dlib"), (), _HEADER),
    "executorch": Target(_format(executorch), _written("executorch"), (), _HEADER),
    "fasttext": Target(_format(fasttext),
        _written("fasttext", "fasttext without a magic", "fasttext packed"), (), _HEADER),
    "joblib": Target(_format(joblib), _written("sklearn"), (), _HEADER),
    "kaldi": Target(_format(kaldi), _written("kaldi"), (), _HEADER),
    "lightgbm": Target(_format(lightgbm), _written("lightgbm"), (), _HEADER),
    "llamafile": Target(_format(llamafile), _llamafile, (), _HEADER),
    "mediapipe": Target(_format(mediapipe), _written("mediapipe", "litertlm"), (), _HEADER),
    "mlc": Target(_format(mlc), _written("mlc"), (), _HEADER),
    "mnn": Target(_format(mnn), _written("mnn"), (), _HEADER),
    "ncnn": Target(_format(ncnn), _written("ncnn"), (), _HEADER),
    "numpy": Target(_format(numpy), _written("npz"), (), _HEADER),
    "paddle": Target(_format(paddle),
        _written("paddle", "paddle parameters", "paddle pir"), (), _HEADER),
    "rknn": Target(_format(rknn), _written("rknn"), (), _HEADER),
    "skops": Target(_format(skops), _written("skops"), (), _HEADER),
    "spacy": Target(_format(spacy), _written("spacy"), (), _HEADER),
    "tesseract": Target(_format(tesseract), _written("tesseract"), (), _HEADER),
    "tfjs": Target(_format(tfjs), _written("tfjs", "tfjs manifest"), (), _HEADER),
    "torch_dcp": Target(_format(torch_dcp), _written("distributed checkpoint"), (), _HEADER),
    "torch_export": Target(_format(torch_export), _written("torch export"), (), _HEADER),
    "torchscript": Target(_format(torchscript), _written("torchscript"), (), _HEADER),
    "torchserve": Target(_format(torchserve), _written("torchserve"), (), _HEADER),
    "word2vec": Target(_format(word2vec), _written("word2vec", "word2vec text"), (), _HEADER),
    "xgboost": Target(_format(xgboost), _written("xgboost", "xgboost ubj"), (), _HEADER),
    "any-format": Target(_any_format, _archives,
        (".safetensors", ".gguf", ".onnx", ".pt", ".keras")),
    "pickles": Target(_pickles, _torch, (".pkl",), (InvalidHeader,)),
    "archive-pt": Target(_archive("x.pt"), _archives, (".pt", ".pkl", ".keras")),
    "archive-tar": Target(_archive("x.tar.gz"), _archives, (".pt", ".keras")),
    "archive-npz": Target(_archive("x.joblib"), _archives, (".pt", ".pkl")),
    "config": Target(
        _json(
            model_config.fields, model_config.looks_like_model, model_config.quantization,
            model_config.experts, model_config.odd_fields,
            model_shape.parameters, shape_from_config,
        ),
        _sidecar(**{
            kind: {**_CONFIG, "model_type": kind, "d_model": 8, "encoder_layers": 2}
            for kind in ("llama", "whisper", "bert", "wav2vec2")
        }),
        ("config.json",),
    ),
    "native-config": Target(
        _json(*native_config.READERS.values(), _counted),
        _sidecar(
            params={"dim": 8, "n_layers": 2, "vision_encoder": {}, "moe": {"num_experts": 4}},
            genai={"model": {"type": "phi3", "decoder": {"hidden_size": 8}, "vision": {}}},
            clip={"model_cfg": {"vision_cfg": {"width": 8}, "text_cfg": {"layers": 2}}},
            packed={
                "quant_method": "quark", "bits": 4, "m": {"group_size": 32},
                "config_groups": {"a": {"weights": {"num_bits": 2, "group_size": 32}}},
                "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}},
                "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}},
            },
        ),
        ("params.json", "genai_config.json", "open_clip_config.json", "quantize_config.json"),
    ),
    "adapter": Target(_json(adapter.fields), _sidecar(a=_LORA), ("adapter_config.json",)),
    "metadata": Target(_json(metadata_json.fields), _sidecar(a=_METADATA), ("metadata.json",)),
    "weight-index": Target(
        _json(weight_index.read), _sidecar(a=_INDEX),
        ("model.safetensors.index.json", "pytorch_model.bin.index.json")
    ),
    "tokenizer": Target(
        lambda data: (tokenizer.vocabulary_size(data), _json(tokenizer.fields)(data)),
        _sidecar(a=_TOKENIZER, b={"model": {"vocab": [["a", 0.1]]}}, c={"model_max_length": 1e30}),
        ("tokenizer.json", "tokenizer_config.json"),
    ),
    "card": Target(_card, _texts(_CARD), ("README.md",)),
    "license": Target(license_file.read, _texts(_LICENSE), ("LICENSE", "COPYING")),
    "lfs": Target(lfs.read,
        _texts(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12\n")),
    "checksum-list": Target(
        lambda data: checksum_lists.parse(data, "SHA256SUMS"),
        _texts(f"{'a' * 64}  x\n{'b' * 64} *d/y\nSHA256 (z) = {'c' * 64}\n")
    ),
    "chat-template": Target(_template, _texts(_TEMPLATE)),
}  # fmt: skip
