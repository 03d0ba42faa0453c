"""The models of a repository in the Hugging Face cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from discovery.engine.classify.signals import SignalCollector
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate, Found, Layout, Variant
from discovery.engine.core.vocabulary import Status
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.disk.stores import Revision, hub_cache
from discovery.engine.identify import models_in_folder, reading, weights
from discovery.engine.identify.found import Merge, build, collapse_repeats, is_unsafe
from discovery.engine.identify.weight_sets import weight_entries


def read(
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
    """One model of a cached repository, assembled from its revisions.

    ``own_name`` distinguishes it from other models of the repository; the first of these gets the
    repository's folder.
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
    return models_in_folder.read(inner, folder, files, unknown, left_out, memory_bytes)
