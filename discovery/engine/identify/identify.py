"""Candidate → Found: reads what lies there, picks the format, merges every source in a fixed order.

First wins: metadata.json · weight-file header · config.json and tokenizer files · model card ·
folder name. A broken file makes the model CORRUPT or INCOMPLETE with a problem that says where; it
never hides the model or its neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from discovery.engine.classify.signals import SignalCollector
from discovery.engine.core import names
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import FormatsLeftOut, NotAModel
from discovery.engine.core.gc_pause import collector_paused
from discovery.engine.core.types import Candidate, Found, Layout, Variant
from discovery.engine.core.vocabulary import Status
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.disk.stores import Revision, hub_cache
from discovery.engine.identify import (
    clue_readers,
    docker_models,
    gguf_kinds,
    gguf_models,
    ollama_models,
    reading,
    side_files,
    weights,
)
from discovery.engine.identify.folder_model import folder_model
from discovery.engine.identify.found import Merge, build, collapse_repeats, is_unsafe
from discovery.engine.identify.gguf_models import GGUFModel
from discovery.engine.identify.header_fields import gguf_fields, weight_fields
from discovery.engine.identify.sidecar_fields import (
    add_card,
    add_license,
    add_metadata_json,
    called,
    card_of,
)
from discovery.engine.identify.weight_files import WeightFile
from discovery.engine.identify.weight_sets import weight_entries
from discovery.engine.sidecars import card


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
        return _hub_cache(root, candidate, allowed, memory_bytes)
    folder = ModelFolder(root, _home(candidate), candidate.files)
    folder.problems.extend(candidate.problems)
    entries, left_out = weight_entries(folder, allowed)
    files, unknown = reading.read_all(root, entries, candidate)
    files, others = weights.recognized(files, allowed)
    left_out |= others
    ggufs = [file for file in files if file.format == "gguf"]
    if candidate.layout is Layout.FOLDER:
        return _folder(candidate, folder, files, unknown, left_out, memory_bytes)
    if ggufs:
        models = gguf_models.group(ggufs)
        whole = len(models) == 1 and _is_home(
            folder.place, models[0].sets[0].files[0].entry.name, folder
        )
        side_files.look(
            folder, [*candidate.files, *candidate.beside], {file.entry.path for file in files}
        )
        return [_gguf(candidate, folder, model, whole, memory_bytes) for model in models]
    if not files:
        raise _nothing(left_out, unknown)
    folder.problems += [problem for file in unknown for problem in file.problems]
    return [_loose(candidate, folder, files)]


def _home(candidate: Candidate) -> str:
    """The folder that the files of a candidate lie in."""
    if candidate.layout is Layout.FILES and any(
        entry.path == candidate.place for entry in candidate.files
    ):
        return candidate.place.rpartition("/")[0] or "."
    return candidate.place


def _nothing(left_out: Collection[str], unknown: Sequence[WeightFile] = ()) -> NotAModel:
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


def _folder(
    candidate: Candidate,
    folder: ModelFolder,
    files: list[WeightFile],
    unknown: list[WeightFile],
    left_out: set[str],
    memory_bytes: int | None,
) -> list[Found]:
    """A model folder, and any GGUF files in it that are no quantizations of its model."""
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
        _gguf(
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
            _nothing(left_out) if left_out else None,
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
    """Whether GGUF files beside a config belong to that model.

    Their shape matches, or nothing contradicts it.
    """
    if alone:
        return True
    width, layers = (
        gguf_models.length(model.metadata, "embedding_length"),
        gguf_models.length(model.metadata, "block_count"),
    )
    declared = (config or {}).get("hidden_size"), (config or {}).get("num_hidden_layers")
    return None not in declared and (width, layers) == declared


def _is_home(place: str, name: str, folder: ModelFolder) -> bool:
    """Whether the folder around loose files belongs to the model.

    It does if it contains metadata or a model card, or if its name contains theirs.

    A README without front matter is no card: it may tell about a whole shelf.
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


def _gguf(
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


def _loose(candidate: Candidate, folder: ModelFolder, files: list[WeightFile]) -> Found:
    """Weight files that stand alone: one checkpoint, perhaps in several formats or precisions.

    A folder of their own gives them its name.
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
        home=_is_home(folder.place, first.name, folder),
    )


def _hub_cache(
    root: str, candidate: Candidate, allowed: frozenset[str], memory_bytes: int | None
) -> list[Found]:
    """The models of a cached repository; its revisions are variants.

    Usually one, or a few for unrelated GGUF files.
    """
    repository, revisions = hub_cache(root, candidate)
    if not revisions:
        raise NotAModel("the cached repository has no snapshot")
    models: dict[str, list[tuple[Revision, Found]]] = {}
    refused: NotAModel | None = None
    for revision in revisions:
        place = f"{candidate.place}/snapshots/{revision.commit}"
        try:
            found = _revision(root, candidate, revision, allowed, memory_bytes)
        except NotAModel as error:
            refused = refused or error
            continue
        for model in found:
            key = "" if model.path == place or len(found) == 1 else model.name
            models.setdefault(key, []).append((revision, model))
    if not models:
        raise refused or NotAModel("the cached repository has no model")
    several = len(models) > 1
    return [
        _cached(candidate, repository, same, key if several else "", not number)
        for number, (key, same) in enumerate(models.items())
    ]


def _cached(
    candidate: Candidate,
    repository: str,
    same: Sequence[tuple[Revision, Found]],
    own_name: str,
    is_first: bool,
) -> Found:
    """One model of a cached repository, from what each revision holds of it.

    ``own_name`` tells it from others of the repository, the first of which stands for its folder.
    """
    found = same[0][1]
    variants: list[Variant] = []
    for revision, model in same:
        if model is not found and is_unsafe(model.problems):
            found = replace(
                found,
                status=Status.UNSAFE,
                problems=collapse_repeats([*model.problems, *found.problems]),
            )
        several = len(model.variants) > 1
        variants += [
            replace(v, name=f"{v.name} · {revision.label}" if several else revision.label)
            for v in model.variants
        ]
    name = own_name or repository
    merge = Merge()
    owner, slash, _ = repository.partition("/")
    merge.add("hub cache", {"name": name})
    for field_name, value in found.values.items():
        merge.add(value.source, {field_name: value.value})
    merge.add(
        "folder name", {"author": owner if slash else None, "version": same[0][0].commit[:12]}
    )
    files = [entry for _, model in same for entry in model.files] if own_name else candidate.files
    problems = candidate.problems if is_first else ()
    rebuilt = build(
        candidate,
        candidate.place if is_first else found.path,
        name,
        merge,
        variants,
        [],
        files,
        [*problems, *found.problems],
    )
    # The same weights outside the cache have the same one.
    rebuilt = replace(rebuilt, fingerprint=found.fingerprint)
    return replace(
        rebuilt,
        status=found.status,
        evidence=found.evidence,
        signals=_renamed(found.signals, name),
        pickled=found.pickled,
    )


def _renamed(signals: Mapping[str, Any], repository: str) -> dict[str, Any]:
    """The name of the snapshot's folder is a commit; the repository's is the model's."""
    told = SignalCollector()
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
) -> list[Found]:
    place = f"{candidate.place}/snapshots/{revision.commit}"
    inner = Candidate(place, Layout.FOLDER, revision.files, candidate.signature)
    folder = ModelFolder(root, place, revision.files)
    entries, left_out = weight_entries(folder, allowed)
    files, unknown = reading.read_all(root, entries, inner)
    files, others = weights.recognized(files, allowed)
    left_out |= others
    return _folder(inner, folder, files, unknown, left_out, memory_bytes)
