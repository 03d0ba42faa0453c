"""Finds unreferenced blobs of the Hub's cache and of an Ollama store.

A store that cannot be read completely yields nothing.

Sources: https://huggingface.co/docs/huggingface_hub/guides/manage-cache and Ollama's ``manifest``
package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from discovery.engine.core.paths import is_under
from discovery.engine.sidecars import json_file

_OLLAMA_BLOB = re.compile(r"^sha256-[0-9a-f]{64}$")
_MAX_MANIFEST = 1 << 20


@dataclass(slots=True)
class Repository:
    """A repository of the Hub's cache; paths are relative to its folder.

    ``links`` maps an entry of a snapshot to the blob it leads to.

    ``outside`` are real places that its links lead to in other folders.
    """

    blobs: list[str] = field(default_factory=list)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    refs: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    fault: str = ""

    @classmethod
    def read(cls, folder: str) -> Repository:
        made, top = cls(), os.path.realpath(folder)
        if fault := _strange(folder, "snapshots", "refs"):
            made.fault = fault
            return made
        try:
            made.blobs = [path for path in _files(folder, "blobs") if path.count("/") == 1]
            for path in _files(folder, "refs"):
                with open(f"{folder}/{path}", encoding="ascii", errors="replace") as stream:
                    made.refs.add(stream.read(200).strip())
            for path in _files(folder, "snapshots"):
                commit, real = path.split("/", 2)[1], os.path.realpath(f"{folder}/{path}")
                if os.path.isdir(real):
                    made.fault = (
                        f"{path} is a link to a folder, so nobody knows which revisions are in use"
                    )
                if not is_under(real, top):
                    made.outside.add(real)
                target = os.path.relpath(real, top)
                made.links.setdefault(commit, {})[path] = target
        except OSError as error:
            made.fault = f"its cache cannot be read whole: {error.strerror or error}"
        return made

    def unnamed(self) -> list[str]:
        named = {target for links in self.links.values() for target in links.values()}
        return [path for path in self.blobs if path not in named and not _unfinished(path)]

    def unfinished(self) -> list[str]:
        return [path for path in self.blobs if _unfinished(path)]

    def old_revisions(self) -> list[str]:
        """Revisions that no branch or tag names, where one that is named is there."""
        if not any(commit in self.refs for commit in self.links):
            return []
        return sorted(commit for commit in self.links if commit not in self.refs)

    def of_revisions(self, commits: Sequence[str]) -> list[str]:
        """Their links, the blobs that no other revision links to, and their folders, the deepest
        first.
        """
        own = {path: target for commit in commits for path, target in self.links[commit].items()}
        others = {
            target
            for commit, links in self.links.items()
            if commit not in commits
            for target in links.values()
        }
        blobs = sorted(
            {
                target
                for target in own.values()
                if target.startswith("blobs/") and target not in others
            }
        )
        folders = {
            path.rsplit("/", depth)[0] for path in own for depth in range(1, path.count("/"))
        }
        return [*sorted(own), *blobs, *sorted(folders, key=lambda path: (-path.count("/"), path))]


@dataclass(slots=True)
class Store:
    """An Ollama store: its blobs, and for each the manifests that name it; paths are relative to
    its folder.
    """

    blobs: list[str] = field(default_factory=list)
    named_by: dict[str, set[str]] = field(default_factory=dict)
    fault: str = ""

    @classmethod
    def read(cls, folder: str) -> Store:
        made = cls()
        if fault := _strange(folder, "manifests"):
            made.fault = fault
            return made
        try:
            made.blobs = [path for path in _files(folder, "blobs") if path.count("/") == 1]
            for path in _files(folder, "manifests"):
                made._take(folder, path)
        except OSError as error:
            made.fault = f"the Ollama store cannot be read whole: {error.strerror or error}"
        return made

    def _take(self, folder: str, path: str) -> None:
        with open(f"{folder}/{path}", "rb") as stream:
            parsed = json_file.parse_object(stream.read(_MAX_MANIFEST))
        data = parsed.data if isinstance(parsed.data, dict) and not parsed.fault else None
        layers = data.get("layers") if data else None
        if data is None or not isinstance(layers, list):
            self.fault = f"{path} is not a readable manifest, so nobody knows which blobs it names"
            return
        for layer in [*layers, data.get("config")]:
            digest = layer.get("digest") if isinstance(layer, dict) else None
            if isinstance(digest, str):
                self.named_by.setdefault(f"blobs/{digest.replace(':', '-')}", set()).add(path)

    def unnamed(self) -> list[str]:
        return [
            path
            for path in self.blobs
            if _OLLAMA_BLOB.match(path[6:]) and path not in self.named_by
        ]

    def unfinished(self) -> list[str]:
        return [path for path in self.blobs if "-partial" in path]

    def only_of(self, manifests: set[str]) -> list[str]:
        """Blobs that no manifest but these names."""
        return sorted(
            path
            for path in self.blobs
            if path in self.named_by and self.named_by[path] <= manifests
        )


def _strange(folder: str, *parts: str) -> str:
    """Why what names the blobs cannot be followed; empty where it can."""
    return next(
        (
            f"{part} is a link to another folder, so nobody knows what is in use"
            for part in parts
            if os.path.islink(f"{folder}/{part}")
        ),
        "",
    )


def _unfinished(path: str) -> bool:
    return path.endswith((".incomplete", ".lock"))


def _files(top: str, below: str) -> Iterator[str]:
    """Every entry of ``top``/``below`` that is not a folder, as a path below ``top``.

    Empty if there is no such folder. Raises ``OSError``.
    """
    stack = (
        [below] if os.path.isdir(f"{top}/{below}") and not os.path.islink(f"{top}/{below}") else []
    )
    while stack:
        path = stack.pop()
        with os.scandir(f"{top}/{path}") as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.is_dir(follow_symlinks=False):
                    stack.append(f"{path}/{entry.name}")
                else:
                    yield f"{path}/{entry.name}"
