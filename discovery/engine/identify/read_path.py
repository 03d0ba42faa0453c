"""Reads a path given by a person as a scan would, even if scans exclude it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b

from discovery.engine.core import format_registry
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate, Found, Layout, Problem, Variant
from discovery.engine.core.vocabulary import ModelType, Severity, Status
from discovery.engine.disk import folder
from discovery.engine.disk.listing import FolderListing
from discovery.engine.disk.walk import Walker, all_files, walk
from discovery.engine.identify import side_files
from discovery.engine.identify.found import Merge, build
from discovery.engine.identify.identify import identify
from discovery.engine.identify.sidecar_fields import add_card, add_config, add_metadata_json

#: Models looked at before it is said that there are several.
MAX_MODELS = 20

REGISTERED = "registration"

UNREAD = "no reader knows the format of these files: what is in them was not checked"


def candidates(
    root: str, path: str, settings: Discovery, skip: Sequence[str] = ()
) -> Iterator[Candidate]:
    """Candidates at or below ``path``, at any depth. Opens no file.

    Exclusions are ignored where they would leave nothing.
    """
    deep = settings.model_copy(update={"max_scan_depth": 64, "scan_subdirectories": True})
    if (owner := _owner(root, path, deep)) is not None:
        yield owner
        return
    is_folder = os.path.isdir(os.path.join(root, path))
    start = path if is_folder else path.rpartition("/")[0] or "."
    for chosen in (deep, deep.model_copy(update={"exclude_patterns": ()})):
        met = False
        for item in walk(root, chosen, start=start, skip=skip):
            if isinstance(item, Candidate) and (
                is_folder or any(entry.path == path for entry in item.files)
            ):
                met = True
                yield item
        if met:
            return


def _owner(root: str, path: str, settings: Discovery) -> Candidate | None:
    """The candidate above ``path`` that includes it: a pipeline, a repository, a store."""
    walker = Walker(root, settings, frozenset())
    parts = path.split("/")
    for depth in range(len(parts)):
        listing = walker.listing("/".join(parts[:depth]) or ".")
        if not isinstance(listing, FolderListing):
            continue
        for candidate in walker.candidates(listing)[0]:
            if candidate.place == path or any(
                entry.path == path or entry.path.startswith(f"{path}/") for entry in candidate.files
            ):
                return candidate
    return None


def read(
    root: str, path: str, settings: Discovery, memory_bytes: int | None, skip: Sequence[str] = ()
) -> tuple[Candidate, Found]:
    """The only model at ``path`` (relative to ``root``, links resolved), and its candidate.

    Raises ``NotAModel`` when there are several or nothing at all, ``OSError`` when the place cannot
    be listed.
    """
    models: list[tuple[Candidate, Found]] = []
    settings = settings.model_copy(update={"supported_formats": format_registry.names()})
    met: Candidate | None = None
    for candidate in candidates(root, path, settings, skip):
        met = candidate if candidate.place == path else met
        try:
            models += [
                (candidate, found) for found in identify(root, candidate, settings, memory_bytes)
            ]
        except NotAModel:
            continue
        if len(models) > MAX_MODELS:
            break
    exact = [pair for pair in models if pair[1].path == path]
    holding = (
        exact
        or [pair for pair in models if any(entry.path == path for entry in pair[1].files)]
        or models
    )
    if len(holding) > 1:
        shown = ", ".join(found.path for _, found in holding[:3])
        raise NotAModel(
            f"there are several models: {shown}{', …' if len(holding) > 3 else ''}; register one of"
            " them"
        )
    return holding[0] if holding else _unread(root, path, met or all_files(root, settings, path))


def _unread(root: str, path: str, candidate: Candidate) -> tuple[Candidate, Found]:
    """A model of unknown format, built from its sidecars. Raises ``NotAModel``."""
    if not candidate.files:
        raise NotAModel("the folder is empty")
    files, merge, name = (
        folder.ModelFolder(root, path, candidate.files),
        Merge(),
        path.rpartition("/")[2],
    )
    add_metadata_json(merge, files)
    if config := files.json("config.json"):
        add_config(merge, files, "config.json", config)
    add_card(merge, files)
    side_files.look(files, [*candidate.files, *candidate.beside])
    size = sum(entry.size for entry in candidate.files)
    variant = Variant(
        name, path, "", Status.READY, size, files=tuple(entry.path for entry in candidate.files)
    )
    problems = [
        *files.problems,
        *candidate.problems,
        Problem("format_unknown", UNREAD, path, Severity.WARNING),
    ]
    found = build(candidate, path, name, merge, [variant], [], candidate.files, problems)
    return candidate, replace(found, pickled=files.pickled)


def hosted(endpoint: str, name: str) -> Found:
    """A model that another server runs, known by address and name. Sends no request."""
    path = f"{endpoint}#{name}"
    mark = blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    merge = Merge()
    merge.add(REGISTERED, {"type": ModelType.OPENAI, "endpoint": endpoint})
    found = build(
        Candidate(path, Layout.FILES, (), mark),
        path,
        name,
        merge,
        [Variant(name, path, "", Status.REMOTE, 0)],
        [],
        (),
        (),
    )
    # A name alone is a guess.
    values = {
        name: value for name, value in found.values.items() if not name.endswith("modalities")
    }
    return replace(found, status=Status.REMOTE, fingerprint=mark, values=values, evidence={})
