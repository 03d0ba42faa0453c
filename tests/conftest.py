"""Fixtures that several parts of the suite share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.brokers import Broker, get_broker

from discovery.engine.types import Status
from discovery.models import RegisteredModel, Root
from discovery.services import configs
from discovery.services.records import resolve


@pytest.fixture(autouse=True)
def fresh_configs() -> Iterator[None]:
    """No test sees the config files that another one wrote."""
    for file in configs.FILES:
        file.forget()
    yield
    for file in configs.FILES:
        file.forget()


@pytest.fixture
def models_root(tmp_path: Path) -> Path:
    """An empty folder to put models in."""
    root = tmp_path / "models"
    root.mkdir()
    return root


@pytest.fixture
def config_dir(tmp_path: Path, settings: Any) -> Path:
    """A config directory and a data directory of the test's own."""
    settings.CONFIG_DIR = tmp_path / "config"
    settings.DATA_DIR = tmp_path / "data"
    settings.CONFIG_DIR.mkdir()
    return tmp_path / "config"


@pytest.fixture
def task_queue(db: None) -> Iterator[Broker]:
    """The queue of the task cluster, empty, whichever broker the suite runs on."""
    broker = get_broker()
    broker.purge_queue()
    yield broker
    broker.purge_queue()


@pytest.fixture
def user(db: None) -> User:
    """Somebody who is signed in and no administrator."""
    return User.objects.create_user("reader", password="reader")


@pytest.fixture
def make_model(db: None) -> Callable[..., RegisteredModel]:
    """Makes a registered model from a few facts: ``make_model("bert", parameter_count=110_000_000)``.

    Keyword arguments that are columns are set as they are; other document fields go to ``extracted`` with the source config.json.
    """

    def make(
        name: str = "tiny-model",
        *,
        root: Root | None = None,
        extracted: dict[str, Any] | None = None,
        **columns: Any,
    ) -> RegisteredModel:
        root = root or Root.objects.get_or_create(path="/srv/models")[0]
        now = timezone.now()
        facts = {"type": "TRANSFORMERS", "format": "safetensors", **(extracted or {})}
        resolved = {
            field: columns.pop(field) for field in list(columns) if field in _DOCUMENT_FIELDS
        }
        record = RegisteredModel(
            model_id=columns.pop("model_id", name.lower()),
            root=root,
            path=columns.pop("path", name),
            place=columns.pop("place", name),
            signature="0" * 32,
            fingerprint=columns.pop("fingerprint", "0" * 32),
            name=name,
            status=columns.pop("status", Status.READY),
            added_at=columns.pop("added_at", now),
            changed_at=now,
            **columns,
        )
        record.extracted = {
            field: {"value": value, "source": "config.json"}
            for field, value in {**facts, **resolved}.items()
        }
        resolve(record)
        record.save()
        return record

    return make


_DOCUMENT_FIELDS = frozenset(
    {
        "display_name", "description", "type", "format", "architecture", "parameter_count", "context_length", "vocab_size", "dtype", "quantization",
        "license", "author", "version", "base_model", "primary", "secondary", "specialization", "tags", "language_support",
    }
)  # fmt: skip
