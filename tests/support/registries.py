"""Registries for tests: a Hub on loopback, the config file that names it, and its models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from discovery.models import RegisteredModel
from tests.support import hub as hub_support
from tests.support.hub import TOKEN, Hub, HubFile, HubModel

Make = Callable[..., RegisteredModel]
OLD, NEW = "a" * 40, "b" * 40
VARIANT = {
    "name": "main",
    "format": "safetensors",
    "status": "READY",
    "size_bytes": 7,
    "weights_bytes": 7,
}


@pytest.fixture
def hub(
    settings: Any, monkeypatch: pytest.MonkeyPatch, config_dir: Path, db: None
) -> Iterator[Hub]:
    settings.REGISTRY_PRIVATE = ["127.0.0.1"]
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with hub_support.running() as server:
        configure(config_dir, server)
        yield server
    huggingface_hub.close_session()


def configure(config_dir: Path, hub: Hub, **more: Any) -> None:
    told = {"enabled": True, "api_key": TOKEN, "endpoint": hub.endpoint, **more}
    document = {"external_registries": {"huggingface": told}}
    (config_dir / "external_registries.json").write_text(json.dumps(document))


def repository(number: int = 0, weights: bytes = b"weights") -> HubModel:
    files = {
        "README.md": HubFile(b"---\nlicense: apache-2.0\n---\n# Model %d\n" % number),
        "config.json": HubFile(b"{}"),
        "model.safetensors": HubFile(weights, is_lfs=True),
    }
    return HubModel(f"acme/model-{number}", files)


def cached(make: Make, number: int = 0, commit: str = OLD, **more: Any) -> RegisteredModel:
    """A model in the Hub's cache on disk."""
    place = f"hub/models--acme--model-{number}"
    snapshot = f"{place}/snapshots/{commit}"
    files = [[f"{snapshot}/{name}", 7] for name in ("config.json", "model.safetensors")]
    variant = {**VARIANT, "path": snapshot, "files": [f"{snapshot}/model.safetensors"]}
    return make(f"model-{number}", path=place, place=place, files=files, variants=[variant], **more)


def loose(make: Make, name: str = "model-0", size: int = 7, **more: Any) -> RegisteredModel:
    """A model in a folder that does not say where it is from."""
    path = f"models/{name}"
    weights = f"{path}/model.safetensors"
    return make(
        name,
        path=path,
        files=[[weights, size]],
        variants=[{**VARIANT, "path": path, "files": [weights]}],
        **more,
    )
