"""The parts that a model names: pipeline components and sentence-transformers modules.

Also finds those that are missing.

Sources: ``model_index.json`` as ``diffusers.DiffusionPipeline`` writes it; ``modules.json`` (see
``sidecars.modules``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from discovery.engine.core import names
from discovery.engine.core.text import plural
from discovery.engine.core.types import Problem, Variant
from discovery.engine.core.vocabulary import Status
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.disk.ledger import LARGE
from discovery.engine.identify.weight_files import WeightFile, WeightSet
from discovery.engine.sidecars import json_file, modules
from discovery.engine.sidecars.modules import Module

#: Components of these libraries are weights, but for what these classes are.
_LIBRARIES = ("diffusers", "transformers")
_WEIGHTLESS = re.compile(r"Tokenizer|Scheduler|Processor|FeatureExtractor|Guidance|Guider")

MAX_COMPONENTS = 100


def missing(
    folder: ModelFolder, pipeline: Mapping[str, Any] | None, told: Sequence[Module]
) -> Problem | None:
    """The parts that the model names and that are not there, as one problem."""
    absent = [*_components(folder, pipeline or {}), *_modules(folder, told)]
    if not absent:
        return None
    shown = ", ".join(absent[:6]) + (f" and {len(absent) - 6:,} more" if len(absent) > 6 else "")
    name = "model_index.json" if pipeline is not None else modules.NAME
    verb = "is" if len(absent) == 1 else "are"
    text = f"{plural(len(absent), 'part')} that {name} names {verb} missing: {shown}"
    return Problem("component_missing", text, folder.place, key=", ".join(absent)[:200])


def _components(folder: ModelFolder, pipeline: Mapping[str, Any]) -> Iterator[str]:
    """What ``model_index.json`` asks for and no folder holds."""
    held: dict[str, list[str]] = {}
    for path in folder.entries:
        top, slash, rest = path.partition("/")
        if slash:
            held.setdefault(top, []).append(rest)
    for name, told in list(pipeline.items())[:MAX_COMPONENTS]:
        if name.startswith("_") or not isinstance(told, list) or len(told) != 2:
            continue
        library, kind = told
        if not isinstance(library, str) or not isinstance(kind, str):
            continue  # left out on purpose
        if name not in held:
            yield name[:100]
        elif (
            library in _LIBRARIES
            and not _WEIGHTLESS.search(kind)
            and not any(map(_is_weights, held[name]))
        ):
            yield f"the weights of {name[:100]}"


def _is_weights(path: str) -> bool:
    name = path.rpartition("/")[2]
    return names.weight_format(name) is not None or name.endswith((".xml", ".index.json"))


def modules_of(folder: ModelFolder) -> list[Module]:
    """The modules of a sentence-transformers model, those of its router included."""
    found: list[Module] = []
    for name in (modules.NAME, modules.ROUTER):
        if modules.NAME in folder and (raw := folder.read(name, modules.MAX_BYTES)):
            found += modules.read(json_file.parse(raw).data)
    return found


def _modules(folder: ModelFolder, told: Sequence[Module]) -> Iterator[str]:
    """Modules whose folders hold nothing."""
    for module in told:
        prefix = f"{module.path}/"
        if module.is_saved and not any(path.startswith(prefix) for path in folder.entries):
            yield module.path[:100]


def module_home(folder: ModelFolder, told: Sequence[Module]) -> ModelFolder:
    """The folder whose config and tokenizer describe the model.

    Its own folder, or that of the first module that has them.
    """
    if "config.json" in folder:
        return folder
    for module in told:
        if module.path and any(
            f"{module.path}/{name}" in folder
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json")
        ):
            place = module.path if folder.place == "." else f"{folder.place}/{module.path}"
            return ModelFolder(folder.root, place, folder.entries.values())
    return folder


def tops(told: Sequence[Module]) -> Collection[str]:
    """Names of the sub-folders that hold the modules."""
    return {module.path.partition("/")[0] for module in told if module.path}


def config_name(folder: ModelFolder, core: ModelFolder) -> str:
    """Where the config of the model is, from its folder."""
    if core is not folder and "config.json" in core:
        return f"{core.place[len(folder.place) + 1 if folder.place != '.' else 0 :]}/config.json"
    return "config.json" if "config.json" in folder else "onnx/config.json"


def is_in_module(folder: ModelFolder, file: WeightFile, told: Sequence[Module]) -> bool:
    """Whether the file is in a folder that the model loads as one of its modules."""
    prefix = "" if folder.place == "." else f"{folder.place}/"
    return any(
        module.path and file.entry.path.startswith(f"{prefix}{module.path}/") for module in told
    )


def unread_variants(
    folder: ModelFolder, sets: Sequence[WeightSet], unknown: Sequence[WeightFile]
) -> list[Variant]:
    """Variants of a described model in files that no reader knows, if they are large enough."""
    if any(group.missing for group in sets):
        return []
    entries = [file.entry for file in unknown if file.entry.size >= LARGE]
    if not entries:
        return []
    path = entries[0].path if len(entries) == 1 else folder.place
    return [
        Variant(
            path.rpartition("/")[2],
            path,
            "",
            Status.READY,
            sum(entry.size for entry in entries),
            files=tuple(entry.path for entry in entries),
        )
    ]
