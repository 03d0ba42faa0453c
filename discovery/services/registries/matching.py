"""How sure it is that a local model and a remote one are the same, and the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.text import plural
from discovery.services.registries.local_models import LocalModel, Origin, alike
from discovery.services.registries.protocol import RemoteFile

#: Percent from which on a match counts without a person, and from which on one is asked.
CERTAIN, WORTH_ASKING = 90, 40
#: What stays of the confidence in a match whose files have other bytes.
CONTRADICTED = 60

#: Kind of evidence → what it is worth alone. Each further kind adds ``MORE``.
WEIGHTS = {
    "by_hand": 100,
    "checksums": 99,
    "hub_cache": 98,
    "manifest": 98,
    "commit": 97,
    "origin": 95,
    "sizes": 80,
    "path": 60,
    "name": 40,
    "base_model": 30,
    "other_bytes": 0,
}
MORE = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    kind: str
    text: str

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "weight": WEIGHTS[self.kind]}


@dataclass(frozen=True, slots=True)
class Verdict:
    confidence: int
    evidence: tuple[Evidence, ...]

    @property
    def is_certain(self) -> bool:
        return self.confidence >= CERTAIN

    @property
    def is_worth_asking(self) -> bool:
        return self.confidence >= WORTH_ASKING


@dataclass(frozen=True, slots=True)
class Remote:
    """What of a remote model is compared."""

    remote_id: str
    revision: str
    base_model: str
    files: tuple[RemoteFile, ...]


def judge(local: LocalModel, remote: Remote) -> Verdict:
    """The evidence that ``local`` is ``remote``."""
    found = [*_said(local.origins, remote.remote_id)]
    if remote.revision and remote.revision in local.revisions:
        told = f"The files here are of commit {remote.revision[:12]}, its latest."
        found.append(Evidence("commit", told))
    files = {file.path: file for file in remote.files}
    found += _bytes(local, files)
    name = remote.remote_id.rpartition("/")[2].partition(":")[0]
    if alike(name, local.name) and not any(each.kind == "path" for each in found):
        found.append(Evidence("name", f"It has the name {name}."))
    if (
        local.base_model
        and remote.base_model == local.base_model
        and not any(each.kind == "base_model" for each in found)
    ):
        found.append(Evidence("base_model", f"Both are made from {local.base_model}."))
    return _weighed(found)


def _said(origins: Iterable[Origin], remote_id: str) -> Iterable[Evidence]:
    words = {
        "hub_cache": "It is in the Hub’s cache, in the folder {where}.",
        "manifest": "Ollama’s manifest {where} names it.",
        "origin": "{where} names it.",
        "path": "It is in the folder {where}.",
        "base_model": "Its base model {where} has its name.",
    }
    for origin in origins:
        if origin.remote_id.casefold() == remote_id.casefold():
            yield Evidence(origin.kind, words[origin.kind].format(where=origin.where))


def _bytes(local: LocalModel, files: Mapping[str, RemoteFile]) -> Iterable[Evidence]:
    """What checksums say, where there are any, else what sizes do."""
    both = [path for path in local.checksums if path in files and files[path].sha256]
    same = [path for path in both if local.checksums[path] == files[path].sha256]
    if both and len(same) == len(both):
        told = f"{plural(len(same), 'file')} of it have the same SHA-256."
        return [Evidence("checksums", told.replace("1 file of it have", "1 file of it has"))]
    if len(same) < len(both):
        other = next(path for path in both if path not in same)
        return [Evidence("other_bytes", f"{other} has other bytes than here.")]
    shared = [path for path in local.weights if path in files and files[path].size is not None]
    if not shared:
        return []
    differing = sorted(path for path in shared if local.sizes[path] != files[path].size)
    if differing:
        return [Evidence("other_bytes", f"{differing[0]} has another size than here.")]
    if len(shared) == len(local.weights):
        told = f"All its weight files ({len(shared):,}) have the same names and sizes."
        return [Evidence("sizes", told)]
    return []


def _weighed(found: list[Evidence]) -> Verdict:
    found.sort(key=lambda each: -WEIGHTS[each.kind])
    speaking = [each for each in found if WEIGHTS[each.kind]]
    if not speaking:
        return Verdict(0, tuple(found))
    confidence = min(WEIGHTS[speaking[0].kind] + MORE * (len(speaking) - 1), 100)
    # A newer revision of what was downloaded has other bytes too.
    recorded = any(each.kind in ("hub_cache", "manifest", "origin", "commit") for each in found)
    if len(speaking) < len(found) and not recorded:
        confidence = min(confidence, CONTRADICTED) - 25
    return Verdict(max(confidence, 0), tuple(found))
