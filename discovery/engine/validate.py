"""The checks of the contract (section 4.6) by what a scan has read: headers and names, no weights.

Each is passed, a warning, failed or skipped, with a sentence that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from discovery.engine.completeness import naming, own_name
from discovery.engine.files import read_file
from discovery.engine.paths import to_text
from discovery.engine.pointed import UNREAD
from discovery.engine.sidecars import tokenizer
from discovery.engine.text import human_bytes, plural
from discovery.engine.types import Found, ModelType, Problem, Severity, Status

#: In the contract's order.
CHECKS = (
    "path_readable", "config_present", "config_parses", "weights_present", "shards_complete", "header_parses", "size_matches_header",
    "tensor_bounds", "dtype_known", "tokenizer_present", "tokenizer_matches_vocab", "pickle_safe", "no_remote_code", "external_data_inside",
    "license_present", "naming_convention", "card_present", "checksum",
)  # fmt: skip


class Outcome(StrEnum):
    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """``path`` is relative to the root; empty where no single file is meant."""

    name: str
    status: Outcome
    message: str
    path: str = ""


#: Problem codes that a check is about.
_CODES = {
    "path_readable": ("file_unreadable", "folder_unreadable", "link_dangling", "not_a_file", "internal_error"),
    "config_parses": ("config_invalid", "config_wrong_type", "config_contradicts", "sidecar_invalid", "index_invalid", "metadata_invalid"),
    "weights_present": ("weights_missing", "lfs_pointer", "file_empty", "blob_missing", "file_missing"),
    "shards_complete": ("shards_missing", "tensors_missing", "external_data_missing"),
    "header_parses": (
        "invalid_header", "not_this_format", "invalid_pickle", "opset_missing", "root_model_missing", "unknown_layout", "trailing_data",
        "format_unknown",
    ),
    "size_matches_header": ("truncated",),
    "tensor_bounds": ("tensor_bounds", "tensor_invalid", "external_data_invalid"),
    "dtype_known": ("unknown_tensor_type", "dtype_unknown"),
    "pickle_safe": ("unsafe_pickle", "unsafe_import", "pickle_in_disguise", "archive_tampered", "archive_unchecked", "unknown_import"),
    "no_remote_code": (
        "remote_code", "lambda_layer", "python_op", "file_op", "unsafe_template", "odd_template", "torchscript_code", "graph_unchecked",
    ),
    "external_data_inside": ("external_data_outside", "index_outside", "link_leaves_root"),
}  # fmt: skip
#: What other checks say; errors that none is about (plugins bring codes of their own) are the header's.
_ELSEWHERE = frozenset(
    code for name, codes in _CODES.items() if name != "header_parses" for code in codes
)

#: Checks that say nothing about files whose format no reader knows.
_NEED_A_READER = frozenset(
    {
        "shards_complete",
        "size_matches_header",
        "tensor_bounds",
        "dtype_known",
        "pickle_safe",
        "external_data_inside",
    }
)

#: Which file tells a program how to build a model of this type.
_CONFIGS = {
    ModelType.TRANSFORMERS: ("config.json",), ModelType.SENTENCE_TRANSFORMERS: ("config.json", "modules.json"), ModelType.MLX: ("config.json",),
    ModelType.DIFFUSERS: ("model_index.json", "config.json"), ModelType.PEFT: ("adapter_config.json",),
}  # fmt: skip
_TOKENIZED = frozenset({ModelType.TRANSFORMERS, ModelType.SENTENCE_TRANSFORMERS, ModelType.MLX})
_TOKENIZERS = frozenset({
    "tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer_config.json", "tekken.json",
    "source.spm", "target.spm",
})  # fmt: skip
_KNOWS_ITS_SIZE = frozenset({"safetensors", "gguf", "ggml", "onnx", "pytorch"})
_PICKLES = frozenset({"pytorch", "nemo"})


class _Facts:
    """What the checks ask of a model."""

    def __init__(self, found: Found, tokenizer_size: int | None) -> None:
        self.found = found
        self.tokenizer_size = tokenizer_size
        self.names = {entry.name for entry in found.files}
        self.type = self.value("type")
        self.formats = {variant.format for variant in found.variants}

    def value(self, name: str) -> Any:
        return self.found.values[name].value if name in self.found.values else None

    def problems(self, check: str) -> list[Problem]:
        told = [problem for problem in self.found.problems if problem.code in _CODES[check]]
        if check != "header_parses":
            return told
        return told + [
            p
            for p in self.found.problems
            if p.severity is Severity.ERROR and p.code not in _ELSEWHERE and p not in told
        ]

    @property
    def is_unread(self) -> bool:
        """There is no weight file, or a header of theirs that nothing can be compared with."""
        return not self.found.variants or any(
            problem.severity is Severity.ERROR for problem in self.problems("header_parses")
        )


def checks(found: Found, tokenizer_size: int | None = None) -> tuple[Check, ...]:
    """All checks, in the contract's order. ``tokenizer_size`` (see :func:`tokenizer_size`) is not read by scans."""
    facts = _Facts(found, tokenizer_size)
    if found.status is Status.REMOTE:
        return tuple(
            _CHECKERS[name](facts, name)
            if name == "license_present"
            else _unasked(name, "another server runs it")
            for name in CHECKS
        )
    unread = any(problem.code == "format_unknown" for problem in found.problems)
    return tuple(
        _unasked(name, UNREAD)
        if unread and name in _NEED_A_READER
        else _CHECKERS[name](facts, name)
        for name in CHECKS
    )


def _unasked(name: str, reason: str) -> Check:
    return Check(name, Outcome.SKIPPED, reason)


def is_valid(told: Sequence[Mapping[str, Any]]) -> bool:
    """False exactly when a check failed."""
    return all(check["status"] != Outcome.FAILED for check in told)


def as_json(told: Sequence[Check]) -> list[dict[str, Any]]:
    return [
        {
            "name": c.name,
            "status": c.status.value,
            "message": to_text(c.message),
            "path": to_text(c.path),
        }
        for c in told
    ]


def content(found: Found) -> str:
    """Changes with any name, size or time of the model's files; stays when the model moves. 32 hexadecimal digits.

    Its metadata.json is left out: nothing runs it, and what people write about a model does not change the model.
    """
    prefix = f"{found.path}/"
    files = [(entry.path.removeprefix(prefix), entry) for entry in found.files]
    lines = sorted(
        f"{name}|{entry.size}|{entry.mtime_ns}" for name, entry in files if name != "metadata.json"
    )
    return blake2b("\n".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def tokenizer_size(root: str, found: Found) -> int | None:
    """Entries of the model's ``tokenizer.json``, added tokens included; ``None`` without one that can be read. Reads the file."""
    entries = [entry for entry in found.files if entry.name == "tokenizer.json"]
    if not entries:
        return None
    nearest = min(entries, key=lambda entry: (entry.path.count("/"), entry.path))
    try:
        return tokenizer.vocabulary_size(read_file(root, nearest, tokenizer.MAX_BYTES + 1))
    except OSError:
        return None  # that it cannot be read is the business of path_readable


# -- one function a check


def _by_problems(facts: _Facts, name: str, passed: str) -> Check:
    """The first problem speaks, errors before warnings; without one the check has passed."""
    told = sorted(facts.problems(name), key=lambda problem: problem.severity is not Severity.ERROR)
    if not told:
        return Check(name, Outcome.PASSED, passed)
    first = told[0]
    more = (
        f" ({plural(len(told) - 1, 'more problem', 'more problems')} of this kind)"
        if len(told) > 1
        else ""
    )
    outcome = Outcome.FAILED if first.severity is Severity.ERROR else Outcome.WARNING
    return Check(name, outcome, first.message + more, first.path)


def _path_readable(facts: _Facts, name: str) -> Check:
    return _by_problems(facts, name, f"{plural(len(facts.found.files), 'file')}, all readable")


def _config_present(facts: _Facts, name: str) -> Check:
    wanted = _CONFIGS.get(facts.type)
    if wanted is None:
        return Check(
            name,
            Outcome.SKIPPED,
            "models of this kind carry their configuration in the weight file",
        )
    present = next((each for each in wanted if each in facts.names), None)
    if present:
        return Check(name, Outcome.PASSED, f"{present} is there")
    if facts.type in (ModelType.DIFFUSERS, ModelType.PEFT) and facts.found.variants:
        return Check(
            name,
            Outcome.WARNING,
            f"there is no {wanted[0]}: programs that load a single file can do without",
        )
    return Check(
        name,
        Outcome.FAILED,
        f"{wanted[0]} is missing: download it into the model's folder",
        facts.found.path,
    )


def _config_parses(facts: _Facts, name: str) -> Check:
    if not any(entry.endswith(".json") for entry in facts.names):
        return Check(name, Outcome.SKIPPED, "there is no configuration file")
    return _by_problems(facts, name, "the configuration files are valid")


def _weights_present(facts: _Facts, name: str) -> Check:
    if not facts.found.variants and not facts.problems(name):
        return Check(
            name,
            Outcome.FAILED,
            "there are no weight files: download them into the model's folder",
            facts.found.path,
        )
    count = sum(len(variant.files) for variant in facts.found.variants)
    return _by_problems(
        facts, name, f"{plural(count, 'weight file')}, {human_bytes(facts.found.size_bytes)}"
    )


def _shards_complete(facts: _Facts, name: str) -> Check:
    most = max((len(variant.files) for variant in facts.found.variants), default=0)
    if most < 2 and not facts.problems(name):
        return Check(name, Outcome.SKIPPED, "the weights are in one file")
    return _by_problems(facts, name, f"all {most:,} parts are there")


def _header_parses(facts: _Facts, name: str) -> Check:
    if not facts.found.variants:
        return Check(name, Outcome.SKIPPED, "there is no weight file to read")
    return _by_problems(facts, name, f"the headers are valid ({', '.join(sorted(facts.formats))})")


def _size_matches_header(facts: _Facts, name: str) -> Check:
    if facts.problems(name):
        return _by_problems(facts, name, "")
    if not facts.formats & _KNOWS_ITS_SIZE:
        return Check(name, Outcome.SKIPPED, "the format does not say how long a file should be")
    if facts.is_unread:
        return Check(name, Outcome.SKIPPED, "the header could not be read")
    return Check(name, Outcome.PASSED, "the files are as long as their headers say")


def _tensor_bounds(facts: _Facts, name: str) -> Check:
    if facts.problems(name):
        return _by_problems(facts, name, "")
    if facts.is_unread:
        return Check(name, Outcome.SKIPPED, "there is no header to follow")
    cut = facts.problems("size_matches_header")
    if cut:
        return Check(
            name,
            Outcome.FAILED,
            f"tensors lie beyond the end of the file: {cut[0].message}",
            cut[0].path,
        )
    if not facts.formats & _KNOWS_ITS_SIZE:
        return Check(name, Outcome.SKIPPED, "the format keeps no places of tensors")
    return Check(name, Outcome.PASSED, "every tensor lies inside its file")


def _dtype_known(facts: _Facts, name: str) -> Check:
    if not facts.found.variants:
        return Check(name, Outcome.SKIPPED, "there are no weights")
    first = facts.found.variants[0]
    kind = first.quantization or first.dtype
    if facts.problems(name):
        return _by_problems(facts, name, "")
    if kind:
        return Check(name, Outcome.PASSED, f"the weights are {kind}")
    return Check(name, Outcome.SKIPPED, "the format does not tell the type of its weights")


def _tokenizer_present(facts: _Facts, name: str) -> Check:
    if facts.type not in _TOKENIZED or "TEXT" not in (
        facts.value("input_modalities") or facts.value("modalities") or []
    ):
        return Check(name, Outcome.SKIPPED, "it needs no tokenizer file")
    present = next(
        (
            each
            for each in sorted(facts.names)
            if each in _TOKENIZERS or each.endswith((".tiktoken", ".spm"))
        ),
        None,
    )
    if present:
        return Check(name, Outcome.PASSED, f"{present} is there")
    return Check(
        name,
        Outcome.WARNING,
        "there is no tokenizer: download its files into the model's folder",
        facts.found.path,
    )


def _tokenizer_matches_vocab(facts: _Facts, name: str) -> Check:
    size, rows = facts.tokenizer_size, facts.value("vocab_size")
    if size is None or not rows:
        what = (
            "there is no tokenizer.json to compare"
            if "tokenizer.json" not in facts.names
            else "scans do not open the tokenizer: validate to compare"
        )
        return Check(
            name,
            Outcome.SKIPPED,
            what if size is None else "the model's vocabulary size is not known",
        )
    if size > rows:
        text = f"tokenizer.json has {size:,} entries, the model has room for {rows:,}: some tokens would be out of its reach"
        return Check(name, Outcome.WARNING, text, facts.found.path)
    return Check(name, Outcome.PASSED, f"{size:,} tokens fit the {rows:,} of the model")


def _pickle_safe(facts: _Facts, name: str) -> Check:
    if not facts.formats & _PICKLES and not facts.problems(name):
        return Check(name, Outcome.SKIPPED, "there are no pickles")
    return _by_problems(facts, name, "loading its pickles runs no code but PyTorch's own")


def _no_remote_code(facts: _Facts, name: str) -> Check:
    return _by_problems(facts, name, "loading it runs no code of its own")


def _external_data_inside(facts: _Facts, name: str) -> Check:
    if "onnx" not in facts.formats and not facts.problems(name):
        return Check(name, Outcome.SKIPPED, "it refers to no other files")
    return _by_problems(facts, name, "it refers to no file outside its folder")


def _license_present(facts: _Facts, name: str) -> Check:
    if told := facts.value("license"):
        return Check(name, Outcome.PASSED, f"the license is {told}")
    return Check(
        name,
        Outcome.WARNING,
        "nothing says under which license it may be used: set the license, or add it to README.md or metadata.json",
    )


def _naming_convention(facts: _Facts, name: str) -> Check:
    own = own_name(facts.found.path) if facts.found.path != "." else facts.found.name
    if own is None:
        return Check(name, Outcome.SKIPPED, "its name is given by the store that it lies in")
    advice = naming(own, facts.value("parameter_count"))
    if advice is None:
        return Check(name, Outcome.PASSED, f"{own} follows the convention")
    better = f": {advice.better} would" if advice.better else ""
    return Check(name, Outcome.WARNING, f"{advice.reason}{better or ': add it'}", facts.found.path)


def _card_present(facts: _Facts, name: str) -> Check:
    if any(entry.lower() == "readme.md" for entry in facts.names):
        return _card(facts, name)
    return Check(
        name,
        Outcome.WARNING,
        "there is no README.md that says what it is for and where it comes from",
        facts.found.path,
    )


def _card(facts: _Facts, name: str) -> Check:
    broken = next(
        (problem for problem in facts.found.problems if problem.code == "card_invalid"), None
    )
    return (
        Check(name, Outcome.WARNING, broken.message, broken.path)
        if broken
        else Check(name, Outcome.PASSED, "README.md is there")
    )


def _checksum(_facts: _Facts, name: str) -> Check:
    return Check(
        name, Outcome.SKIPPED, "its bytes have not been read: validate deeply to compare them"
    )


_CHECKERS: dict[str, Callable[[_Facts, str], Check]] = {
    "path_readable": _path_readable, "config_present": _config_present, "config_parses": _config_parses, "weights_present": _weights_present,
    "shards_complete": _shards_complete, "header_parses": _header_parses, "size_matches_header": _size_matches_header,
    "tensor_bounds": _tensor_bounds, "dtype_known": _dtype_known, "tokenizer_present": _tokenizer_present,
    "tokenizer_matches_vocab": _tokenizer_matches_vocab, "pickle_safe": _pickle_safe, "no_remote_code": _no_remote_code,
    "external_data_inside": _external_data_inside, "license_present": _license_present, "naming_convention": _naming_convention,
    "card_present": _card_present, "checksum": _checksum,
}  # fmt: skip
