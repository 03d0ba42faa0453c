"""Stores that other programs keep models in: the Hub's cache and Ollama's.

Sources: https://huggingface.co/docs/huggingface_hub/guides/manage-cache and Ollama's ``manifest``
package (Docker manifests, schema 2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from discovery.engine.core.files import read_file
from discovery.engine.core.text import clean, storable
from discovery.engine.core.types import Candidate, FileEntry, Problem
from discovery.engine.sidecars import json_file

_LAYER = "application/vnd.ollama.image."
_MAX_TEXT_BLOB = 256 << 10
#: Layers of a model that keeps a blob for each tensor.
MAX_TENSORS = 20_000


@dataclass(frozen=True, slots=True)
class Revision:
    """One snapshot of a repository: its commit, the names (``main``) that point to it, its
    files.
    """

    commit: str
    refs: tuple[str, ...]
    files: tuple[FileEntry, ...]

    @property
    def label(self) -> str:
        return f"{', '.join(self.refs)} ({self.commit[:7]})" if self.refs else self.commit[:7]


def hub_cache(root: str, candidate: Candidate) -> tuple[str, list[Revision]]:
    """(repository id, revisions): the one ``main`` points to first, then the newest."""
    place = candidate.place
    repository = place.rpartition("/")[2].removeprefix("models--").replace("--", "/", 1)
    refs: dict[str, list[str]] = {}
    snapshots: dict[str, list[FileEntry]] = {}
    for entry in candidate.files:
        inside = entry.path[len(place) + 1 :]
        kind, _, rest = inside.partition("/")
        if kind == "refs":
            commit = read_file(root, entry, 200).decode("ascii", "replace").strip()
            refs.setdefault(commit, []).append(rest)
        elif kind == "snapshots" and "/" in rest:
            snapshots.setdefault(rest.partition("/")[0], []).append(entry)
    revisions = [
        Revision(commit, tuple(refs.get(commit, ())), tuple(files))
        for commit, files in snapshots.items()
    ]
    revisions.sort(
        key=lambda revision: (
            "main" not in revision.refs,
            -max(entry.mtime_ns for entry in revision.files),
            revision.commit,
        )
    )
    return repository, revisions


@dataclass(slots=True)
class Tagged:
    """What the tags of an Ollama model point to: the blob of the weights (or one for each tensor),
    its projectors, and what its layers say.

    ``configs`` are files of the model by their names; ``remote`` is what the store knows of a model
    that runs elsewhere; ``is_absent``: not all the blobs of its weights are in the store.
    """

    tags: list[str]
    weights: list[FileEntry]
    projectors: list[FileEntry] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    configs: dict[str, FileEntry] = field(default_factory=dict)
    remote: Mapping[str, Any] = field(default_factory=dict)
    is_tensors: bool = False
    is_absent: bool = False


def ollama(root: str, candidate: Candidate) -> tuple[str, list[Tagged], list[Problem]]:
    """(model name, one entry for all tags with the same weights, problems).

    A manifest whose blob is gone is a problem.
    """
    parts = candidate.place.split("/manifests/", 1)[-1].split("/")
    registry, namespace = (parts[0], parts[1:-1]) if len(parts) > 1 else ("", [])
    prefix = [] if registry == "registry.ollama.ai" and namespace == ["library"] else namespace
    blobs = {entry.name.replace("sha256-", "sha256:"): entry for entry in candidate.shared}
    tagged: dict[str, Tagged] = {}
    problems: list[Problem] = []
    for manifest in candidate.files:
        layers = _layers(root, manifest, problems)
        tensors = [layer for layer in layers if layer.get("mediaType") == f"{_LAYER}tensor"]
        models = [layer for layer in layers if layer.get("mediaType") == f"{_LAYER}model"][:1]
        wanted = [str(layer.get("digest")) for layer in (models or tensors)[:MAX_TENSORS]]
        present = [blobs[digest] for digest in wanted if digest in blobs]
        remote = _remote(root, layers, blobs) if not wanted else {}
        if absent := [digest for digest in wanted if digest not in blobs]:
            more = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
            text = (
                f"the weights of tag {manifest.name} ({absent[0][:19]}…{more}) are not in the store"
            )
            problems.append(Problem("blob_missing", text, manifest.path))
        if not (wanted or remote):
            continue
        home = tagged.setdefault(
            " ".join(wanted) or f"{remote.get('remote_host')} {remote.get('remote_model')}",
            Tagged(
                [],
                [] if absent else present,
                remote=remote,
                is_tensors=not models and bool(tensors),
                is_absent=bool(absent),
            ),
        )
        home.tags.append(manifest.name)
        home.files.append(manifest)
        for layer in layers:
            _take_layer(root, home, layer, blobs)
    return "/".join([*prefix, parts[-1]]), list(tagged.values()), problems


def _remote(
    root: str, layers: Sequence[Mapping[str, Any]], blobs: Mapping[str, FileEntry]
) -> Mapping[str, Any]:
    """The config of a model without weights that says which server runs it; empty for another."""
    for layer in layers:
        entry = blobs.get(str(layer.get("digest")))
        if entry is None:
            continue
        try:
            told = json_file.parse_object(read_file(root, entry, _MAX_TEXT_BLOB)).data
        except OSError:
            continue
        if isinstance(told, dict) and isinstance(told.get("remote_host"), str):
            return told
    return {}


def _layers(root: str, manifest: FileEntry, problems: list[Problem]) -> list[Mapping[str, Any]]:
    try:
        parsed = json_file.parse_object(read_file(root, manifest, 1 << 20))
    except OSError as error:
        problems.append(
            Problem(
                "file_unreadable",
                f"the manifest {manifest.name} cannot be read: {error.strerror or error}",
                manifest.path,
            )
        )
        return []
    if parsed.fault:
        problems.append(
            Problem(
                "sidecar_invalid",
                f"the manifest {manifest.name}: {parsed.fault}",
                manifest.path,
                offset=parsed.offset,
            )
        )
    layers = parsed.data.get("layers") if isinstance(parsed.data, dict) else None
    config = parsed.data.get("config") if isinstance(parsed.data, dict) else None
    return [
        layer
        for layer in [*(layers if isinstance(layers, list) else []), config]
        if isinstance(layer, dict)
    ]


def _take_layer(
    root: str, home: Tagged, layer: Mapping[str, Any], blobs: Mapping[str, FileEntry]
) -> None:
    entry = blobs.get(str(layer.get("digest")))
    if entry is None or entry in home.files:
        return
    home.files.append(entry)
    kind = str(layer.get("mediaType")).removeprefix(_LAYER)
    if kind == "json" and isinstance(name := layer.get("name"), str):
        home.configs.setdefault(name, entry)
    elif kind == "projector":
        home.projectors.append(entry)
    elif kind == "template":
        home.fields["template"] = True
    elif kind == "license" and "license" not in home.fields:
        text = read_file(root, entry, _MAX_TEXT_BLOB).decode("utf-8", "replace")
        home.fields["license"] = clean(
            next((line for line in text.splitlines() if line.strip()), ""), 200
        )
    elif kind == "params":
        try:
            home.fields["optimization_settings"] = storable(
                json.loads(read_file(root, entry, _MAX_TEXT_BLOB))
            )
        except (ValueError, RecursionError):
            return  # parameters that do not parse say nothing; the weights are unharmed
