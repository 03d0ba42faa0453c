"""Builds the model of GGUF files, with or without a folder of their own."""

from __future__ import annotations

from dataclasses import replace

from discovery.engine.core import names
from discovery.engine.core.types import Candidate, Found
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import clue_readers, gguf_kinds, gguf_models, weights
from discovery.engine.identify.found import Merge, build
from discovery.engine.identify.gguf_models import GGUFModel
from discovery.engine.identify.header_fields import gguf_fields, weight_fields
from discovery.engine.identify.sidecar_fields import (
    add_card,
    add_license,
    add_metadata_json,
    called,
    card_of,
)
from discovery.engine.sidecars import card


def build_model(
    candidate: Candidate,
    folder: ModelFolder,
    model: GGUFModel,
    whole: bool,
    memory_bytes: int | None,
) -> Found:
    files = [file for group in model.sets for file in group.files] + model.projectors
    variants = gguf_models.variants(model, memory_bytes)
    first = min(
        (file.entry for group in model.sets for file in group.files), key=lambda entry: entry.path
    )
    path = candidate.place if whole else first.path
    merge = Merge()
    if whole or candidate.place == path:
        add_metadata_json(merge, folder)
    kind = clue_readers.read_gguf(merge.clues, model)
    what = gguf_kinds.type_of(kind)
    merge.add("gguf header", {**gguf_fields(model), "type": what, "format": "gguf"})
    weight_fields(merge, variants[0])
    if kind in gguf_kinds.ADDED:
        merge.drop("parameter_count")
    active = gguf_models.active(model, merge.get("parameter_count"))
    merge.add("tensors", {"active_parameter_count": active})
    if whole:
        add_card(merge, folder)
    add_license(merge, folder, home=whole)
    problems = [*folder.problems, *(problem for file in files for problem in file.problems)]
    problems += [
        p for group in model.sets if (p := weights.missing_problem(group, candidate.place))
    ]
    own_name = candidate.place.rpartition("/")[2] if whole else _variantless(first.name)
    name = called(own_name, path, folder)
    own = candidate.files if whole else [file.entry for file in files]
    found = build(candidate, path, name, merge, variants, files, own, problems)
    return replace(found, pickled=folder.pickled or any(file.pickled for file in files))


def _variantless(name: str) -> str:
    """The file's name without suffix and quantization, in its own spelling."""
    stem = names.stem(name)
    match = names.last_quantization(stem)
    return (stem[: match.start()] + stem[match.end() :]).strip("-_. ") or stem if match else stem


def is_home(place: str, name: str, folder: ModelFolder) -> bool:
    """Whether the folder around loose files belongs to the model.

    It does if it contains metadata or a model card, or if its name contains theirs. A README
    without front matter is not a model card: it may describe a collection of models.
    """
    if place == ".":
        return False
    stem = _squash(names.base_stem(name))
    if "metadata.json" in folder or (len(stem) > 3 and stem in _squash(place.rpartition("/")[2])):
        return True
    written = card_of(folder)
    return written is not None and card.has_front_matter(folder.read(written, 4_096) or b"")


def _squash(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
