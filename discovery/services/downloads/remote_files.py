"""The files of a remote model: which of them may be downloaded, and which are by default."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from discovery.engine.core import format_registry, names
from discovery.engine.core.text import clean, storable
from discovery.services.registries.protocol import RemoteFile

#: Of the quantizations of one repository, the first of these is chosen where nobody says which.
PREFERRED = ("Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q8_0")

#: Folders of a repository that a file may lie in.
MAX_DEPTH = 16

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Offered:
    """A file that a registry lists.

    ``fault`` says why it cannot be downloaded; ``is_chosen`` whether it is where nobody says which.
    """

    file: RemoteFile
    fault: str
    is_pickle: bool
    is_chosen: bool

    @property
    def path(self) -> str:
        return self.file.path


def offered(
    files: Sequence[RemoteFile], *, pickles: bool = False, own: Collection[str] = ()
) -> list[Offered]:
    """All files of a remote model, in its order.

    Of one that is here in another revision, with the files ``own``, other weights are left out.
    """
    faults = faults_of(files)
    paths = {file.path for file in files}
    skipped = _other_quantizations(files)
    has_safetensors = any(path.endswith(".safetensors") for path in paths)
    found = []
    for file in files:
        pickle = is_pickle(file.path, paths)
        left_out = file.path in skipped or (pickle and has_safetensors and not pickles)
        if own and _is_weights(file.path):
            left_out = (file.path not in own and not _is_shard_of(file.path, own)) or (
                pickle and has_safetensors
            )
        fault = faults.get(file.path, "")
        # What is refused is shown, in characters that can be.
        shown = replace(file, path=clean(file.path, 1_000)) if fault else file
        found.append(Offered(shown, fault, pickle, not left_out))
    return found


def faults_of(files: Iterable[RemoteFile]) -> dict[str, str]:
    """{path: why no file here may have it}; of paths that are one file, the later ones."""
    faults: dict[str, str] = {}
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for file in files:
        path = file.path
        fault = file.path_fault or _place_fault(path)
        if not fault and file.size is not None and file.size < 0:
            fault = "its size is less than nothing"
        folded = _folded(path)
        if not fault and seen.setdefault(folded, path) != path:
            fault = f"it is the same file as {seen[folded]} where upper and lower case are one"
        if fault:
            faults[path] = fault
            continue
        parts = folded.split("/")
        for depth in range(1, len(parts)):
            folders.setdefault("/".join(parts[:depth]), path)
    for folded, path in seen.items():
        if folded in folders and path not in faults:
            faults[path] = f"{clean(folders[folded], 200)} needs a folder of this name"
    return faults


def _place_fault(path: str) -> str:
    parts = path.split("/")
    if not path.isprintable() or storable(path) != path:
        return "it has characters that file names cannot have"
    if any(names.is_junk(part) for part in parts[:-1]):
        return "scans never look into a folder of this name"
    if len(parts) > MAX_DEPTH + 1:
        return f"it lies more than {MAX_DEPTH} folders deep"
    return ""


def _folded(path: str) -> str:
    """Two paths with the same are one file on some system."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def is_pickle(path: str, others: Iterable[str]) -> bool:
    """Whether its name is that of a file that loading may run code from."""
    name = path.rpartition("/")[2]
    if name.endswith(".bin") and f"{path[:-4]}.xml" in others:  # the weights of OpenVINO
        return False
    if names.is_training_state(name):
        return not name.endswith(".json")
    known = format_registry.get(names.weight_format(name) or names.format_of_suffix(name))
    return known is not None and known.holds_pickles


def _other_quantizations(files: Iterable[RemoteFile]) -> set[str]:
    """GGUF files of all quantizations but one, where a repository holds several."""
    by_name: dict[str, list[RemoteFile]] = {}
    for file in files:
        own = file.path.rpartition("/")[2]
        if own.lower().endswith(".gguf") and not names.is_projector(own):
            by_name.setdefault(names.quantization(own) or "", []).append(file)
    if len(by_name) < 2:
        return set()
    smallest = min(by_name, key=lambda name: sum(file.size or 0 for file in by_name[name]))
    kept = next((name for name in PREFERRED if name in by_name), smallest)
    return {file.path for name, group in by_name.items() if name != kept for file in group}


def _is_weights(path: str) -> bool:
    return names.weight_format(path.rpartition("/")[2]) is not None


def _is_shard_of(path: str, own: Collection[str]) -> bool:
    """Whether it is one of a set of shards of which others are here; their number may change."""
    folder, _, name = path.rpartition("/")
    part = names.shard(name)
    return part is not None and any(
        (other.rpartition("/")[0], names.stem(other.rpartition("/")[2])) == (folder, part.stem)
        and names.weight_format(other.rpartition("/")[2]) == names.weight_format(name)
        for other in own
    )


def as_json(file: RemoteFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256 if _SHA256.fullmatch(file.sha256) else "",
        "git_sha1": file.git_sha1 if _SHA1.fullmatch(file.git_sha1) else "",
        "url": storable(file.url),
    }


def of_json(row: dict[str, Any]) -> RemoteFile:
    return RemoteFile(row["path"], row["size"], row["sha256"], row["git_sha1"], row["url"])


def total(files: Iterable[RemoteFile]) -> int:
    return sum(file.size or 0 for file in files)
