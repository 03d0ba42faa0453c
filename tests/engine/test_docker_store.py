"""The store of Docker's Model Runner: a model for each repository, its tags as variants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.core.types import Found
from discovery.engine.core.vocabulary import Status
from tests.support import builders

Read = Callable[..., dict[str, Found]]


def value(found: Found, field: str) -> object:
    return found.values[field].value if field in found.values else None


def docker_store(root: Path, tags: dict[str, list[str]]) -> dict[str, str]:
    """A store of Docker's Model Runner: a model of its own for each key, with its tags; key →
    digest of its weights.
    """
    listed, weights = [], {}

    def keep(kind: str, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = root / kind / "sha256" / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return f"sha256:{digest}"

    for key, names in tags.items():
        place = root / "x.gguf"
        metadata = {"general.architecture": "llama", "general.name": key}
        builders.gguf(place, metadata, [("token_embd.weight", "F32", (8, 4))])
        weights[key] = keep("blobs", place.read_bytes())
        place.unlink()
        license_text = keep("blobs", b"Apache License\nVersion 2.0\n")
        config = keep("blobs", json.dumps({"config": {"format": "gguf", "name": key}}).encode())
        prefix = "application/vnd.docker.ai."
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": f"{prefix}model.config.v0.1+json", "digest": config},
            "layers": [
                {"mediaType": f"{prefix}gguf.v3", "digest": weights[key]},
                {"mediaType": f"{prefix}license", "digest": license_text},
            ],
        }
        identity = keep("manifests", json.dumps(manifest).encode())
        listed.append({"id": identity, "tags": names, "files": []})
    (root / "models.json").write_text(json.dumps({"models": listed}))
    (root / "layout.json").write_text('{"version": "1.0.0"}')
    return weights


def test_the_store_of_docker_holds_a_model_for_each_repository(
    models_root: Path, read: Read
) -> None:
    tags = {
        "small": ["ai/smollm2:360M", "ai/smollm2:latest"],
        "large": ["ai/smollm2:1.7B"],
        "gemma": ["docker.io/ai/gemma3:4B"],
    }
    docker_store(models_root / "docker" / "models", tags)
    models = {str(value(found, "name")): found for found in read(models_root).values()}
    assert sorted(models) == ["ai/gemma3", "ai/smollm2"]
    assert sorted(variant.name for variant in models["ai/smollm2"].variants) == [
        "1.7B",
        "360M, latest",
    ]
    gemma = models["ai/gemma3"]
    assert (value(gemma, "type"), value(gemma, "format")) == ("LLAMA_CPP", "gguf")
    assert (gemma.status, value(gemma, "parameter_count")) == (Status.READY, 32)


def test_weights_that_docker_has_not_pulled_are_told(models_root: Path, read: Read) -> None:
    weights = docker_store(models_root / "store", {"gemma": ["ai/gemma3:4B"]})
    (models_root / "store/blobs/sha256" / weights["gemma"].removeprefix("sha256:")).unlink()
    (found,) = read(models_root).values()
    assert found.status is Status.INCOMPLETE
    assert [problem.code for problem in found.problems] == ["blob_missing"]


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"models": [null, {"id": "../../x"}]}'])
def test_an_index_that_names_nothing_is_no_model(index: str, models_root: Path, read: Read) -> None:
    docker_store(models_root / "store", {"gemma": ["ai/gemma3:4B"]})
    (models_root / "store" / "models.json").write_text(index)
    assert read(models_root) == {}
