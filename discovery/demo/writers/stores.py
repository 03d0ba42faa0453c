"""Stores that other programs keep: the Hugging Face Hub's cache and Ollama's.

Sources: https://huggingface.co/docs/huggingface_hub/guides/manage-cache and Ollama's ``manifest``
and ``layer`` packages. Blobs are named by the real hash of what they hold, so only small models
belong here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from discovery.demo.writers.folders import sentence_transformers_folder
from discovery.demo.writers.gguf_folders import write_gguf_model
from discovery.demo.writers.shapes import Sizes

_WEIGHTS = (".safetensors", ".bin", ".gguf", ".onnx", ".h5", ".msgpack")
APACHE = "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n"
_OLLAMA = "application/vnd.ollama.image"


def hub_cache(
    path: Path,
    repo_id: str,
    revisions: int = 2,
    *,
    build: Callable[[Path], None] = sentence_transformers_folder,
) -> Path:
    """``models--org--name`` below ``path``, the hub folder.

    ``build`` writes the newest revision; older ones have another card.

    Returns the repository's folder.
    """
    repository = path / f"models--{repo_id.replace('/', '--')}"
    (repository / "blobs").mkdir(parents=True)
    with TemporaryDirectory(dir=path) as building:
        newest = Path(building) / repo_id.rpartition("/")[2]
        build(newest)
        blobs = {
            file.relative_to(newest): _keep(repository, file)
            for file in sorted(newest.rglob("*"))
            if file.is_file()
        }
    for age in reversed(range(revisions)):
        revision = hashlib.sha1(f"{repo_id}@{age}".encode(), usedforsecurity=False).hexdigest()
        for place, blob in blobs.items():
            older = age and place.name == "README.md"
            _link(
                _older_card(blob, age) if older else blob,
                repository / "snapshots" / revision / place,
            )
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(revision)
    return repository


def _keep(repository: Path, file: Path) -> Path:
    """Moved into ``blobs`` under the name Git LFS (weights) or Git (the rest) gives it."""
    name = _sha256(file) if file.suffix in _WEIGHTS else _git_hash(file.read_bytes())
    return file.rename(repository / "blobs" / name)


def _older_card(card: Path, age: int) -> Path:
    data = card.read_bytes() + f"\nReleases since this one: {age}.\n".encode()
    blob = card.with_name(_git_hash(data))
    blob.write_bytes(data)
    return blob


def _link(blob: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(os.path.relpath(blob, place.parent))


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def ollama_store(
    path: Path,
    name: str,
    tags: Sequence[str] = ("latest",),
    *,
    sizes: Sizes | None = None,
    license_text: str = APACHE,
) -> None:
    """``manifests`` and ``blobs`` below ``path``.

    A tag's ending tells its quantization (``135m-fp16``, ``135m-q8_0``); tags of the same
    quantization share their blobs.
    """
    (path / "blobs").mkdir(parents=True, exist_ok=True)
    sizes = sizes or Sizes(hidden=256)
    layers: dict[str, dict[str, object]] = {}
    for tag in tags:
        quantization = {"fp16": "F16", "q4_0": "Q4_0"}.get(tag.rpartition("-")[2], "Q8_0")
        if quantization not in layers:
            draft = path / "blobs/draft"
            write_gguf_model(draft, name, sizes, quantization)
            layers[quantization] = _layer(path, f"{_OLLAMA}.model", draft)
        others = [
            _layer(path, f"{_OLLAMA}.template", b"{{ .System }}\n[INST] {{ .Prompt }} [/INST]"),
            _layer(path, f"{_OLLAMA}.params", b'{"stop":["[INST]","[/INST]"],"temperature":0.7}'),
            _layer(path, f"{_OLLAMA}.license", license_text.encode()),
        ]
        described = {
            "model_format": "gguf",
            "model_family": "llama",
            "model_families": ["llama"],
            "model_type": "",
            "file_type": quantization,
        }
        configuration = _layer(
            path,
            "application/vnd.docker.container.image.v1+json",
            json.dumps(described | {"os": "linux"}).encode(),
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": configuration,
            "layers": [layers[quantization], *others],
        }
        place = path / "manifests/registry.ollama.ai/library" / name / tag
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(manifest), encoding="utf-8")


def _layer(store: Path, media_type: str, content: bytes | Path) -> dict[str, object]:
    """Store ``content`` (a draft file is moved) under its hash and describe it."""
    if isinstance(content, Path):
        digest, size = _sha256(content), content.stat().st_size
        content.rename(store / "blobs" / f"sha256-{digest}")
    else:
        digest, size = hashlib.sha256(content).hexdigest(), len(content)
        (store / "blobs" / f"sha256-{digest}").write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}
