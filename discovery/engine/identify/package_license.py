"""The license of the package that contains a model, from its metadata above the model.

The metadata are a Python distribution's ``METADATA``, ``pyproject.toml`` or ``package.json``;
nothing above the root is read. A project that merely stores models (weights outside of its Python
package, an app that npm never publishes) says nothing about their license.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from functools import lru_cache
from itertools import islice
from typing import Any

from discovery.engine.core.files import read_file
from discovery.engine.core.text import clean
from discovery.engine.core.types import FileEntry, Value
from discovery.engine.sidecars import license_file

#: Folders looked at above a model, names read of each, bytes read of a file.
MAX_LEVELS = 6
MAX_NAMES = 2_000
MAX_BYTES = license_file.MAX_BYTES
MAX_FILES = 4
#: Folders whose listing is remembered.
MAX_FOLDERS = 4_096

#: A package's own description, best first.
FILES = ("pyproject.toml", "package.json")
#: What makes a folder a part of a Python package.
PACKAGE = "__init__.py"

_HEADER = re.compile(r"^(License-Expression|License):[ \t]*(\S.{0,199})$", re.MULTILINE)
#: What follows the name of a distribution in that of its folder.
_DISTRIBUTION = re.compile(r"(?:-\d[^/]*)?\.(?:dist|egg)-info$")
_LICENSE_FILE = re.compile(r"^License-File:[ \t]*(\S.{0,99})$", re.MULTILINE)
_CLASSIFIER = re.compile(r"^Classifier: License :: (?:.* :: )?(.{1,100})$", re.MULTILINE)


def above(root: str, place: str) -> Value | None:
    """The license that the nearest package above ``place`` states, and the file that states it.

    Both paths are relative to ``root``.
    """
    parts = [] if place == "." else place.split("/")
    in_package = False
    for depth in range(len(parts), max(len(parts) - MAX_LEVELS, -1), -1):
        folder = "/".join(parts[:depth])
        below = parts[depth] if depth < len(parts) else ""
        files = _metadata_files(root, folder, below)
        in_package = in_package or PACKAGE in files
        for name in files:
            if name == PACKAGE or (name == "pyproject.toml" and not in_package):
                continue
            path = f"{folder}/{name}" if folder else name
            text = _text(root, path)
            if text is not None:
                told = _license(name.rpartition("/")[2], text)
                return Value(told, path) if told else _from_text(root, path, text)
    return None


def _from_text(root: str, path: str, metadata: str) -> Value | None:
    """A distribution that names no license brings its text along."""
    folder, _, name = path.rpartition("/")
    if name not in ("METADATA", "PKG-INFO"):
        return None
    for named in _LICENSE_FILE.findall(metadata.partition("\n\n")[0])[:MAX_FILES]:
        if "/" in named or named.startswith("."):
            continue
        for place in (f"{folder}/{named}", f"{folder}/licenses/{named}"):
            text = _text(root, place)
            if text and (told := license_file.read(text.encode())):
                return Value(told, place)
    return None


def _metadata_files(root: str, folder: str, below: str) -> list[str]:
    """Of the folder's own package, and of the distribution that the folder we come from was
    installed by.
    """
    path = os.path.join(root, folder)
    try:
        files, installed = _names(path, os.stat(path).st_mtime_ns)
    except OSError:
        return []
    own = [name for name in installed if _plain(_DISTRIBUTION.sub("", name)) == _plain(below)]
    own = own or [
        name
        for name in installed[:MAX_FILES]
        if not below or _installed(root, f"{folder}/{name}".lstrip("/"), below)
    ]
    return [
        *(f"{n}/{'METADATA' if n.endswith('.dist-info') else 'PKG-INFO'}" for n in own[:1]),
        *files,
    ]


def _installed(root: str, distribution: str, below: str) -> bool:
    """Whether the distribution's list of files has the folder."""
    names = ("RECORD", "SOURCES.txt", "top_level.txt")
    texts = (_text(root, f"{distribution}/{name}") or "" for name in names)
    return any(f"\n{below}/" in f"\n{text}" or text.strip() == below for text in texts)


@lru_cache(MAX_FOLDERS)
def _names(folder: str, _changed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(metadata files, distributions' folders) of a folder, listed once while it does not change,
    because a folder may contain thousands of models. Raises ``OSError``.
    """
    with os.scandir(folder) as entries:
        seen = [entry for entry in islice(entries, MAX_NAMES) if _says(entry.name)]
        names = {entry.name: entry.is_dir(follow_symlinks=False) for entry in seen}
    installed = sorted(n for n, is_folder in names.items() if is_folder and n.endswith("-info"))
    files = (name for name in (PACKAGE, *FILES) if names.get(name) is False)
    return tuple(files), tuple(installed)


def _says(name: str) -> bool:
    return name in FILES or name == PACKAGE or name.endswith((".dist-info", ".egg-info"))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(root: str, path: str) -> str | None:
    try:
        return read_file(root, FileEntry(path, 0, 0, 0), MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def _license(name: str, text: str) -> str | None:
    if name == "package.json":
        described = _loaded(json.loads, text)
        stated = None if described.get("private") is True else described.get("license")
        return _word(stated.get("type") if isinstance(stated, dict) else stated)
    if name == "pyproject.toml":
        project = _loaded(tomllib.loads, text).get("project")
        stated = project.get("license") if isinstance(project, dict) else None
        return _word(stated.get("text") if isinstance(stated, dict) else stated)
    head = text.partition("\n\n")[0]
    told = {match[1]: match[2] for match in _HEADER.finditer(head)}
    classified = _CLASSIFIER.search(head)
    for stated in (
        told.get("License-Expression"),
        told.get("License"),
        classified[1] if classified else None,
    ):
        if (word := _word(stated)) and word.lower() not in ("unknown", "other"):
            return word
    return None


def _loaded(load: Any, text: str) -> dict[str, Any]:
    try:
        data = load(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _word(stated: Any) -> str | None:
    """A name: the whole text of a license in this place says nothing short."""
    if not isinstance(stated, str) or len(stated) > 100 or "\n" in stated.strip():
        return None
    return clean(stated, 100) or None
