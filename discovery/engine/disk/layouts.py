"""How the files of a folder and of its subfolders belong together.

Loose weights, folders of quantizations, training checkpoints, Ollama's store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from discovery.engine.core import format_registry, names
from discovery.engine.core.files import read_file
from discovery.engine.core.text import plural
from discovery.engine.core.types import Candidate, FileEntry, Layout, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk import docker_store
from discovery.engine.disk.listing import FolderListing, signature
from discovery.engine.sidecars import json_file, modules, weight_index

if TYPE_CHECKING:
    from discovery.engine.disk.walk import Walker

#: How deep a pipeline's or a repository's own sub-folders are followed.
MAX_PART_DEPTH = 8

#: The folder of a shard, as an index writes it behind the name of a tensor.
_SUB_FOLDER = re.compile(rb':\s*"([^"\\/]{1,200})/[^"]{1,400}"')


def module_folders(root: str, folder: FolderListing) -> set[str]:
    """Sub-folders that hold modules of the sentence-transformers model in ``folder``."""
    found: set[str] = set()
    for name in (modules.NAME, modules.ROUTER):
        entry = folder.names.get(name) if modules.NAME in folder.names else None
        if entry is None:
            continue
        try:
            raw = read_file(root, entry, modules.MAX_BYTES)
        except OSError:
            continue  # who reads the model says so
        named = modules.read(json_file.parse(raw).data)
        found |= {module.path.partition("/")[0] for module in named}
    return found


def indexed_folders(root: str, folder: FolderListing) -> set[str]:
    """Sub-folders that hold shards which an index in ``folder`` names."""
    found: set[str] = set()
    for name in folder.names:
        if not name.endswith(weight_index.SUFFIXES) or names.is_litter(name):
            continue
        try:
            raw = read_file(root, folder.names[name], json_file.MAX_BYTES)
        except OSError:
            continue  # who reads the model says so
        found |= {each.decode("utf-8", "replace") for each in _SUB_FOLDER.findall(raw)}
    return found


def pieces(folder: FolderListing) -> Iterator[Problem]:
    """Files that somebody has to join before anything can read them."""
    cut: dict[str, list[str]] = {}
    for name in folder.names:
        if whole := names.piece(name):
            cut.setdefault(whole, []).append(name)
    for whole, parts in cut.items():
        text = (
            f"{plural(len(parts), 'piece')} of {whole} {'lies' if len(parts) == 1 else 'lie'} here:"
            " no program reads them before they are joined into one file"
        )
        yield Problem("pieces_unjoined", text, folder.child(parts[0]), Severity.WARNING)


def loose(walker: Walker, folder: FolderListing) -> list[Candidate]:
    """Weight files without a model folder around them: grouped by stem, GGUF files all together."""
    groups: dict[str, list[FileEntry]] = {}
    for name, entry in folder.names.items():
        promised = names.weight_format(name)
        if promised == "gguf":
            groups.setdefault("*.gguf", []).append(entry)
        elif promised or (name.endswith(".xml") and f"{name[:-4]}.bin" in folder.names):
            stem = names.base_stem(name)
            known = format_registry.get(promised)
            key = f"{stem}/{promised}" if known and known.is_program else stem
            groups.setdefault(key, []).append(entry)
        elif name.endswith((".onnx_data", ".onnx.data")):
            groups.setdefault(names.base_stem(name.partition(".onnx")[0]), []).append(entry)
    parts = {stem: whole for stem in groups if (whole := names.whole_of(stem)) in groups}
    own = (
        [entry for entry in folder.files if entry.name in names.SIDECARS]
        if len(groups) == 1 and folder.path != "."
        else []
    )
    found = [
        walker.candidate(
            folder,
            Layout.FILES,
            [*files, *own],
            place=folder.path if key == "*.gguf" else files[0].path,
        )
        for key, files in groups.items()
        if key not in parts
    ]
    for number, key in enumerate(key for key in groups if key not in parts):
        beside = [entry for stem, whole in parts.items() if whole == key for entry in groups[stem]]
        found[number] = walker.with_beside(found[number], beside)
    found = _with_data(found, folder)
    if len(found) != 1:
        return found
    claimed = {entry.path for entry in found[0].files}
    return [
        walker.with_beside(found[0], [entry for entry in folder.files if entry.path not in claimed])
    ]


def _with_data(candidates: list[Candidate], folder: FolderListing) -> list[Candidate]:
    """Add the files next to ONNX files, because their headers may name any of them as weights.

    A folder may contain thousands of ONNX files: they share one list.
    """
    if not any(name.endswith(".onnx") for name in folder.names):
        return candidates
    data = tuple(entry for entry in folder.files if _may_be_data(entry))
    paths, stamp = frozenset(entry.path for entry in data), signature(data)
    return [
        _sharing(each, data, paths, stamp)
        if data and any(entry.name.endswith(".onnx") for entry in each.files)
        else each
        for each in candidates
    ]


def _sharing(
    candidate: Candidate, data: tuple[FileEntry, ...], paths: frozenset[str], stamp: str
) -> Candidate:
    own = {entry.path for entry in candidate.files}
    if not paths.isdisjoint(own):
        data = tuple(entry for entry in data if entry.path not in own)
    if not data:
        return candidate
    return candidate._replace(shared=data, signature=signature((), f"{candidate.signature}{stamp}"))


def _may_be_data(entry: FileEntry) -> bool:
    return names.weight_format(entry.name) in (None, "pytorch") and not names.is_document(
        entry.name
    )


def quantized(walker: Walker, folder: FolderListing) -> Candidate | None:
    """GGUF files in a folder for each quantization, and those next to the folders, as one place."""
    chosen = [name for name in folder.folders if names.is_quantization(name)]
    here = {names.weight_format(name) for name in folder.names} - {None}
    if folder.path == "." or not here <= {"gguf"} or len(chosen) + len(here) < 2:
        return None
    inner = FolderListing(folder.path, names=folder.names, unfinished=set(folder.unfinished))
    files = walker.below(inner, chosen) if chosen else []
    if {names.weight_format(entry.name) for entry in files} - {None} != {"gguf"}:
        for name in chosen:
            walker.forget(folder.child(name))
        return None
    folder.problems += inner.problems
    weights = [entry for entry in files if names.weight_format(entry.name)]
    own = [entry for entry in folder.files if entry.name in names.SIDECARS]
    made = walker.candidate(inner, Layout.FILES, [*weights, *own], place=folder.path)
    claimed = {entry.path for entry in made.files}
    return walker.with_beside(made, [entry for entry in files if entry.path not in claimed])


def with_packages(
    walker: Walker, folder: FolderListing, candidates: list[Candidate]
) -> list[Candidate]:
    """The candidates, each with the folders of the same name that programs treat as files.

    These hold the same weights for another program, or a part of them (``base-encoder.mlmodelc``
    next to ``base.bin``). The folders are removed from those still to be walked.
    """
    packages = [name for name in folder.folders if format_registry.is_like_a_file(name)]
    stems: dict[str, int] = {}
    for position, each in enumerate(candidates if packages else ()):
        known = format_registry.get(names.weight_format(each.files[0].name))
        if known is None or not known.is_program:
            stems.setdefault(names.base_stem(each.files[0].name), position)
    candidates = list(candidates)
    for name in packages:
        stem = names.base_stem(name)
        number = stems.get(stem, stems.get(names.whole_of(stem) or ""))
        if number is None:
            continue
        inside = walker.below(FolderListing(folder.child(name)), [], own=True)
        own = candidates[number]
        if stem in stems:
            files = (*own.files, *inside)
            own = own._replace(files=files, signature=signature(files, own.signature))
        else:
            own = walker.with_beside(own, [*own.beside, *inside])
        candidates[number] = own
        folder.folders.remove(name)
    return candidates


def with_companions(
    walker: Walker, folder: FolderListing, candidates: list[Candidate]
) -> tuple[list[Candidate], list[str]]:
    """(the candidates, the other subfolders), where companions join the loose weights.

    Companions are voices and training states.
    """
    companions = [name for name in folder.folders if names.is_companion(name)]
    beside = [
        entry
        for name in companions
        for entry in walker.below(FolderListing(folder.child(name)), [], own=True)
    ]
    first = walker.with_beside(candidates[0], [*candidates[0].beside, *beside])
    return [first, *candidates[1:]], [name for name in folder.folders if name not in companions]


def promote_checkpoint(walker: Walker, folder: FolderListing) -> None:
    """Treats the last checkpoint of a training as the model if nothing else is left of it."""
    last = max(folder.checkpoints, key=lambda name: names.checkpoint(name) or 0)
    for name in folder.folders:
        looked_into = len(walker.looked_into)
        listing = walker.listing(folder.child(name))
        del walker.looked_into[looked_into:]
        walker.forget(folder.child(name))
        if isinstance(listing, FolderListing) and (
            walker.is_model_folder(listing) or any(map(names.weight_format, listing.names))
        ):
            return
    folder.folders.append(last)
    if folder.child(last) in walker.looked_into:
        walker.looked_into.remove(folder.child(last))


def ollama(walker: Walker, folder: FolderListing) -> list[Candidate]:
    """One candidate for each name in an Ollama store.

    ``manifests/<registry>/<namespace>/<name>`` holds a file for each tag.
    """
    store = FolderListing(folder.child("blobs"))
    blobs = tuple(walker.below(store, [], own=True))
    stamp, hidden = signature(blobs), tuple(store.problems)
    folder.problems.extend(hidden)
    found: list[Candidate] = []
    stack = [folder.child("manifests")]
    while stack:
        listing = walker.listing(stack.pop())
        if not isinstance(listing, FolderListing):
            folder.problems.extend([listing] if isinstance(listing, Problem) else [])
            continue
        stack.extend(
            listing.child(name)
            for name in reversed(listing.folders)
            if listing.path.count("/") < MAX_PART_DEPTH + 8
        )
        tags = tuple(entry for entry in listing.files if not names.is_litter(entry.name))
        if tags:
            found.append(
                Candidate(
                    listing.path,
                    Layout.OLLAMA,
                    tags,
                    signature(tags, stamp),
                    shared=blobs,
                    problems=hidden,
                )
            )
    return found


def docker(walker: Walker, folder: FolderListing) -> Candidate:
    """The whole store as one place: which models are in it, its index says."""
    store = FolderListing(folder.child("blobs"))
    blobs = tuple(walker.below(store, [], own=True))
    parts = [name for name in ("manifests", docker_store.UNPACKED) if name in folder.folders]
    made = walker.candidate(folder, Layout.DOCKER, walker.below(folder, parts))
    return made._replace(
        shared=blobs,
        signature=signature(blobs, made.signature),
        problems=(*made.problems, *store.problems),
    )
