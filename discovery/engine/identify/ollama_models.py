"""Models of an Ollama store.

One GGUF blob, a blob for each tensor, or none where another server runs the model.

Source: Ollama's ``manifest`` and ``server`` packages (Docker manifests, schema 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from discovery.engine.core.errors import NotAModel
from discovery.engine.core.files import read_file
from discovery.engine.core.text import clean, positive
from discovery.engine.core.types import Candidate, FileEntry, Found, Problem, Variant
from discovery.engine.core.vocabulary import ModelType, Severity, Status
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.disk.stores import Tagged, ollama
from discovery.engine.identify import clue_readers, gguf_kinds, gguf_models, side_files, weights
from discovery.engine.identify.found import Merge, build, variant
from discovery.engine.identify.gguf_models import GGUFModel
from discovery.engine.identify.header_fields import gguf_fields, weight_fields
from discovery.engine.identify.sidecar_fields import add_config
from discovery.engine.identify.weight_files import WeightFile, WeightSet
from discovery.engine.sidecars import json_file, model_config

#: What Ollama calls the abilities of a model → the contract's words.
_CAPABILITIES = {
    "completion": "GENERATION",
    "tools": "TOOL_USE",
    "vision": "VISION",
    "embedding": "EMBEDDING",
    "thinking": "REASONING",
}


def read(root: str, candidate: Candidate, memory_bytes: int | None) -> Found:
    """The model of one name in the store, its tags as variants.

    Raises ``NotAModel`` when its manifests name none.
    """
    name, tagged, problems = ollama(root, candidate)
    if not tagged:
        raise NotAModel(problems[0].message if problems else "its manifests name no model")
    own = [entry for item in tagged for entry in item.files]
    folder = ModelFolder(root, candidate.place, own)
    merge = Merge()
    files: list[WeightFile] = []
    model = GGUFModel()
    sets: list[WeightSet] = []
    for item in tagged:
        read_files = [weights.read(root, entry) for entry in item.weights]
        files += read_files
        if item.is_absent:
            continue
        if item.is_tensors:
            sets.append(WeightSet("safetensors", read_files, ", ".join(item.tags)))
        elif read_files:
            model.sets.append(WeightSet("gguf", read_files, ", ".join(item.tags)))
            model.projectors += [weights.read(root, entry) for entry in item.projectors]
    files += model.projectors
    variants = gguf_models.variants(model, memory_bytes) if model.sets else []
    if model.sets:
        kind = gguf_kinds.type_of(clue_readers.read_gguf(merge.clues, model))
        merge.add("gguf header", {**gguf_fields(model), "type": kind, "format": "gguf"})
    variants += _of_tensors(candidate, folder, merge, tagged, sets)
    variants += [_remote(item, merge) for item in tagged if item.remote]
    variants += [_absent(item, merge) for item in tagged if item.is_absent]
    variants.sort(key=lambda each: each.status is not Status.READY)
    _take_fields(merge, tagged)
    weight_fields(merge, variants[0])
    merge.add("ollama manifest", {"name": name})
    read_paths = {file.entry.path for file in files}
    side_files.look(folder, own, read_paths)
    told = [*problems, *folder.problems, *(problem for file in files for problem in file.problems)]
    found = build(candidate, candidate.place, name, merge, variants, files, own, told)
    return replace(found, pickled=folder.pickled or any(file.pickled for file in files))


def _take_fields(merge: Merge, tagged: Sequence[Tagged]) -> None:
    if any("template" in item.fields for item in tagged):
        merge.clues.add_feature("chat_template", "ollama manifest template")
    for item in tagged:
        item.fields.pop("template", None)
        merge.add("ollama manifest", item.fields)


def _of_tensors(
    candidate: Candidate,
    folder: ModelFolder,
    merge: Merge,
    tagged: Sequence[Tagged],
    sets: Sequence[WeightSet],
) -> list[Variant]:
    """Models with a blob for each tensor: safetensors files, and the config among the layers."""
    if not sets:
        return []
    told = next(
        (item.configs["config.json"] for item in tagged if "config.json" in item.configs), None
    )
    config: dict[str, Any] = {}
    if told is not None:
        config = _config(folder, told)
        add_config(merge, folder, "config.json", config)
    merge.add("ollama manifest", {"type": ModelType.MLX, "format": "safetensors"})
    clue_readers.read_weights(merge.clues, sets)
    declared = model_config.quantization(config)
    return [variant(group, group.label or "", candidate.place, declared) for group in sets]


def _config(folder: ModelFolder, entry: FileEntry) -> dict[str, Any]:
    """The object in a blob; empty where it cannot be read."""
    try:
        data = json_file.parse_object(read_file(folder.root, entry, json_file.MAX_BYTES)).data
    except OSError as error:
        text = f"the config of the model cannot be read: {error.strerror or error}"
        folder.problems.append(Problem("file_unreadable", text, entry.path, Severity.WARNING))
        return {}
    return data if isinstance(data, dict) else {}


def _remote(item: Tagged, merge: Merge) -> Variant:
    """A model of which the store keeps the name alone."""
    told = item.remote
    abilities = told.get("capabilities")
    merge.add(
        "ollama manifest",
        {
            "type": ModelType.OPENAI,
            "endpoint": clean(str(told["remote_host"]), 300),
            "context_length": positive(told.get("context_length")),
            "capabilities": [
                _CAPABILITIES[each]
                for each in (abilities if isinstance(abilities, list) else [])
                if isinstance(each, str) and each in _CAPABILITIES
            ],
        },
    )
    return Variant(", ".join(item.tags), item.files[0].path, "", Status.REMOTE, 0)


def _absent(item: Tagged, merge: Merge) -> Variant:
    """A model whose manifest came and whose weights did not, or were thrown away."""
    format_name = "safetensors" if item.is_tensors else "gguf"
    kind = ModelType.MLX if item.is_tensors else ModelType.LLAMA_CPP
    merge.add("ollama manifest", {"type": kind, "format": format_name})
    return Variant(", ".join(item.tags), item.files[0].path, format_name, Status.INCOMPLETE, 0)
