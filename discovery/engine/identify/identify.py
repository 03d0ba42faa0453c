"""Candidate → Found: reads the files, chooses the format, merges every source in a fixed order.

First wins: metadata.json · weight-file header · config.json and tokenizer files · model card ·
folder name. A broken file makes the model CORRUPT or INCOMPLETE with a problem that locates the
fault; it never hides the model or its neighbors.
"""

from __future__ import annotations

from discovery.engine.core.config import Discovery
from discovery.engine.core.gc_pause import collector_paused
from discovery.engine.core.types import Candidate, Found, Layout
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import (
    docker_models,
    gguf_found,
    gguf_models,
    hub_models,
    models_in_folder,
    ollama_models,
    reading,
    side_files,
    weights,
)
from discovery.engine.identify.folder_model import folder_model
from discovery.engine.identify.gguf_found import is_home
from discovery.engine.identify.weight_files import WeightFile
from discovery.engine.identify.weight_sets import weight_entries


def identify(
    root: str, candidate: Candidate, settings: Discovery, memory_bytes: int | None = None
) -> list[Found]:
    """The models of a candidate, one or (loose GGUF files) a few.

    ``memory_bytes`` is the machine's: of several quantizations the largest that fits it comes
    first. Raises ``NotAModel`` with the reason when there is none.
    """
    with collector_paused():
        return _identify(root, candidate, frozenset(settings.supported_formats), memory_bytes)


def _identify(
    root: str, candidate: Candidate, allowed: frozenset[str], memory_bytes: int | None
) -> list[Found]:
    if candidate.layout is Layout.OLLAMA:
        return [ollama_models.read(root, candidate, memory_bytes)]
    if candidate.layout is Layout.DOCKER:
        return docker_models.read(root, candidate, memory_bytes)
    if candidate.layout is Layout.HUB_CACHE:
        return hub_models.read(root, candidate, allowed, memory_bytes)
    folder = ModelFolder(root, _home(candidate), candidate.files)
    folder.problems.extend(candidate.problems)
    entries, left_out = weight_entries(folder, allowed)
    files, unknown = reading.read_all(root, entries, candidate)
    files, others = weights.recognized(files, allowed)
    left_out |= others
    ggufs = [file for file in files if file.format == "gguf"]
    if candidate.layout is Layout.FOLDER:
        return models_in_folder.read(candidate, folder, files, unknown, left_out, memory_bytes)
    if ggufs:
        models = gguf_models.group(ggufs)
        whole = len(models) == 1 and is_home(
            folder.place, models[0].sets[0].files[0].entry.name, folder
        )
        side_files.look(
            folder, [*candidate.files, *candidate.beside], {file.entry.path for file in files}
        )
        return [
            gguf_found.build_model(candidate, folder, model, whole, memory_bytes)
            for model in models
        ]
    if not files:
        raise models_in_folder.nothing(left_out, unknown)
    folder.problems += [problem for file in unknown for problem in file.problems]
    return [_loose(candidate, folder, files)]


def _home(candidate: Candidate) -> str:
    """The folder that contains the files of a candidate."""
    if candidate.layout is Layout.FILES and any(
        entry.path == candidate.place for entry in candidate.files
    ):
        return candidate.place.rpartition("/")[0] or "."
    return candidate.place


def _loose(candidate: Candidate, folder: ModelFolder, files: list[WeightFile]) -> Found:
    """Weight files without configs: one checkpoint, perhaps in several formats or precisions.

    If they have a folder of their own, the model is named after it.
    """
    first = files[0].entry
    return folder_model(
        candidate,
        folder,
        files,
        [],
        [*candidate.files, *(entry for file in files for entry in file.data)],
        None,
        None,
        loose=first,
        home=is_home(folder.place, first.name, folder),
    )
