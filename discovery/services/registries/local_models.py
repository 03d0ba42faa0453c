"""What a local model tells of where it comes from, for comparison with remote ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db.models import QuerySet

from discovery.engine.core.text import clean
from discovery.engine.core.types import FileEntry
from discovery.engine.integrity.expected_checksums import download_commits
from discovery.models import FileChecksum, RegisteredModel, Root
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registries.protocol import RemoteFile
from discovery.services.registry.model_files import below, home, home_of, weight_files

#: Fields of metadata.json in which people and programs write where a model is from.
_ORIGINS = ("repo_id", "huggingface_id", "hf_repo", "source", "source_url", "origin", "homepage")
#: ``org/name``, as the Hub allows it.
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_CACHED = re.compile(r"(?:^|/)models--([^/]+?)--([^/]+?)(?:/|$)")
_SNAPSHOT = re.compile(r"(?:^|/)snapshots/([0-9a-f]{40})/")
_MANIFEST = re.compile(r"(?:^|/)manifests/([^/]+)/([^/]+)/([^/]+)/([^/]+)$")
_BLOB = re.compile(r"sha256-([0-9a-f]{64})")
_OLLAMA_HOST = "registry.ollama.ai"

#: Folders that people sort models into: not owners of repositories.
_SHELVES = frozenset(
    {
        "", "models", "model", "hub", "language", "chat", "code", "reasoning", "vision", "audio",
        "multimodal", "specialized", "medical", "legal", "scientific", "llm", "text", "image",
        "checkpoints", "loras", "embeddings",
    }
)  # fmt: skip

#: Columns that are read.
COLUMNS = (
    "pk", "model_id", "name", "display_name", "path", "place", "root", "base_model", "extracted",
    "curated", "files", "variants", "content",
)  # fmt: skip
CHUNK = 500
#: Seconds that the download records of a root may take to be read.
PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Origin:
    """A remote ID that something local names. ``kind`` is the kind of evidence."""

    remote_id: str
    kind: str
    where: str

    @property
    def is_a_guess(self) -> bool:
        """Whether there may well be no such remote model."""
        return self.kind in ("path", "base_model")


@dataclass(slots=True)
class LocalModel:
    """``sizes`` and ``checksums`` are by path as the registry would write it."""

    pk: int
    model_id: str
    name: str
    title: str
    base_model: str
    license: str
    sizes: dict[str, int]
    weights: frozenset[str]
    checksums: dict[str, str] = field(default_factory=dict)
    revision: str = ""
    revisions: frozenset[str] = frozenset()
    origins: list[Origin] = field(default_factory=list)
    #: Its files are named by their content: what differs has another name.
    is_addressed: bool = False

    def stored(self, now: Iterable[RemoteFile]) -> tuple[RemoteFile, ...] | None:
        """Its files as a registry would tell of them, where their names say what they hold.

        Of several tags in one model, what is not in ``now`` may belong to another one.
        """
        if not self.is_addressed:
            return None
        among = {file.path for file in now} if len(self.origins) > 1 else set(self.sizes)
        return tuple(
            RemoteFile(path, size, self.checksums[path])
            for path, size in self.sizes.items()
            if path in among
        )


def read(kind: str, endpoint: str, rows: QuerySet[RegisteredModel]) -> Iterator[list[LocalModel]]:
    """The models of ``rows``, some at a time, as a registry of this kind looks at them."""
    last = 0
    while records := list(
        rows.filter(pk__gt=last).select_related("root").only(*COLUMNS).order_by("pk")[:CHUNK]
    ):
        last = records[-1].pk
        found = {record.pk: _local(record, kind, endpoint) for record in records}
        _add_checksums(found)
        if kind == "huggingface":
            _add_commits(found, records)
        yield list(found.values())


def _local(record: RegisteredModel, kind: str, endpoint: str) -> LocalModel:
    if kind == "ollama":
        return _of_store(record)
    folder = home(record)
    main = record.variants[0]["path"] if record.variants else ""
    snapshots = [match[1] for path, _ in record.files if (match := _SNAPSHOT.search(path))]
    current = _SNAPSHOT.search(f"{main}/")
    revision = current[1] if current else next(iter(snapshots), "")
    sizes = {
        name: size
        for path, size in record.files
        if (name := remote_path(below(path, folder), revision))
    }
    weights = {remote_path(below(path, folder), revision) for path in weight_files(record)}
    return LocalModel(
        pk=record.pk,
        model_id=record.model_id,
        name=record.name,
        title=record.title,
        base_model=record.base_model or "",
        license=_license(record),
        sizes=sizes,
        weights=frozenset(weights - {""}) & frozenset(sizes),
        revision=revision,
        revisions=frozenset(snapshots),
        origins=_origins(record, endpoint),
    )


def _of_store(record: RegisteredModel) -> LocalModel:
    """A model in Ollama's store, whose blobs are named by their SHA-256."""
    blobs = {
        f"blobs/{match[0]}": (size, match[1])
        for path, size in record.files
        if (match := _BLOB.fullmatch(path.rpartition("/")[2]))
    }
    return LocalModel(
        pk=record.pk,
        model_id=record.model_id,
        name=record.name,
        title=record.title,
        base_model=record.base_model or "",
        license=_license(record),
        sizes={path: size for path, (size, _) in blobs.items()},
        weights=frozenset(),
        checksums={path: digest for path, (_, digest) in blobs.items()},
        origins=_of_ollama(record),
        is_addressed=True,
    )


def remote_path(path: str, revision: str) -> str:
    """A path below the model's own as the registry has it; empty for what only a store needs.

    Of several snapshots of the Hub's cache, that of ``revision`` counts.
    """
    if match := _SNAPSHOT.match(path):
        return path[match.end() :] if match[1] == revision else ""
    return "" if path.startswith(("blobs/", "refs/", "../", ".cache/")) else path


def _license(record: RegisteredModel) -> str:
    """As the files have it: what a registry said does not count against itself."""
    entry = record.extracted.get("license") or {}
    own = entry.get("instead_of") if "instead_of" in entry else entry
    return str((own or {}).get("value") or "")


def _origins(record: RegisteredModel, endpoint: str) -> list[Origin]:
    found = []
    for path in (record.path, record.place):
        if match := _CACHED.search(path):
            found.append(Origin(f"{match[1]}/{match[2]}", "hub_cache", match[0].strip("/")))
            break
    custom = record.value("custom")
    found += [
        Origin(remote_id, "origin", f"{name} of metadata.json")
        for name in (_ORIGINS if isinstance(custom, dict) else ())
        if (remote_id := _repository(custom.get(name), endpoint))
    ]
    if any(origin.kind == "hub_cache" for origin in found):
        return found
    parts = record.path.split("/")
    named = parts[-1] if "." not in parts[-1] or len(parts) < 3 else parts[-2]
    around = parts[parts.index(named) - 1] if parts.index(named) else ""
    if around not in _SHELVES and _REPOSITORY.fullmatch(f"{around}/{named}"):
        found.append(Origin(f"{around}/{named}", "path", f"{around}/{named}"))
    base = record.base_model or ""
    if _REPOSITORY.fullmatch(base) and alike(base.rpartition("/")[2], record.name):
        found.append(Origin(base, "base_model", base))
    return list({each.remote_id: each for each in reversed(found)}.values())[::-1]


def _repository(value: Any, endpoint: str) -> str:
    if not isinstance(value, str):
        return ""
    text = clean(value, 300)
    for prefix in (f"{endpoint}/", "https://huggingface.co/", "hf://"):
        text = text.removeprefix(prefix)
    parts = text.strip("/").split("/")
    short = "/".join(parts[:2])
    is_page = len(parts) == 2 or (len(parts) > 2 and parts[2] in ("tree", "resolve", "blob"))
    return short if is_page and _REPOSITORY.fullmatch(short) else ""


def _of_ollama(record: RegisteredModel) -> list[Origin]:
    found = []
    for path, _ in record.files:
        if (match := _MANIFEST.search(path)) and match[1] == _OLLAMA_HOST:
            space = "" if match[2] == "library" else f"{match[2]}/"
            found.append(Origin(f"{space}{match[3]}:{match[4]}", "manifest", path[-200:]))
    return found


def alike(one: str, other: str) -> bool:
    """Whether two names are the same but for case and what stands between words."""
    return _folded(one) == _folded(other) != ""


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")


def _add_checksums(found: dict[int, LocalModel]) -> None:
    """What deep validations have read."""
    rows = FileChecksum.objects.filter(model__in=list(found)).exclude(sha256="")
    for pk, path, digest in rows.values_list("model_id", "path", "sha256"):
        local = found[pk]
        if name := remote_path(path, local.revision):
            local.checksums[name] = digest


def _add_commits(found: dict[int, LocalModel], records: Iterable[RegisteredModel]) -> None:
    """The commits that ``hf download --local-dir`` has noted beside the files."""
    by_root: dict[Root, list[RegisteredModel]] = defaultdict(list)
    for record in records:
        if not found[record.pk].revision and record.root.path != Root.REMOTE:
            by_root[record.root].append(record)
    for root, own in by_root.items():
        real = home_of(own[0])
        wanted = {
            record.pk: [FileEntry(path, size, 0, 0) for path, size in record.files[:50]]
            for record in own
        }
        key = ("download commits", root.pk, own[0].pk)
        try:
            told = reach.within(
                root, key, partial(_commits, real, wanted), longest=PATIENCE, keep=False
            )
        except RootSilent:
            continue
        for pk, commits in told.items():
            found[pk].revisions = frozenset(commits)
            if len(commits) == 1:
                found[pk].revision = next(iter(commits))


def _commits(root: str, wanted: dict[int, list[FileEntry]]) -> dict[int, set[str]]:
    return {pk: download_commits(root, files) for pk, files in wanted.items()}
