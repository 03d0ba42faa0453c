"""The models of one folder: that of its config, and GGUF files that are not its quantizations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from discovery.engine.core.errors import FormatsLeftOut, NotAModel
from discovery.engine.core.types import Candidate, Found
from discovery.engine.core.vocabulary import Status
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import gguf_found, gguf_models, side_files
from discovery.engine.identify.folder_model import folder_model
from discovery.engine.identify.found import collapse_repeats, is_unsafe
from discovery.engine.identify.gguf_models import GGUFModel
from discovery.engine.identify.weight_files import WeightFile


def read(
    candidate: Candidate,
    folder: ModelFolder,
    files: list[WeightFile],
    unknown: list[WeightFile],
    left_out: set[str],
    memory_bytes: int | None,
) -> list[Found]:
    """A model folder, and any GGUF files in it that are not its quantizations."""
    ggufs = [file for file in files if file.format == "gguf"]
    models = gguf_models.group(ggufs)
    others = [file for file in files if file.format != "gguf"]
    config = folder.json("config.json") if "config.json" in folder and ggufs else None
    folder.problems = (
        [problem for problem in folder.problems if problem.code != "sidecar_invalid"]
        if config is None
        else folder.problems
    )
    own = [
        model for model in models if _belongs(model, config, alone=len(models) == 1 and not others)
    ]
    strangers = [model for model in models if model not in own]
    found = [
        gguf_found.build_model(
            candidate,
            ModelFolder(folder.root, folder.place, folder.entries.values()),
            model,
            False,
            memory_bytes,
        )
        for model in strangers
    ]
    try:
        claimed = {path for model in found for path in (entry.path for entry in model.files)}
        mine = [entry for entry in candidate.files if entry.path not in claimed]
        main = folder_model(
            candidate,
            folder,
            others,
            own,
            mine,
            memory_bytes,
            nothing(left_out) if left_out else None,
            unknown=unknown,
        )
    except NotAModel:
        if not found:
            raise
        first = ModelFolder(folder.root, folder.place, folder.entries.values())
        first.glimpses = folder.glimpses
        side_files.look(
            first,
            [*candidate.files, *candidate.beside],
            {entry.path for model in found for entry in model.files},
        )
        return [_with_problems(model, first) for model in found]
    return [main, *found]


def _with_problems(model: Found, folder: ModelFolder) -> Found:
    """The model with what was found in the files around it."""
    if not folder.problems:
        return replace(model, pickled=model.pickled or folder.pickled)
    status = Status.UNSAFE if is_unsafe(folder.problems) else model.status
    return replace(
        model,
        status=status,
        problems=collapse_repeats([*model.problems, *folder.problems]),
        pickled=model.pickled or folder.pickled,
    )


def _belongs(model: GGUFModel, config: dict[str, Any] | None, alone: bool) -> bool:
    """Whether GGUF files next to a config belong to the config's model.

    They do if their shape matches it, or if they are the only weights.
    """
    if alone:
        return True
    width, layers = (
        gguf_models.length(model.metadata, "embedding_length"),
        gguf_models.length(model.metadata, "block_count"),
    )
    declared = (config or {}).get("hidden_size"), (config or {}).get("num_hidden_layers")
    return None not in declared and (width, layers) == declared


def nothing(left_out: Collection[str], unknown: Sequence[WeightFile] = ()) -> NotAModel:
    """Why no model was found.

    ``left_out`` are formats that the configuration does not name, ``unknown`` the files of unknown
    format.
    """
    if not left_out:
        told = unknown[0].problems[0].message if unknown else "no weights in a known format"
        return NotAModel(told)
    told = ", ".join(sorted(left_out))
    return FormatsLeftOut(
        f"its weights are in formats that supported_formats leaves out: {told}",
        tuple(sorted(left_out)),
    )
