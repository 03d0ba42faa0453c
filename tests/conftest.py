"""Fixtures that several parts of the suite share."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.brokers import Broker, get_broker

from discovery import startup
from discovery.engine.core.fields import FIELDS
from discovery.engine.core.vocabulary import Status
from discovery.loading import cell
from discovery.models import RegisteredModel, Root
from discovery.services.core import config_files
from discovery.services.jobs import process_tree
from discovery.services.machine import root_probes
from discovery.services.registry.records import resolve
from tests.offline import names as names


def pytest_report_header() -> list[str]:
    """In CI: which cell the tests of test loads ran in, and why in no stronger one."""
    return [cell.here().sentence, *cell.here().missing] if os.environ.get("CI") else []


@pytest.fixture(autouse=True)
def fresh_configs() -> Iterator[None]:
    """No test sees the config files that another one wrote."""
    for file in config_files.FILES:
        file.forget()
    yield
    for file in config_files.FILES:
        file.forget()


@pytest.fixture(autouse=True)
def answering_roots() -> Iterator[None]:
    """No test takes a root for silent that hung in another one."""
    root_probes.forget()
    yield
    root_probes.forget()


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
def task_queue(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """The queue of the task cluster, empty, whichever broker the suite runs on.

    Tasks are sent on commit, which comes at once here: the transaction of a test never commits.
    """
    monkeypatch.setattr("discovery.services.jobs.kind.on_commit", lambda send: send())
    broker = get_broker()
    broker.purge_queue()
    yield broker
    broker.purge_queue()


@pytest.fixture
def private_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process of the installation makes is for its owner alone, as it is once it runs; it
    was started under the umask 022.
    """
    before = os.umask(0o077)
    monkeypatch.setattr(startup, "_umask", 0o022)
    yield
    os.umask(before)


@pytest.fixture
def dead() -> dict[str, Any]:
    """The columns of a job that is running in a process that is gone."""
    now = timezone.now()
    here = {"host": socket.gethostname(), "machine": process_tree.machine(), "pid": 2**22 + 1}
    return {**here, "process_started": 1.0, "started_at": now, "heartbeat_at": now}


@pytest.fixture
def user(db: None) -> User:
    """Somebody who is signed in and no administrator."""
    return User.objects.create_user("reader", password="reader")


@pytest.fixture
def make_model(db: None) -> Callable[..., RegisteredModel]:
    """Makes a registered model from a few facts: ``make_model("bert",
    parameter_count=110_000_000)``.

    Keyword arguments that are columns are set as they are; other document fields go to
    ``extracted`` with the source config.json.
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
        resolved = {field: columns.pop(field) for field in list(columns) if field in FIELDS}
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
