"""What file names tell: which format a suffix promises, which files are one model's shards, variants and parts.

Only names are looked at here; the first bytes have the last word (``formats.sniff``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Suffix → format, for files that hold weights.
WEIGHT_SUFFIXES = {
    ".safetensors": "safetensors", ".gguf": "gguf", ".ggml": "ggml", ".onnx": "onnx", ".ort": "onnx",
    ".bin": "pytorch", ".pt": "pytorch", ".pth": "pytorch", ".ckpt": "pytorch", ".pkl": "pytorch", ".pickle": "pytorch", ".joblib": "pytorch",
    ".h5": "tensorflow", ".keras": "keras", ".tflite": "tflite", ".msgpack": "flax", ".mlmodel": "coreml", ".nemo": "nemo",
    ".engine": "tensorrt", ".plan": "tensorrt", ".trt": "tensorrt", ".ot": "rust",
}  # fmt: skip

#: What ``supported_formats`` may call them besides their own names.
FORMAT_ALIASES = {
    "bin": "pytorch",
    "pt": "pytorch",
    "pth": "pytorch",
    "ckpt": "pytorch",
    "h5": "tensorflow",
    "pb": "tensorflow",
    "msgpack": "flax",
}

#: Files with a weight suffix that hold none: optimizer states, random states, tokenizers.
_NOT_WEIGHTS = re.compile(
    r"^(training_args|optimizer|scheduler|scaler|rng_state(_\d+)?|random_states_\d+|trainer_state|tokenizer|vocab|merges|spiece|"
    r"sentencepiece|events|dataset|cache|index|label_?encoder)\.(bin|pt|pth|pkl|pickle|joblib)$|\.(idx|vocab)\.bin$|^consolidated\.idx",
    re.IGNORECASE,
)

#: Names that libraries give to the weights of the folder they stand in: the folder is the model.
_STANDARD = re.compile(
    r"^(model|pytorch_model|adapter_model|pytorch_lora_weights|diffusion_pytorch_model|tf_model|flax_model|rust_model|ggml-model|"
    r"consolidated|encoder_model|decoder_model|decoder_with_past_model|decoder_model_merged|openvino_model|variables|weights|"
    r"saved_model|text_model|vision_model|audio_model|embed_tokens|vision_encoder|text_encoder|joint|encoder|decoder|"
    r"language_model|model_quantized|whisper)(?=[._-]|$)",
    re.IGNORECASE,
)

_SHARD = re.compile(
    r"^(?P<stem>.*?)[-_.](?P<number>\d{5,6})[-_]of[-_](?P<total>\d{5,6})(?P<suffix>\.[A-Za-z0-9]+)$"
)
_CONSOLIDATED = re.compile(
    r"^(?P<stem>consolidated)\.(?P<number>\d{2,5})(?P<suffix>\.[A-Za-z0-9]+)$"
)

#: Quantization as written in the names of GGUF files.
QUANTIZATION = re.compile(
    r"(?:^|[-_.])(?P<name>(?:UD[-_])?(?:I?Q\d(?:_\d|_K(?:_(?:S|M|L|XL|P))?|_(?:XXS|XS|S|M|NL))?(?:_\d+)*|TQ\d_0|MXFP4(?:_MOE)?|BF16|F16|F32|FP16|FP32|fp8))(?=$|[-_.])",
    re.IGNORECASE,
)
_PRECISION = re.compile(
    r"[-_.](fp16|f16|fp32|f32|bf16|fp8|fp8_e4m3fn|fp8_e5m2|pruned|ema[-_]?only|ema|emaonly|no[-_]?ema|non[-_]?ema|"
    r"quantized|int8|uint8|q4|q4f16|bnb4|q8)(?=[-_.]|$)",
    re.IGNORECASE,
)

#: Sub-folders that belong to the model folder they lie in.
PART_FOLDERS = frozenset(
    {
        "onnx", "openvino", "coreml", "tflite", "tf", "flax", "gguf", "ggml", "original", "variables", "assets", "1_pooling", "float16", "float32",
        "fp16", "int8", "tokenizer", "text_encoder", "image_encoder", "vae", "unet", "transformer", "scheduler", "adapter", "figures", "images",
    }
)  # fmt: skip
_NUMBERED_PART = re.compile(r"^\d{1,2}_[A-Z][A-Za-z]+$")

#: Folders that never hold models of their own.
NEVER = frozenset(
    {
        ".git", ".svn", ".hg", "__pycache__", ".ipynb_checkpoints", "node_modules", ".venv", "venv", ".tox", "site-packages",
        "$recycle.bin", "lost+found", ".trash",
    }
)  # fmt: skip

#: Files that mark a folder as a model's, or say something about the model in it.
MARKERS = frozenset(
    (
        "model_index.json",
        "modules.json",
        "adapter_config.json",
        "config.json",
        "saved_model.pb",
        "params.json",
    )
)
SIDECARS = frozenset(
    (
        "README.md",
        "metadata.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "generation_config.json",
        "preprocessor_config.json",
        *MARKERS,
    )
)


class Shard(NamedTuple):
    """A file of a set: ``stem`` and ``suffix`` name the set, ``number`` counts from 1 (0 for ``consolidated``)."""

    stem: str
    number: int
    total: int | None
    suffix: str


def weight_format(name: str) -> str | None:
    """The format a weight file's name promises, ``None`` for other files."""
    dot = name.rfind(".")
    promised = WEIGHT_SUFFIXES.get(name[dot:].lower()) if dot >= 0 else None
    return promised if promised and not _NOT_WEIGHTS.search(name) else None


def shard(name: str) -> Shard | None:
    """The place of ``model-00002-of-00007.safetensors`` in its set, ``None`` for a file that stands alone."""
    if match := _SHARD.match(name):
        return Shard(match["stem"], int(match["number"]), int(match["total"]), match["suffix"])
    if match := _CONSOLIDATED.match(name):
        return Shard(match["stem"], int(match["number"]), None, match["suffix"])
    return None


def is_standard(name: str) -> bool:
    """Whether ``name`` is one that a library gives to the weights of a folder."""
    return _STANDARD.match(name) is not None


def is_projector(name: str) -> bool:
    return "mmproj" in name.lower()


def stem(name: str) -> str:
    """``name`` without weight suffix and shard number; dots inside stay: ``deepseek-coder-6.7b``."""
    if part := shard(name):
        return part.stem
    dot = name.rfind(".")
    return (
        name[:dot]
        if dot > 0 and name[dot:].lower() in (*WEIGHT_SUFFIXES, ".xml", ".mlpackage")
        else name
    )


def base_stem(name: str) -> str:
    """What the variants of a model have in common: the stem without quantization and precision, lowercase."""
    text = stem(name)
    if match := None if is_projector(name) else last_quantization(text):
        text = text[: match.start()] + text[match.end() :]
    return _PRECISION.sub("", text).strip("-_. ").lower()


def quantization(name: str) -> str | None:
    """``Q4_K_M`` of ``mistral-7b.Q4_K_M.gguf``."""
    match = last_quantization(stem(name))
    return match["name"].upper() if match else None


def last_quantization(text: str) -> re.Match[str] | None:
    return max(QUANTIZATION.finditer(text), key=lambda match: match.start(), default=None)


def precision(name: str) -> str | None:
    """``fp16`` of ``diffusion_pytorch_model.fp16.safetensors``."""
    match = _PRECISION.search(stem(name))
    return match[1].lower() if match else None


def is_part_folder(name: str) -> bool:
    return name.lower() in PART_FOLDERS or _NUMBERED_PART.match(name) is not None


def never_a_model(name: str) -> bool:
    return name.lower() in NEVER or (name.startswith("checkpoint-") and name[11:].isdecimal())
