"""One model in a folder of its own: Transformers, Diffusers, adapters, sentence-transformers, ONNX exports, bare weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from discovery.engine import clue_readers, gguf_models, names, remote_code, weights
from discovery.engine.errors import NotAModel
from discovery.engine.estimate import unread_parameters
from discovery.engine.folder import Folder
from discovery.engine.found import Merge, build, variant
from discovery.engine.gguf_models import GGUFModel
from discovery.engine.header_fields import (
    gguf_fields,
    is_adapter,
    safetensors_fields,
    weight_fields,
)
from discovery.engine.parameters import active_parameters
from discovery.engine.sidecar_fields import (
    add_card,
    add_config,
    add_generation_config,
    add_metadata_json,
    add_tokenizer,
)
from discovery.engine.sidecars import adapter, json_file, model_config, model_shape
from discovery.engine.types import (
    Candidate,
    FileEntry,
    Found,
    ModelType,
    Problem,
    Severity,
    Status,
    Variant,
)
from discovery.engine.weight_sets import weight_sets
from discovery.engine.weights import WeightFile, WeightSet

#: The order in which formats speak for a model that has several.
FORMAT_ORDER = (
    "safetensors", "gguf", "pytorch", "onnx", "openvino", "ctranslate2", "coreml", "tensorflow", "keras", "tflite", "flax", "nemo",
    "tensorrt", "ggml", "rust",
)  # fmt: skip

_TYPES = {
    "gguf": ModelType.LLAMA_CPP, "ggml": ModelType.LLAMA_CPP, "onnx": ModelType.ONNX, "openvino": ModelType.OPENVINO,
    "tensorflow": ModelType.TENSORFLOW, "keras": ModelType.TENSORFLOW, "tflite": ModelType.TFLITE, "coreml": ModelType.COREML,
    "ctranslate2": ModelType.CTRANSLATE2, "tensorrt": ModelType.TENSORRT, "nemo": ModelType.PYTORCH, "pytorch": ModelType.PYTORCH,
    "safetensors": ModelType.PYTORCH,
}  # fmt: skip

#: Words that only the config of a model holds, for configs too broken to parse.
_CONFIG_WORDS = (b'"architectures"', b'"model_type"', b'"hidden_size"', b'"num_hidden_layers"')


def folder_model(
    candidate: Candidate,
    folder: Folder,
    files: list[WeightFile],
    ggufs: Sequence[GGUFModel],
    own: Sequence[FileEntry],
    memory_bytes: int | None,
    left_out: str | None,
    *,
    loose: FileEntry | None = None,
    home: bool = True,
) -> Found:
    """Raises ``NotAModel`` when neither weights nor configs describe a model.

    ``loose``: the files stand alone, led by this one; ``home`` says whether the folder around them is theirs all the same.
    """
    pipeline = (
        folder.json("model_index.json", Severity.ERROR) if "model_index.json" in folder else None
    )
    config_name = "config.json" if "config.json" in folder else "onnx/config.json"
    config = folder.json(config_name, Severity.ERROR) if pipeline is None and not loose else None
    adapter_config = (
        folder.json("adapter_config.json", Severity.ERROR) if pipeline is None else None
    )
    sets = weight_sets(folder, files, pipeline=pipeline is not None)
    described = (
        pipeline is not None
        or adapter_config is not None
        or (config is not None and model_config.looks_like_model(config))
    )
    if not sets and not ggufs and not described and not _broken_config_of_a_model(folder):
        raise NotAModel(left_out or _why_not(folder))
    if not sets and not ggufs and left_out:
        raise NotAModel(left_out)
    declared, bits = model_config.quantization(config or {})
    label = f"{declared}-{bits}bit" if declared and bits else declared
    variants = _variants(candidate, sets, ggufs, label, bits, memory_bytes)
    merge = Merge()
    add_metadata_json(merge, folder)
    _add_headers(merge, variants, sets, ggufs)
    clue_readers.read_weights(merge.clues, sets)
    for model in ggufs:
        clue_readers.read_gguf(merge.clues, model)
    if pipeline is not None:
        clue_readers.read_pipeline(merge.clues, pipeline)
        remote_code.note_pipeline(folder, pipeline)
        merge.add(
            "model_index.json", model_config.fields({"_class_name": pipeline.get("_class_name")})
        )
    elif adapter_config is not None:
        clue_readers.read_adapter(merge.clues, adapter_config)
        merge.add("adapter_config.json", adapter.fields(adapter_config))
    elif config is not None:
        add_config(merge, folder, config_name, config)
    kind = _type(folder, variants, sets, pipeline, config, adapter_config, declared)
    if kind is ModelType.PEFT:
        merge.clues.mark(
            "lora", "tensor names" if adapter_config is None else "adapter_config.json"
        )
        merge.drop("parameter_count")
    elif kind is not ModelType.DIFFUSERS:
        _add_active(merge, sets, config or {})
        _add_counts_of_absent(merge, sets, config or {})
    if not variants:
        merge.add(config_name, {"quantization": label})
    merge.add("files", {"type": kind, "format": _format(variants, sets)})
    if pipeline is None and adapter_config is None:
        add_tokenizer(merge, folder)
    elif adapter_config is not None:
        clue_readers.read_sidecars(merge.clues, folder, folder.json("tokenizer_config.json"))
    add_generation_config(merge, folder)
    add_card(merge, folder)
    if kind is ModelType.SENTENCE_TRANSFORMERS:
        remote_code.note_modules(
            folder, json_file.parse(folder.read("modules.json", 65_536) or b"[]").data
        )
    remote_code.note_files(folder)
    problems = [
        *folder.problems,
        *(problem for file in files for problem in file.problems),
        *_contradiction(merge, config, config_name, candidate),
    ]
    problems += [
        problem for group in sets if (problem := weights.missing_problem(group, candidate.place))
    ]
    if not variants:
        absent = Problem(
            "weights_missing",
            "there are no weight files: the download never finished, or they were moved away",
            candidate.place,
        )
        problems += [] if any(group.missing for group in sets) else [absent]
    for model in ggufs:
        files = [*files, *(file for group in model.sets for file in group.files), *model.projectors]
    path = loose.path if loose and not home else folder.place
    name = names.stem(loose.name) if loose and not home else _folder_name(folder)
    return build(
        candidate,
        path,
        name,
        merge,
        variants,
        files,
        own,
        problems,
        faulty_config=_config_status(folder),
    )


def _folder_name(folder: Folder) -> str:
    place = folder.place if folder.place != "." else folder.root.rstrip("/")
    return place.rpartition("/")[2].removesuffix(".mlpackage") or "model"


def _why_not(folder: Folder) -> str:
    fault = next(
        (
            problem.message
            for problem in folder.problems
            if problem.code in ("config_invalid", "file_unreadable")
        ),
        None,
    )
    return fault or (
        "config.json describes no model and there are no weights"
        if "config.json" in folder
        else "no weights and no config of a model"
    )


def _broken_config_of_a_model(folder: Folder) -> bool:
    if "config.json" not in folder.faulty:
        return False
    raw = folder.read("config.json", json_file.MAX_BYTES) or b""
    return any(word in raw for word in _CONFIG_WORDS)


def _config_status(folder: Folder) -> Status | None:
    """A config that loaders refuse makes the model CORRUPT; one that was never downloaded, INCOMPLETE."""
    broken = [problem for problem in folder.problems if problem.code == "config_invalid"]
    if not broken:
        return Status.CORRUPT if "config.json" in folder.faulty else None
    return (
        Status.INCOMPLETE
        if all("git-lfs pointer" in problem.message for problem in broken)
        else Status.CORRUPT
    )


def _variants(
    candidate: Candidate,
    sets: list[WeightSet],
    ggufs: Sequence[GGUFModel],
    declared: str | None,
    bits: int | None,
    memory_bytes: int | None,
) -> list[Variant]:
    rank = {Status.READY: 0, Status.UNSAFE: 0, Status.INCOMPLETE: 1, Status.CORRUPT: 2}
    made: list[Variant] = []
    for group in sets:
        if not group.files:
            continue
        name = f"{group.format} {group.label}" if group.label else group.format
        alone = len(group.files) == 1
        path = group.files[0].entry.path if alone else candidate.place
        made.append(variant(group, name, path, declared, bits))
    for model in ggufs:
        made.extend(gguf_models.variants(model, memory_bytes))
    made.sort(
        key=lambda v: (
            rank[v.status],
            FORMAT_ORDER.index(v.format) if v.format in FORMAT_ORDER else 99,
            " " in v.name,
            -v.size_bytes,
        )
    )
    return _distinct(made)


def _distinct(variants: list[Variant]) -> list[Variant]:
    """Two exports of the same kind are told apart by their path."""
    seen: dict[str, int] = {}
    for item in variants:
        seen[item.name] = seen.get(item.name, 0) + 1
    return [
        item
        if seen[item.name] == 1
        else replace(item, name=f"{item.name} {item.path.rpartition('/')[2]}")
        for item in variants
    ]


def _add_headers(
    merge: Merge, variants: list[Variant], sets: list[WeightSet], ggufs: Sequence[GGUFModel]
) -> None:
    if not variants:
        return
    first = variants[0]
    weight_fields(merge, first)
    if first.format == "gguf" and ggufs:
        merge.add("gguf header", gguf_fields(ggufs[0]))
    metadata: dict[str, Any] = {}
    for group in sets:
        for header in group.headers:
            if header.format == "safetensors":
                metadata = {**header.metadata, **metadata}
    merge.add("safetensors header", safetensors_fields(metadata))


def _add_counts_of_absent(merge: Merge, sets: list[WeightSet], config: dict[str, Any]) -> None:
    """Weights that are not here (pointers, missing shards) still have a size that somebody wrote down."""
    if "parameter_count" in merge.values:
        return
    for group in sets:
        counted = unread_parameters(group, config)
        if counted:
            merge.add(counted.source, {"parameter_count": counted.value})
            return
    if not any(group.headers for group in sets):
        merge.add("config.json, computed", {"parameter_count": model_shape.parameters(config)})


def _add_active(merge: Merge, sets: list[WeightSet], config: dict[str, Any]) -> None:
    total = merge.get("parameter_count")
    experts, used = model_config.experts(config)
    if total and experts and used and sets:
        tensors = [tensor for header in sets[0].headers for tensor in header.tensors]
        merge.add(
            "tensors", {"active_parameter_count": active_parameters(tensors, total, experts, used)}
        )


def _contradiction(
    merge: Merge, config: dict[str, Any] | None, name: str, candidate: Candidate
) -> list[Problem]:
    """The tensors win over a config that describes another model; somebody should know."""
    counted, declared = merge.values.get("parameter_count"), model_shape.parameters(config or {})
    if (
        not declared
        or counted is None
        or counted.source != "tensors"
        or 0.75 < counted.value / declared < 1.33
    ):
        return []
    text = f"{name} describes a model of {declared:,} parameters, the tensors hold {counted.value:,}: the tensors are believed"
    return [Problem("config_contradicts", text, f"{candidate.place}/{name}", Severity.WARNING)]


def _format(variants: list[Variant], sets: list[WeightSet]) -> str | None:
    if variants:
        return variants[0].format
    return sets[0].format if sets else None


def _type(
    folder: Folder,
    variants: list[Variant],
    sets: list[WeightSet],
    pipeline: dict[str, Any] | None,
    config: dict[str, Any] | None,
    adapter_config: dict[str, Any] | None,
    quantization: str | None,
) -> ModelType:
    main = variants[0].format if variants else None
    tensors = [
        tensor for group in sets for header in group.headers[:1] for tensor in header.tensors[:1000]
    ]
    if pipeline is not None or (config is not None and "_diffusers_version" in config):
        return ModelType.DIFFUSERS
    if adapter_config is not None or is_adapter(tensors):
        return ModelType.PEFT
    if "modules.json" in folder or "config_sentence_transformers.json" in folder:
        return ModelType.SENTENCE_TRANSFORMERS
    if (
        main in ("pytorch", "safetensors", "flax", "tensorflow", None)
        and config is not None
        and model_config.looks_like_model(config)
    ):
        mlx = quantization == "mlx" or any(
            header.metadata.get("format") == "mlx" for group in sets for header in group.headers
        )
        return ModelType.MLX if mlx else ModelType.TRANSFORMERS
    if any(
        tensor.name.startswith(("model.diffusion_model.", "first_stage_model.", "double_blocks."))
        for tensor in tensors
    ):
        return ModelType.DIFFUSERS
    if main is None:
        return ModelType.TRANSFORMERS if sets or folder.faulty else ModelType.UNKNOWN
    return _TYPES.get(main, ModelType.UNKNOWN)
