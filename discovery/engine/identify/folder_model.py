"""A model in its own folder.

Transformers, Diffusers, adapters, sentence-transformers, ONNX exports, bare weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from discovery.engine.core import format_registry, names
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.packings import Declared
from discovery.engine.core.parameters import active_parameters
from discovery.engine.core.types import Candidate, FileEntry, Found, Problem, Variant
from discovery.engine.core.vocabulary import ModelType, Severity, Status
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import (
    clue_readers,
    descriptions,
    gguf_kinds,
    gguf_models,
    model_types,
    parts,
    side_files,
    weights,
)
from discovery.engine.identify.descriptions import Description
from discovery.engine.identify.estimate import unread_parameters
from discovery.engine.identify.found import Merge, build, distinct, variant
from discovery.engine.identify.gguf_models import GGUFModel
from discovery.engine.identify.header_fields import (
    gguf_fields,
    safetensors_fields,
    weight_fields,
)
from discovery.engine.identify.sidecar_fields import (
    add_embedder,
    add_metadata_json,
    called,
    declared_quantization,
)
from discovery.engine.identify.weight_files import WeightFile, WeightSet
from discovery.engine.identify.weight_sets import weight_sets
from discovery.engine.sidecars import json_file, model_config, model_shape

#: Words that only the config of a model holds, for configs too broken to parse.
_CONFIG_WORDS = (b'"architectures"', b'"model_type"', b'"hidden_size"', b'"num_hidden_layers"')


def folder_model(
    candidate: Candidate,
    folder: ModelFolder,
    files: list[WeightFile],
    ggufs: Sequence[GGUFModel],
    own: Sequence[FileEntry],
    memory_bytes: int | None,
    left_out: NotAModel | None,
    *,
    unknown: Sequence[WeightFile] = (),
    loose: FileEntry | None = None,
    home: bool = True,
) -> Found:
    """Build the model of one folder, or of loose files; ``NotAModel`` if nothing describes one.

    ``unknown`` are files whose format no reader knows. ``loose`` is the first of files that have no
    folder of their own; ``home`` says that the folder belongs to them nevertheless.
    """
    folder.problems += [problem for file in unknown for problem in file.problems]
    told = descriptions.read(folder, is_alone=loose is not None)
    sets = _sets(folder, files, told)
    if not sets and not ggufs:
        _refuse(folder, told, unknown, left_out)
    declared = declared_quantization(folder, told.config)
    place = None if told.pipeline is not None else candidate.place
    variants = _variants(candidate, place, sets, ggufs, declared, memory_bytes)
    variants = variants or parts.unread_variants(folder, sets, unknown)
    merge = Merge()
    add_metadata_json(merge, folder)
    add_embedder(merge, folder)
    _add_headers(merge, variants, sets, ggufs)
    clue_readers.read_weights(merge.clues, sets)
    kinds = [clue_readers.read_gguf(merge.clues, model) for model in ggufs]
    descriptions.add_configs(merge, folder, told)
    kind = model_types.type_of(folder, variants, sets, told, declared.method, merge.clues.features)
    if kind is ModelType.LLAMA_CPP and kinds:
        kind = gguf_kinds.type_of(kinds[0])
    _add_counts(merge, sets, told, kind, declared)
    if not variants:
        merge.add(told.config_name, {"quantization": declared.label})
    merge.add("files", {"type": kind, "format": _format(variants, sets)})
    is_home = home or not loose
    descriptions.add_sidecars(merge, folder, told, kind, is_home=is_home)
    files = _without_strangers(folder, files)
    side_files.look(folder, [*own, *candidate.beside], _paths(files, ggufs))
    absent = parts.missing(folder, told.pipeline, told.modules) if variants else None
    problems = [
        *folder.problems,
        *(problem for file in files for problem in file.problems),
        *_contradiction(merge, told.config, told.config_name, candidate),
        *_absences(candidate, sets, absent, is_empty=not variants),
    ]
    for model in ggufs:
        files = [*files, *(file for group in model.sets for file in group.files), *model.projectors]
    path = folder.place if loose is None or home else loose.path
    own_name = _folder_name(folder) if loose is None or home else names.stem(loose.name)
    name = called(own_name, path, folder)
    besides = _besides(folder, files, sets, told, is_lacking=absent is not None)
    found = build(candidate, path, name, merge, variants, files, own, problems, besides=besides)
    return replace(found, pickled=folder.pickled or any(file.pickled for file in files))


def _sets(folder: ModelFolder, files: list[WeightFile], told: Description) -> list[WeightSet]:
    ranks = model_config.ranks(told.config or {})
    return weight_sets(folder, files, told.pipeline is not None, parts.tops(told.modules), ranks)


def _refuse(
    folder: ModelFolder,
    told: Description,
    unknown: Sequence[WeightFile],
    left_out: NotAModel | None,
) -> None:
    """Raises ``NotAModel`` for a folder without weights.

    Unless its configs describe a model whose weights are of a supported format.
    """
    if not told.is_of_a_model and not _broken_config_of_a_model(folder):
        raise left_out or NotAModel(_why_not(folder, unknown))
    if left_out:
        raise left_out


def _add_counts(
    merge: Merge, sets: list[WeightSet], told: Description, kind: ModelType, declared: Declared
) -> None:
    """Adds the active parameters, and the parameters of absent weights.

    An adapter's own parameters are not the model's.
    """
    if kind is ModelType.PEFT:
        merge.clues.add_feature(
            "lora", "tensor names" if told.adapter is None else "adapter_config.json"
        )
        merge.drop("parameter_count")
    elif kind is not ModelType.DIFFUSERS:
        _add_active(merge, sets, told.config or {}, declared)
        _add_counts_of_absent(merge, sets, told.config or {})


def _absences(
    candidate: Candidate, sets: list[WeightSet], part: Problem | None, *, is_empty: bool
) -> list[Problem]:
    """What the model itself names and is not there; ``part`` is such a component of it."""
    told = [weights.missing_problem(group, candidate.place) for group in sets]
    problems = [problem for problem in [*told, part] if problem]
    if is_empty and not any(group.missing for group in sets):
        text = "No weight files found. The download may be unfinished or the files were moved."
        problems.append(Problem("weights_missing", text, candidate.place))
    return problems


def _besides(
    folder: ModelFolder,
    files: list[WeightFile],
    sets: list[WeightSet],
    told: Description,
    *,
    is_lacking: bool,
) -> list[Status]:
    """What else than its variants decides the model's status. Pointers in a module's place do not:
    what the folder itself holds loads without them.
    """
    in_sets = {file.entry.path for group in sets for file in group.files}
    return [
        *_config_status(folder),
        *([Status.INCOMPLETE] if is_lacking else []),
        *(
            file.status
            for file in files
            if file.entry.path not in in_sets
            and not file.pointer
            and parts.is_in_module(folder, file, told.modules)
        ),
    ]


def _without_strangers(folder: ModelFolder, files: list[WeightFile]) -> list[WeightFile]:
    """Drop files whose suffix alone suggests weights, if there are sound weights."""
    if not any(
        file.header and file.status is Status.READY and names.is_standard(file.entry.name)
        for file in files
    ):
        return files
    strangers = [
        file
        for file in files
        if not names.is_standard(file.entry.name)
        and [problem.code for problem in file.problems] == ["not_this_format"]
    ]
    folder.problems += [
        replace(problem, severity=Severity.WARNING)
        for file in strangers
        for problem in file.problems
    ]
    return [file for file in files if file not in strangers]


def _paths(files: Sequence[WeightFile], ggufs: Sequence[GGUFModel]) -> set[str]:
    read = {file.entry.path for file in files if file.header or file.pointer or file.problems}
    for model in ggufs:
        read |= {
            file.entry.path
            for file in [*(file for group in model.sets for file in group.files), *model.projectors]
        }
    return read


def _folder_name(folder: ModelFolder) -> str:
    place = folder.place if folder.place != "." else folder.root.rstrip("/")
    name = place.rpartition("/")[2]
    return (name[: name.rfind(".")] if format_registry.is_like_a_file(name) else name) or "model"


def _why_not(folder: ModelFolder, unknown: Sequence[WeightFile]) -> str:
    fault = next(
        (
            problem.message
            for problem in folder.problems
            if problem.code in ("config_invalid", "file_unreadable")
        ),
        unknown[0].problems[0].message if unknown else None,
    )
    return fault or (
        "config.json describes no model and there are no weights"
        if "config.json" in folder
        else "no weights and no config of a model"
    )


def _broken_config_of_a_model(folder: ModelFolder) -> bool:
    if "config.json" not in folder.faulty:
        return False
    raw = folder.read("config.json", json_file.MAX_BYTES) or b""
    return any(word in raw for word in _CONFIG_WORDS)


def _config_status(folder: ModelFolder) -> list[Status]:
    """CORRUPT for a config that loaders refuse, INCOMPLETE for one that was not downloaded."""
    broken = [problem for problem in folder.problems if problem.code == "config_invalid"]
    if not broken:
        return [Status.CORRUPT] if "config.json" in folder.faulty else []
    return [(Status.INCOMPLETE if all(problem.key for problem in broken) else Status.CORRUPT)]


def _variants(
    candidate: Candidate,
    home: str | None,
    sets: list[WeightSet],
    ggufs: Sequence[GGUFModel],
    declared: Declared,
    memory_bytes: int | None,
) -> list[Variant]:
    """Best first; ``home``: weights in it come before the copies in folders below."""
    rank = {Status.READY: 0, Status.UNSAFE: 0, Status.INCOMPLETE: 1, Status.CORRUPT: 2}
    made: list[Variant] = []
    for group in sets:
        if not group.files:
            continue
        name = f"{group.format} {group.label}" if group.label else group.format
        alone = len(group.files) == 1
        path = _loaded(group.files[0].entry.path) if alone else candidate.place
        made.append(variant(group, name, path, declared))
    for model in ggufs:
        made.extend(gguf_models.variants(model, memory_bytes))
    made.sort(
        key=lambda v: (
            rank[v.status],
            format_registry.rank(v.format),
            home is not None and _is_below(v, home),
            " " in v.name,
            -v.size_bytes,
        )
    )
    return distinct(made)


def _is_below(item: Variant, place: str) -> bool:
    """Whether all its files are in a sub-folder: a copy for another program."""
    depth = 0 if place == "." else place.count("/") + 1
    return all(path.count("/") > depth for path in item.files)


def _loaded(path: str) -> str:
    """What a program loads by way of a file: the folder around it, where that is like a file."""
    place = path.rpartition("/")[0]
    return place if format_registry.is_like_a_file(place) else path


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
    for header in model_types.speaking(sets, first.format):
        merge.add(f"{header.format} header", header.fields)


def _add_counts_of_absent(merge: Merge, sets: list[WeightSet], config: dict[str, Any]) -> None:
    """Adds the sizes that pointers and indexes state for weights that are not here."""
    if "parameter_count" in merge.values:
        return
    for group in sets:
        counted = unread_parameters(group, config)
        if counted:
            merge.add(counted.source, {"parameter_count": counted.value})
            return
    if not any(group.headers for group in sets):
        merge.add("config.json, computed", {"parameter_count": model_shape.parameters(config)})


def _add_active(
    merge: Merge, sets: list[WeightSet], config: dict[str, Any], declared: Declared
) -> None:
    total = merge.get("parameter_count")
    experts, used = model_config.experts(config)
    if total and experts and used and sets:
        tensors = [tensor for header in sets[0].headers for tensor in header.tensors]
        active = active_parameters(tensors, total, experts, used, declared)
        merge.add("tensors", {"active_parameter_count": active})


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
    text = (
        f"{name} describes a model of {declared:,} parameters, the tensors hold {counted.value:,}:"
        " the tensors are believed"
    )
    return [Problem("config_contradicts", text, f"{candidate.place}/{name}", Severity.WARNING)]


def _format(variants: list[Variant], sets: list[WeightSet]) -> str | None:
    if variants:
        return variants[0].format
    return sets[0].format if sets else None
