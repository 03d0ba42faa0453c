"""Candidate → Found: reads what lies there, picks the format, merges every source in a fixed order.

First wins: metadata.json · weight-file header · config.json and tokenizer files · model card · folder name.
A broken file makes the model CORRUPT or INCOMPLETE with a problem that says where; it never hides the model or its neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from discovery.engine import clue_readers, gguf_models, names, weights
from discovery.engine.collector import collector_paused
from discovery.engine.config import Discovery
from discovery.engine.errors import NotAModel
from discovery.engine.folder import Folder
from discovery.engine.folder_model import folder_model
from discovery.engine.found import Merge, build
from discovery.engine.gguf_models import GGUFModel
from discovery.engine.header_fields import gguf_fields, weight_fields
from discovery.engine.sidecar_fields import add_card, add_metadata_json
from discovery.engine.sidecars import card
from discovery.engine.signals import Clues
from discovery.engine.stores import Revision, hub_cache, ollama
from discovery.engine.types import Candidate, FileEntry, Found, Layout, ModelType, Variant
from discovery.engine.weight_sets import weight_entries
from discovery.engine.weights import WeightFile, WeightSet


def identify(
    root: str, candidate: Candidate, settings: Discovery, memory_bytes: int | None = None
) -> list[Found]:
    """The models of a candidate, one or (loose GGUF files) a few.

    ``memory_bytes`` is the machine's: of several quantizations the largest that fits it comes first.
    Raises ``NotAModel`` with the reason when there is none.
    """
    with collector_paused():
        return _identify(root, candidate, frozenset(settings.supported_formats), memory_bytes)


def _identify(
    root: str, candidate: Candidate, allowed: frozenset[str], memory_bytes: int | None
) -> list[Found]:
    if candidate.layout is Layout.OLLAMA:
        return [_ollama(root, candidate, memory_bytes)]
    if candidate.layout is Layout.HUB_CACHE:
        return [_hub_cache(root, candidate, allowed, memory_bytes)]
    folder = Folder(root, _home(candidate), candidate.files)
    folder.problems.extend(candidate.problems)
    entries, left_out = weight_entries(folder, allowed)
    files = [weights.read(root, entry, candidate.files) for entry in entries]
    ggufs = [file for file in files if file.format == "gguf"]
    if candidate.layout is Layout.FOLDER:
        return _folder(candidate, folder, files, ggufs, left_out, memory_bytes)
    if ggufs:
        models = gguf_models.group(ggufs)
        whole = len(models) == 1 and _is_home(
            folder.place, models[0].sets[0].files[0].entry.name, folder
        )
        return [_gguf(candidate, folder, model, whole, memory_bytes) for model in models]
    if not files:
        raise NotAModel(_left_out(left_out) or "no weights in a known format")
    return [_loose(candidate, folder, files)]


def _home(candidate: Candidate) -> str:
    """The folder that the files of a candidate lie in."""
    if candidate.layout is Layout.FILES and any(
        entry.path == candidate.place for entry in candidate.files
    ):
        return candidate.place.rpartition("/")[0] or "."
    return candidate.place


def _left_out(formats: Collection[str]) -> str | None:
    return (
        f"its weights are in formats that supported_formats leaves out: {', '.join(sorted(formats))}"
        if formats
        else None
    )


def _folder(
    candidate: Candidate,
    folder: Folder,
    files: list[WeightFile],
    ggufs: list[WeightFile],
    left_out: set[str],
    memory_bytes: int | None,
) -> list[Found]:
    """A model folder, and any GGUF files in it that are no quantizations of its model."""
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
        _gguf(
            candidate,
            Folder(folder.root, folder.place, folder.entries.values()),
            model,
            False,
            memory_bytes,
        )
        for model in strangers
    ]
    try:
        claimed = {path for model in found for path in (entry.path for entry in model.files)}
        mine = [entry for entry in candidate.files if entry.path not in claimed]
        main = folder_model(candidate, folder, others, own, mine, memory_bytes, _left_out(left_out))
    except NotAModel:
        if not found:
            raise
        return found
    return [main, *found]


def _belongs(model: GGUFModel, config: dict[str, Any] | None, alone: bool) -> bool:
    """Whether GGUF files beside a config are that model's: their shape says so, or nothing contradicts it."""
    if alone:
        return True
    width, layers = (
        gguf_models.length(model.metadata, "embedding_length"),
        gguf_models.length(model.metadata, "block_count"),
    )
    declared = (config or {}).get("hidden_size"), (config or {}).get("num_hidden_layers")
    return None not in declared and (width, layers) == declared


def _is_home(place: str, name: str, folder: Folder) -> bool:
    """Whether the folder around loose files is the model's own: metadata or a model card lies in it, or its name holds theirs.

    A README without front matter is no card: it may tell about a whole shelf.
    """
    if place == ".":
        return False
    stem = _squash(names.base_stem(name))
    if "metadata.json" in folder or (len(stem) > 3 and stem in _squash(place.rpartition("/")[2])):
        return True
    return card.has_front_matter(folder.read("README.md", 4_096) or b"")


def _squash(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _gguf(
    candidate: Candidate, folder: Folder, model: GGUFModel, whole: bool, memory_bytes: int | None
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
    merge.add("gguf header", {**gguf_fields(model), "type": ModelType.LLAMA_CPP, "format": "gguf"})
    clue_readers.read_gguf(merge.clues, model)
    weight_fields(merge, variants[0])
    merge.add(
        "tensors",
        {"active_parameter_count": gguf_models.active(model, merge.get("parameter_count"))},
    )
    if whole:
        add_card(merge, folder)
    problems = [*folder.problems, *(problem for file in files for problem in file.problems)]
    problems += [
        p for group in model.sets if (p := weights.missing_problem(group, candidate.place))
    ]
    name = candidate.place.rpartition("/")[2] if whole else _variantless(first.name)
    own = candidate.files if whole else [file.entry for file in files]
    return build(candidate, path, name, merge, variants, files, own, problems)


def _variantless(name: str) -> str:
    """The file's name without suffix and quantization, in its own spelling."""
    stem = names.stem(name)
    match = names.last_quantization(stem)
    return (stem[: match.start()] + stem[match.end() :]).strip("-_. ") or stem if match else stem


def _loose(candidate: Candidate, folder: Folder, files: list[WeightFile]) -> Found:
    """Weight files that stand alone: one checkpoint, perhaps in several formats or precisions. A folder of their own gives them its name."""
    first = files[0].entry
    return folder_model(
        candidate,
        folder,
        files,
        [],
        list(candidate.files),
        None,
        None,
        loose=first,
        home=_is_home(folder.place, first.name, folder),
    )


def _hub_cache(
    root: str, candidate: Candidate, allowed: frozenset[str], memory_bytes: int | None
) -> Found:
    repository, revisions = hub_cache(root, candidate)
    if not revisions:
        raise NotAModel("the cached repository has no snapshot")
    found: Found | None = None
    variants: list[Variant] = []
    for revision in revisions:
        try:
            model = _revision(root, candidate, revision, allowed, memory_bytes)
        except NotAModel:
            if revision is revisions[-1] and found is None:
                raise
            continue
        found = found or model
        several = len(model.variants) > 1
        variants += [
            replace(v, name=f"{v.name} · {revision.label}" if several else revision.label)
            for v in model.variants
        ]
    assert found is not None
    merge = Merge()
    owner, slash, _ = repository.partition("/")
    merge.add("hub cache", {"name": repository})
    for field_name, value in found.values.items():
        merge.add(value.source, {field_name: value.value})
    merge.add(
        "folder name", {"author": owner if slash else None, "version": revisions[0].commit[:12]}
    )
    rebuilt = build(
        candidate,
        candidate.place,
        repository,
        merge,
        variants,
        [],
        candidate.files,
        [*candidate.problems, *found.problems],
    )
    rebuilt = replace(
        rebuilt, fingerprint=found.fingerprint
    )  # the same weights outside the cache have the same one
    return replace(
        rebuilt,
        status=found.status,
        evidence=found.evidence,
        signals=_renamed(found.signals, repository),
    )


def _renamed(signals: Mapping[str, Any], repository: str) -> dict[str, Any]:
    """The name of the snapshot's folder is a commit; the repository's is the model's."""
    told = Clues()
    told.text("name", repository)
    named = told.finish("", "", None, None, ())
    return {
        **signals,
        "words": {**signals["words"], "name": named.words["name"]},
        "phrases": {**signals["phrases"], "name": named.phrases["name"]},
    }


def _revision(
    root: str,
    candidate: Candidate,
    revision: Revision,
    allowed: frozenset[str],
    memory_bytes: int | None,
) -> Found:
    place = f"{candidate.place}/snapshots/{revision.commit}"
    inner = Candidate(place, Layout.FOLDER, revision.files, candidate.signature)
    folder = Folder(root, place, revision.files)
    entries, left_out = weight_entries(folder, allowed)
    files = [weights.read(root, entry, revision.files) for entry in entries]
    return _folder(
        inner,
        folder,
        files,
        [file for file in files if file.format == "gguf"],
        left_out,
        memory_bytes,
    )[0]


def _ollama(root: str, candidate: Candidate, memory_bytes: int | None) -> Found:
    name, tagged, problems = ollama(root, candidate)
    if not tagged:
        raise NotAModel(problems[0].message if problems else "its manifests name no model")
    model = GGUFModel()
    for item in tagged:
        model.sets.append(
            WeightSet("gguf", [weights.read(root, item.weights)], ", ".join(item.tags))
        )
        model.projectors += [weights.read(root, entry) for entry in item.projectors]
    files: Sequence[WeightFile] = [
        file for group in model.sets for file in group.files
    ] + model.projectors
    variants = gguf_models.variants(model, memory_bytes)
    merge = Merge()
    merge.add("gguf header", {**gguf_fields(model), "type": ModelType.LLAMA_CPP, "format": "gguf"})
    clue_readers.read_gguf(merge.clues, model)
    if any("template" in item.fields for item in tagged):
        merge.clues.mark("chat_template", "ollama manifest template")
    for item in tagged:
        item.fields.pop("template", None)
    weight_fields(merge, variants[0])
    for item in tagged:
        merge.add("ollama manifest", item.fields)
    merge.add("ollama manifest", {"name": name})
    own: list[FileEntry] = [entry for item in tagged for entry in item.files]
    problems = [*problems, *(problem for file in files for problem in file.problems)]
    return build(candidate, candidate.place, name, merge, variants, files, own, problems)
