"""The store of Docker's Model Runner (``~/.docker/models``).

``models.json`` names the models, and a manifest for each says what its blobs are.

Source: ``pkg/distribution/internal/store`` and ``types`` of
https://github.com/docker/model-runner (OCI image manifests).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from discovery.engine.core.files import read_file
from discovery.engine.core.text import clean
from discovery.engine.core.types import Candidate, FileEntry, Problem
from discovery.engine.sidecars import json_file

INDEX = "models.json"
FOLDERS = frozenset({"manifests", "blobs"})
#: What a model that runs is unpacked into.
UNPACKED = "bundles"

MAX_INDEX_BYTES = 4 << 20
MAX_MODELS = 10_000
MAX_MANIFEST_BYTES = 1 << 20
MAX_LAYERS = 10_000
MAX_LICENSE_BYTES = 64 << 10

_MEDIA = "application/vnd.docker.ai."
_WEIGHTS = ("gguf", "safetensors", "dduf")
_REGISTRIES = ("index.docker.io/", "docker.io/", "registry-1.docker.io/")


@dataclass(slots=True)
class Stored:
    """One manifest of the store: ``weights``, ``projectors`` and everything else that it names.

    ``missing`` are digests of weights that are not there.
    """

    name: str
    tags: list[str]
    manifest: FileEntry
    weights: list[FileEntry] = field(default_factory=list)
    projectors: list[FileEntry] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    license: str | None = None
    has_template: bool = False


def is_store(files: Collection[str], folders: Collection[str]) -> bool:
    return INDEX in files and FOLDERS.issubset(folders)


def models(root: str, candidate: Candidate) -> tuple[list[Stored], list[Problem]]:
    """What the index names, in its order; a manifest that is gone or broken is a problem."""
    problems: list[Problem] = []
    entries = {entry.path: entry for entry in candidate.files}
    index = entries.get(_below(candidate.place, INDEX))
    told = _object(root, index, MAX_INDEX_BYTES, problems) if index else {}
    blobs = {entry.name: entry for entry in candidate.shared}
    found: list[Stored] = []
    listed = told.get("models")
    for item in listed[:MAX_MODELS] if isinstance(listed, list) else []:
        digest = _digest(item.get("id")) if isinstance(item, dict) else ""
        if not digest:
            continue
        manifest = entries.get(_below(candidate.place, f"manifests/sha256/{digest}"))
        name, tags = _called(item.get("tags"), digest)
        if manifest is None:
            text = f"the manifest of {name} ({digest[:12]}…) is not in the store"
            problems.append(Problem("blob_missing", text, candidate.place, key=digest[:12]))
            continue
        stored = Stored(name, tags, manifest, files=[manifest])
        for layer in _layers(root, manifest, problems):
            _take(root, stored, layer, blobs)
        found.append(stored)
    return found, problems


def _below(place: str, path: str) -> str:
    return path if place == "." else f"{place}/{path}"


def _digest(value: object) -> str:
    """The hexadecimal digits of ``sha256:…``; empty for anything else."""
    digits = value.removeprefix("sha256:") if isinstance(value, str) else ""
    return (
        digits if len(digits) == 64 and all(each in "0123456789abcdef" for each in digits) else ""
    )


def _called(tags: object, digest: str) -> tuple[str, list[str]]:
    """(repository, tags of it): ``ai/smollm2`` and ``latest``."""
    told = (
        [clean(tag, 200) for tag in tags[:100] if isinstance(tag, str)]
        if isinstance(tags, list)
        else []
    )
    short = [_without_registry(tag) for tag in told if tag]
    if not short:
        return digest[:12], []
    name = short[0].rpartition(":")[0] or short[0]
    return name, [tag.rpartition(":")[2] for tag in short if tag.startswith(f"{name}:")]


def _without_registry(tag: str) -> str:
    return next((tag[len(each) :] for each in _REGISTRIES if tag.startswith(each)), tag)


def _object(root: str, entry: FileEntry, limit: int, problems: list[Problem]) -> Mapping[str, Any]:
    try:
        parsed = json_file.parse_object(read_file(root, entry, limit))
    except OSError as error:
        text = f"{entry.name} cannot be read: {error.strerror or error}"
        problems.append(Problem("file_unreadable", text, entry.path))
        return {}
    if parsed.fault:
        text = f"{entry.name}: {parsed.fault}"
        problems.append(Problem("sidecar_invalid", text, entry.path, offset=parsed.offset))
    return parsed.data if isinstance(parsed.data, dict) else {}


def _layers(root: str, manifest: FileEntry, problems: list[Problem]) -> Iterator[Mapping[str, Any]]:
    told = _object(root, manifest, MAX_MANIFEST_BYTES, problems)
    layers = told.get("layers")
    for layer in [*(layers[:MAX_LAYERS] if isinstance(layers, list) else []), told.get("config")]:
        if isinstance(layer, dict):
            yield layer


def _take(
    root: str, stored: Stored, layer: Mapping[str, Any], blobs: Mapping[str, FileEntry]
) -> None:
    media = str(layer.get("mediaType"))
    kind = media.removeprefix(_MEDIA).partition(".")[0] if media.startswith(_MEDIA) else ""
    digest = _digest(layer.get("digest"))
    entry = blobs.get(digest)
    if entry is None:
        stored.missing += [digest[:12]] if kind in _WEIGHTS else []
        return
    if entry in stored.files:
        return
    stored.files.append(entry)
    if kind in _WEIGHTS:
        stored.weights.append(entry)
    elif kind == "mmproj":
        stored.projectors.append(entry)
    elif kind == "chat":
        stored.has_template = True
    elif kind == "license" and stored.license is None:
        try:
            text = read_file(root, entry, MAX_LICENSE_BYTES).decode("utf-8", "replace")
        except OSError:
            return  # who reads the weights says that the store cannot be read
        first = next((line for line in text.splitlines() if line.strip()), "")
        stored.license = clean(first, 200) or None
