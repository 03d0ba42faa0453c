"""The name of a model: that of its file or folder, or of what surrounds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

#: Names that programs and people give to any model, lowercase, with ``-`` for ``_`` and blanks.
_NOTHING = frozenset(
    {
        "", ".", "model", "models", "my-model", "the-model", "llm", "data", "weights", "weight",
        "latest", "current", "final", "final-model", "best", "best-model", "last", "last-model",
        "main", "master", "default", "base-model", "new", "old", "tmp", "temp", "test", "untitled",
        "output", "outputs", "export", "exported", "exports", "result", "results", "release",
        "converted", "merged", "merged-model", "trained-model", "fine-tuned", "finetuned",
        "checkpoint", "checkpoints", "ckpt", "ckpts", "snapshot", "snapshots", "pretrained",
        "pretrained-models", "artifacts", "artifact", "assets", "resources", "resource", "static",
        "files", "file", "download", "downloads", "lib", "src", "bin", "dist", "build", "package",
        "ggml-model", "gguf-model", "pytorch-model", "onnx-model", "tf-model", "flax-model",
        "rust-model", "openvino-model", "saved-model", "diffusion-pytorch-model", "adapter-model",
        "pytorch-lora-weights", "adapter", "lora", "consolidated", "network", "net",
        "gguf", "ggml", "onnx", "safetensors", "pytorch", "tensorflow", "openvino", "coreml",
        "unsloth", "original", "quantized", "fp16", "fp32", "f16", "f32", "bf16", "fp8", "int8",
        "int4", "4bit", "8bit", "hf", "transformers", "bert-model", "lightning-logs", "mlruns",
        "runs", "wandb", "tb-logs", "logs", "experiments",
    }
)  # fmt: skip

_VERSION = re.compile(
    r"(?:v|ver|version|rev|epoch|step|iter|global-step|checkpoint|run|trial|exp)?-?"
    r"\d[\d.]*(?:-?(?:rc|beta|alpha)\d*)?"
)
#: Digests, commits, keys: hexadecimal with a digit, or the random words of a store.
_RANDOM = re.compile(
    r"(?:sha256-)?[0-9a-f]{20,64}|(?=.*\d)[0-9a-f]{10,19}|"
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=(?:.*\d){2})[a-z2-7]{16}"
)
#: How far a training was: ``epoch=9-step=1000``.
_TRAINED = re.compile(
    r"(?:(?:global-)?(?:step|epoch|iter)s?[=-]?\d+[-,]?|(?:val-)?(?:loss|acc)[=-]?\d+(?:\.\d+)?[-,]?)+"
)
#: Of nothing but words for a file's place in a training: ``checkpoint-final``, ``model-best-2``.
_PLACE = re.compile(
    r"(?:(?:model|checkpoint|ckpt|best|final|last|latest|weights?|fold|epoch|state|dict|ema|net|"
    r"network|pytorch|v?\d{1,6})(?:-|$))+"
)
_PRECISION = re.compile(r"(?:ud-)?i?q\d(?:-[a-z0-9]+)*")
_CACHED = re.compile(r"models--(?P<owner>.+?)--(?P<name>.+)")

#: The longest title of a card that is a name, and words that start one which is none.
MAX_TITLE = 60
_HEADING = re.compile(
    r"^(?:model\s+card(?:\s+for)?|introduction|overview|about|readme|usage|table of contents|"
    r"model\s+(?:details|description|summary)|license|welcome)\b:?\s*",
    re.IGNORECASE,
)


def says_nothing(name: str) -> bool:
    """Whether any model could be called so: ``model``, ``latest``, a version, a commit."""
    plain = re.sub(r"[\s_]+", "-", name.strip().lower())
    return plain in _NOTHING or any(
        each.fullmatch(plain) for each in (_VERSION, _RANDOM, _TRAINED, _PLACE, _PRECISION)
    )


def decoded(name: str) -> str:
    """The name of a folder as its repository spells it.

    The Hub writes ``models--org--name``, ModelScope ``Qwen2___5``.
    """
    if match := _CACHED.fullmatch(name):
        return f"{match['owner']}/{match['name']}"
    return name.replace("___", ".")


def best(own: str, around: Sequence[str], title: Callable[[], str | None]) -> str:
    """The decoded name ``own`` if it says something, else the card's title or a name around it."""
    if not says_nothing(own):
        return decoded(own)
    told = _HEADING.sub("", (title() or "").strip()).strip("`*_ ")
    if told and len(told) <= MAX_TITLE and not says_nothing(told) and told.count(" ") < 6:
        return told
    telling = (name for name in around if not says_nothing(name))
    keys = (name for name in around if _RANDOM.fullmatch(name.lower()))  # of a run, at least
    return decoded(next(telling, None) or next(keys, own))


def around(path: str, root: str) -> list[str]:
    """Names of the folders that contain ``path``, the nearest first, up to the root's own."""
    folders = [] if path == "." else path.split("/")[:-1]
    return [*reversed(folders), root.rstrip("/").rpartition("/")[2]]
