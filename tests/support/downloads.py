"""A small model to download, for tests of pages and calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from django_q.brokers import Broker

from discovery.models import Root
from tests.support.hub import Hub, HubFile, HubModel


@pytest.fixture
def offered(hub: Hub, config_dir: Path, task_queue: Broker) -> HubModel:
    """``acme/x`` on the hub: two files of 102 bytes."""
    (config_dir / "model_discovery.json").write_text('{"downloads": {"reserve_gb": 0}}')
    files = {"config.json": HubFile(b"{}"), "x.weights": HubFile(b"x" * 100, is_lfs=True)}
    return hub.add(HubModel("acme/x", files, license="mit"))


@pytest.fixture
def root(models_root: Path) -> Root:
    return Root.objects.create(path=str(models_root), name="models")
