"""Models of the store of Docker's Model Runner: one a repository, its tags as variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate, Found, Problem
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.disk.docker_store import Stored, models
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import clue_readers, gguf_models, side_files, weights
from discovery.engine.identify.found import Merge, build, variant
from discovery.engine.identify.gguf_models import GGUFModel
from discovery.engine.identify.header_fields import gguf_fields, weight_fields
from discovery.engine.identify.weight_files import WeightFile, WeightSet

SOURCE = "docker manifest"


def read(root: str, candidate: Candidate, memory_bytes: int | None) -> list[Found]:
    """Raises ``NotAModel`` when the store names no model."""
    stored, problems = models(root, candidate)
    problems = [*candidate.problems, *problems]
    named: dict[str, list[Stored]] = {}
    for item in stored:
        named.setdefault(item.name, []).append(item)
    if not named:
        raise NotAModel(problems[0].message if problems else "the store names no model")
    return [
        _model(root, candidate, name, items, [] if number else problems, memory_bytes)
        for number, (name, items) in enumerate(named.items())
    ]


def _model(
    root: str,
    candidate: Candidate,
    name: str,
    items: Sequence[Stored],
    problems: Sequence[Problem],
    memory_bytes: int | None,
) -> Found:
    model, others = GGUFModel(), list[WeightSet]()
    for item in items:
        files = [weights.read(root, entry) for entry in item.weights]
        label = ", ".join(item.tags) or item.manifest.name[:12]
        form = files[0].format if files else "gguf"
        group = WeightSet(form, files, label, missing=list(item.missing))
        if form == "gguf":
            model.sets.append(group)
            model.projectors += [weights.read(root, entry) for entry in item.projectors]
        else:
            others.append(group)
    merge = Merge()
    held = [group for group in model.sets if group.files]
    model.sets = held
    variants = gguf_models.variants(model, memory_bytes) if held else []
    if held:
        kind = {"type": ModelType.LLAMA_CPP, "format": "gguf"}
        merge.add("gguf header", {**gguf_fields(model), **kind})
        clue_readers.read_gguf(merge.clues, model)
    else:
        clue_readers.read_weights(merge.clues, others)
        merge.add("files", {"type": ModelType.TRANSFORMERS, "format": "safetensors"})
    place = items[0].manifest.path
    variants += [variant(group, group.label or "", place) for group in others if group.files]
    if any(item.has_template for item in items):
        merge.clues.add_feature("chat_template", f"{SOURCE} template")
    if variants:
        weight_fields(merge, variants[0])
    merge.add(
        SOURCE, {"name": name, "license": next((i.license for i in items if i.license), None)}
    )
    read_files: list[WeightFile] = [
        file for group in (*held, *others) for file in group.files
    ] + model.projectors
    own = [entry for item in items for entry in item.files]
    folder = ModelFolder(root, candidate.place, own)
    side_files.look(folder, own, {file.entry.path for file in read_files})
    told = [
        *problems,
        *folder.problems,
        *(problem for file in read_files for problem in file.problems),
        *(_absent(item) for item in items if item.missing),
    ]
    found = build(candidate, place, name, merge, variants, read_files, own, told)
    return replace(found, pickled=folder.pickled or any(file.pickled for file in read_files))


def _absent(item: Stored) -> Problem:
    text = f"weights of {item.name} ({', '.join(item.missing[:3])}…) are not in the store"
    return Problem("blob_missing", text, item.manifest.path, key=item.manifest.name[:12])
