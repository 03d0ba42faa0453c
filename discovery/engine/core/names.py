"""What file names reveal: the format of a suffix, and the shards, variants and parts of a model.

This module uses names only; the first bytes decide in the end (``formats.read``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from discovery.engine.core import format_registry
from discovery.engine.core.format_registry import SUFFIXES

#: Names whose answer is kept: a walk asks for every file, and many are called alike.
MAX_KNOWN = 10_000

#: Files with a weight suffix that hold none of a model's: optimizer states, random states,
#: tokenizers, the discriminator that a generator was trained against.
_NOT_WEIGHTS = re.compile(
    r"^(training_args|optimizer|scheduler|scaler|rng_state(_\d+)?|random_states_\d+|trainer_state|"
    r"tokenizer|vocab|merges|spiece|"
    r"sentencepiece|events|dataset|cache|index|label_?encoder|voices(?:[-_]v?[\d.]+)?|D_\d+|"
    r".*_optim_states)\.(bin|pt|pth|pkl|pickle|joblib)$|"
    r"\.(idx|vocab)\.bin$|^consolidated\.idx|^\._",
    re.IGNORECASE,
)

#: What trainers keep for themselves, and loaders of weights never open.
_TRAINING = re.compile(
    r"^(training_args|optimizer|scheduler|scaler|rng_state(_\d+)?|random_states_\d+|"
    r"trainer_state)\.(bin|pt|pth|pkl|pickle|json)$",
    re.IGNORECASE,
)

#: Names that libraries give to the weights of the folder they stand in: the folder is the model.
_STANDARD = re.compile(
    r"^(model|pytorch_model|adapter_model|pytorch_lora_weights|diffusion_pytorch_model|tf_model|"
    r"flax_model|rust_model|ggml-model|"
    r"consolidated|encoder_model|decoder_model|decoder_with_past_model|decoder_model_merged|"
    r"openvino_model|variables|weights|"
    r"saved_model|text_model|vision_model|audio_model|embed_tokens|vision_encoder|text_encoder|"
    r"joint|joiner|encoder|decoder|adapters|preprocess|encode|(?:un)?cached_decode|"
    r"language_model|model_quantized|whisper|inference)(?=[._-]|$)",
    re.IGNORECASE,
)

_SHARD = re.compile(
    r"^(?P<stem>.*?)[-_.](?P<number>\d{1,6})[-_]of[-_](?P<total>\d{1,6})(?P<suffix>\.[A-Za-z0-9]+)$"
)
#: Numbered without a total, under a name that libraries give. (Trainers number their epochs with
#: six digits, and under the names of their models.)
_COUNTED = re.compile(
    r"^(?P<stem>model|pytorch_model|diffusion_pytorch_model|adapter_model|output)"
    r"[-_](?P<number>\d{4,5})(?P<suffix>\.(?:safetensors|bin))$"
)
_CONSOLIDATED = re.compile(
    r"^(?P<stem>consolidated)\.(?P<number>\d{2,5})(?P<suffix>\.[A-Za-z0-9]+)$"
)

#: A file for each process that runs the model, counted from zero. (The rank of a LoRA stands at the
#: end of its name too.)
_RANKED = re.compile(
    r"^(?P<stem>(?:.+_tp\d+_)?rank)(?P<number>\d{1,4})(?P<suffix>\.(?:engine|safetensors))$"
)

#: Quantization as written in the names of GGUF files.
QUANTIZATION = re.compile(
    r"(?:^|[-_.])(?P<name>(?:UD[-_])?(?:I2_S|TL[12]|I?Q\d(?:_\d|_K(?:_(?:S|M|L|XL|P))?|_(?:XXS|XS|S|M|"
    r"NL|KSS|KS|KL|KT|BN|KV))?(?:_R\d+|_\d+)*|TQ\d_0|(?:MX|NV)FP4(?:_MOE)?|BF16|F16|F32|FP16|FP32|"
    r"fp8(?:[-_]e[45]m[23](?:fn)?(?:u?z)?)?(?:[-_]scaled)?))(?=$|[-_. ])",
    re.IGNORECASE,
)
_PRECISION = re.compile(
    r"[-_.](fp16|f16|fp32|f32|bf16|fp8(?:[-_]e[45]m[23](?:fn)?(?:u?z)?)?(?:[-_]scaled)?|"
    r"pruned|ema[-_]?only|ema|emaonly|no[-_]?ema|non[-_]?ema|"
    r"quantized|int8|uint8|int4|nf4|nvfp4|q4|q4f16|bnb4|q8)(?=[-_.]|$)",
    re.IGNORECASE,
)

_NUMBER_TYPES = frozenset(("fp16", "f16", "fp32", "f32", "bf16"))

#: Suffixes that many programs give to many things: what is in such a file, only its bytes tell.
_COMMON = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".pb", ".params", ".weights",
     ".model", ".data", ".dat", ".npz", ".json", ".txt", ".zip", ".tar", ".engine", ".plan",
     ".param", ".task", ".vec", ".mar", ".xml", ".th", ".index", ".gz"}
)  # fmt: skip
#: Names that only one library gives to files with such a suffix.
_OWN = re.compile(
    r"^(pytorch_model|adapter_model|pytorch_lora_weights|diffusion_pytorch_model|"
    r"consolidated\.\d+|saved_model)(?=[._-])",
    re.IGNORECASE,
)
#: Suffixes of formats that are text.
_WRITTEN = (".json", ".txt", ".xml", ".vec", ".param", ".model")

#: Sub-folders that belong to the model folder they lie in.
PART_FOLDERS = frozenset(
    {
        "onnx", "openvino", "coreml", "tflite", "tf", "flax", "gguf", "ggml", "original",
        "variables", "assets", "1_pooling", "float16", "float32",
        "fp16", "int8", "tokenizer", "text_encoder", "image_encoder", "vae", "unet", "transformer",
        "scheduler", "adapter", "figures", "images",
        "custom_generate", "additional_chat_templates",
        "metal", "mlx", "bf16", "fp32", "int4", "voices", "speech_tokenizer", "audio_tokenizer",
        "text_encoder_2", "text_encoder_3", "vocoder", "safety_checker", "feature_extractor",
    }
)  # fmt: skip
_NUMBERED_PART = re.compile(r"^\d{1,2}_[A-Z][A-Za-z]+$|^global_step\d+$")
#: What lies in them goes with a model, and is never loaded as one of its variants.
_COMPANIONS = re.compile(r"^(voices|global_step\d+|checkpoint-\d+)$", re.IGNORECASE)
#: What whisper.cpp calls the encoder that Core ML or OpenVINO computes.
_ENCODER = re.compile(r"^(?P<whole>ggml-.+)-encoder(?:-openvino)?$")
#: What programs put behind the name of a file while they download it.
UNFINISHED = frozenset({
    ".aria2", ".part", ".partial", ".crdownload", ".incomplete", ".download", ".downloading",
    ".opdownload", ".fdmdownload", ".!qb", ".bc!", ".xltd", ".td", ".!ut",
})  # fmt: skip
#: A piece of a file that somebody has cut up for the way: ``x.gguf.part1of2``,
#: ``x.gguf-split-a``, ``x.safetensors.001``.
_PIECE = re.compile(
    r"^(?P<whole>.+\.(?:gguf|safetensors|ckpt|pth?|bin|onnx|nemo))"
    r"(?:\.part[-_.]?(?:\d+(?:of\d+)?|[a-z]{1,2})|[-.]split-?[a-z]{1,2}|\.\d{3})$",
    re.IGNORECASE,
)

#: Where downloads lie until they are whole, below the root or a mount in it.
DOWNLOADS = ".karen-downloads"
#: Where the Hub's client notes what it has downloaded to the folder above.
HUB_RECORDS = ".cache/huggingface/download"
#: Folders that never hold models of their own.
NEVER = frozenset(
    {
        ".git", ".svn", ".hg", "__pycache__", ".ipynb_checkpoints", "node_modules", ".venv", "venv",
        ".tox", "site-packages",
        "$recycle.bin", "recycle.bin", "recycler", "lost+found", ".trash", ".trashes",
        "#recycle", "@recycle", "#snapshot", "@eadir", ".@__thumb", ".stversions", ".stfolder",
        "__macosx", ".appledouble", ".spotlight-v100", ".fseventsd", "._____temp",
        ".recycle", ".snapshot", ".snapshots", ".zfs", ".sync", ".dropbox.cache",
        "system volume information", DOWNLOADS,
    }
)  # fmt: skip
_BIN = re.compile(r"^\.trash-\d+$", re.IGNORECASE)
#: Files that file managers leave everywhere.
_LITTER = frozenset({".ds_store", "thumbs.db", "desktop.ini", ".localized"})

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


#: What stands beside weights and says something about them, or serves them.
_DOCUMENTS = frozenset(
    {
        ".md", ".markdown", ".rst", ".txt", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini",
        ".cfg", ".conf", ".xml", ".html", ".css", ".js", ".py", ".ipynb", ".pdf", ".csv", ".tsv",
        ".log", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".jinja", ".sh", ".spm", ".vocab",
        ".tiktoken", ".bpe", ".model", ".lock", ".sha256", ".md5", ".sig", ".proto", ".pbtxt",
        ".prototxt", ".wav", ".mp3", ".flac", ".ogg", ".mp4",
    }
)  # fmt: skip


class Shard(NamedTuple):
    """One file of a sharded set.

    ``stem`` and ``suffix`` name the set; ``number`` counts from 0 or 1 and has ``digits`` digits.
    """

    stem: str
    number: int
    total: int | None
    suffix: str
    digits: int = 5

    @property
    def is_ranked(self) -> bool:
        """Whether each process that runs the model loads a file of its own."""
        return self.total is None and self.stem.endswith("rank")


def weight_format(name: str) -> str | None:
    """The format that the name of a weight file indicates, ``None`` for other files."""
    if known := format_registry.by_name(name):
        return known[0].name
    return format_of_suffix(name)


def format_of_suffix(name: str) -> str | None:
    """The format that the suffix alone indicates."""
    dot = name.rfind(".")
    promised = SUFFIXES.get(name[dot:].lower()) if dot >= 0 else None
    return promised if promised and not _NOT_WEIGHTS.search(name) else None


def is_promise(name: str) -> bool:
    """Whether a file of this name must have the format of its suffix.

    Suffixes that many programs use require nothing.
    """
    dot = name.rfind(".")
    return (dot >= 0 and name[dot:].lower() not in _COMMON) or _OWN.match(name) is not None


def may_be_text(name: str) -> bool:
    """Whether weights of this suffix may be written as text."""
    return name.lower().endswith(_WRITTEN)


def is_training_state(name: str) -> bool:
    """Whether a trainer keeps its settings or its state under this name."""
    return _TRAINING.match(name) is not None


def is_looked_into(name: str) -> bool:
    """Whether a folder that is never a model may contain files of the model next to it."""
    return name in ("__pycache__", ".ipynb_checkpoints") or name.startswith("checkpoint-")


def shard(name: str) -> Shard | None:
    """The place of ``model-00002-of-00007.safetensors`` in its set; ``None`` for other files."""
    if match := _SHARD.match(name):
        number = match["number"]
        return Shard(match["stem"], int(number), int(match["total"]), match["suffix"], len(number))
    if match := _CONSOLIDATED.match(name) or _COUNTED.match(name) or _RANKED.match(name):
        number = match["number"]
        return Shard(match["stem"], int(number), None, match["suffix"], len(number))
    return None


def is_standard(name: str) -> bool:
    """Whether ``name`` is one that a library gives to the weights of a folder."""
    return _STANDARD.match(name) is not None


def is_projector(name: str) -> bool:
    return "mmproj" in name.lower()


def stem(name: str) -> str:
    """``name`` without weight suffix and shard number; dots inside stay:
    ``deepseek-coder-6.7b``.
    """
    if part := shard(name):
        return part.stem
    if (known := format_registry.by_name(name)) and "stem" in known[1].re.groupindex:
        start, end = known[1].span("stem")
        return name[start:end]
    dot = name.rfind(".")
    return (
        name[:dot]
        if dot > 0
        and (name[dot:].lower() in (*SUFFIXES, ".xml") or format_registry.is_like_a_file(name))
        else name
    )


def base_stem(name: str) -> str:
    """The lowercase stem that all variants share, without quantization and precision."""
    text = stem(name)
    if match := None if is_projector(name) else last_quantization(text):
        text = text[: match.start()] + text[match.end() :]
    return _PRECISION.sub("", text).strip("-_. ").lower()


def flavour(name: str) -> frozenset[str]:
    """Words for other weights of the same model and precision: ``ema``, ``pruned``."""
    found = {
        match[1].lower().replace("_", "-").replace("only", "").strip("-")
        for match in _PRECISION.finditer(name)
    }
    return frozenset(found - _NUMBER_TYPES)


def beyond_standard(name: str) -> str:
    """The rest of a stem after a library's standard name and a number type.

    ``-v2`` of ``pytorch_model-v2.fp16.bin``.
    """
    return _PRECISION.sub("", _STANDARD.sub("", stem(name))).lower()


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
    return (
        name.lower() in PART_FOLDERS
        or _NUMBERED_PART.match(name) is not None
        or format_registry.is_like_a_file(name)
    )


def whole_of(stem: str) -> str | None:
    """The stem of the weights that whisper.cpp loads a file of this stem for, in place of the half
    of them that another engine computes faster.
    """
    match = _ENCODER.match(stem)
    return match["whole"] if match else None


def is_companion(name: str) -> bool:
    """Whether a folder of this name holds companions of a model: voices, training states."""
    return _COMPANIONS.match(name) is not None


def is_quantization(name: str) -> bool:
    """Whether a folder is called as a quantization alone: ``Q4_K_M``, ``UD-IQ2_XXS``, ``BF16``."""
    match = QUANTIZATION.match(name)
    return match is not None and match.end() == len(name)


def checkpoint(name: str) -> int | None:
    """500 of ``checkpoint-500``, as trainers call a folder; ``None`` for another name."""
    number = name.removeprefix("checkpoint-")
    return int(number) if number != name and number.isdecimal() and len(number) < 19 else None


def is_of_the_hub(path: str) -> bool:
    """Whether a folder holds the notes of the Hub's client, which are no files of a model."""
    return f"/{path}".endswith(f"/{HUB_RECORDS}")


def never_a_model(name: str) -> bool:
    return is_junk(name) or checkpoint(name) is not None


def is_junk(name: str) -> bool:
    """Whether a folder of this name holds deleted files or a program's private files."""
    return name.lower() in NEVER or _BIN.match(name) is not None


def is_document(name: str) -> bool:
    """Whether the suffix is that of texts, settings, pictures or recordings, never of weights."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in _DOCUMENTS


def is_litter(name: str) -> bool:
    """Whether a file manager leaves files of this name: nobody means anything with them."""
    return name.startswith("._") or name.lower() in _LITTER


@lru_cache(MAX_KNOWN)
def unfinished(name: str) -> str | None:
    """The file whose download is unfinished, according to its name or its neighbor's.

    GPT4All writes ``incomplete-x.gguf``; aria2 writes ``x.gguf.aria2`` next to ``x.gguf``.
    """
    if name.startswith("incomplete-") and weight_format(name) is not None:
        return name
    dot = name.rfind(".")
    return (name[:dot] or None) if name[dot:].lower() in UNFINISHED else None


@lru_cache(MAX_KNOWN)
def piece(name: str) -> str | None:
    """The file that ``name`` is a piece of, to be joined by hand; ``None`` for a whole file."""
    match = _PIECE.match(name)
    return match["whole"] if match else None
