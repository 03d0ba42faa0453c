"""Fixtures that several parts of the suite share."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django_q.brokers import Broker, get_broker
from filelock import FileLock
from whitenoise.middleware import WhiteNoiseMiddleware

from discovery import startup
from discovery.engine.core.fields import FIELDS
from discovery.engine.core.service_words import VisibilitySource
from discovery.engine.core.vocabulary import Status
from discovery.loading import cell
from discovery.models import RegisteredModel, Root
from discovery.services.access import access_file
from discovery.services.cleanup import orphans
from discovery.services.core import config_files, timeouts
from discovery.services.jobs import process_tree
from discovery.services.machine import root_probes
from discovery.services.registry.records import resolve
from tests.offline import names as names
from tests.support.patience import as_shipped, be_patient

#: How long an example takes tells of the machine.
hypothesis.settings.register_profile(
    "suite",
    hypothesis.settings(),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")


def pytest_report_header() -> list[str]:
    """In CI: which cell the tests of test loads ran in, and why in no stronger one."""
    return [cell.here().sentence, *cell.here().missing] if os.environ.get("CI") else []


#: Where ``migrated`` lies.
EMPTY = Path(settings.DATA_DIR).parent / "migrated" / "karen.sqlite3.empty"


@pytest.fixture(autouse=True)
def fresh_configs() -> Iterator[None]:
    """No test sees the config files that another one wrote."""
    for file in config_files.FILES:
        file.forget()
    access_file.forget()
    yield
    if settings.CONFIG_DIR.is_relative_to(tempfile.gettempdir()):
        shutil.rmtree(settings.CONFIG_DIR, ignore_errors=True)
    for file in config_files.FILES:
        file.forget()


@dataclass
class Migrated:
    """The database after all migrations, which one process makes and all later ones copy.

    Its name is a digest of what it is made of: a change of models, migrations or libraries makes
    another one. Who finds none keeps the others waiting until it is made.
    """

    file: Path
    lock: FileLock
    was_there: bool

    def keep(self, made: Path) -> None:
        if not self.was_there:
            part = self.file.with_suffix(f".{os.getpid()}")
            shutil.copy(made, part)
            part.replace(self.file)
        self.lock.release()


@pytest.fixture(scope="session")
def migrated_once(django_db_modify_db_settings: None) -> Iterator[Migrated | None]:
    """``None`` on PostgreSQL."""
    if connection.vendor != "sqlite":
        yield None
        return
    folder = Path(tempfile.gettempdir()) / "karen-migrated"
    folder.mkdir(mode=0o700, exist_ok=True)
    file, own = folder / f"{_schema()}.sqlite3", Path(connection.settings_dict["TEST"]["NAME"])
    lock = FileLock(file.with_suffix(".lock"))
    lock.acquire()
    once = Migrated(file, lock, file.exists())
    if once.was_there:
        shutil.copy(file, own)
        lock.release()
    yield once
    lock.release()
    own.unlink(missing_ok=True)


def _schema() -> str:
    """A digest of all that a migrated database follows from."""
    package = Path(settings.BASE_DIR) / "discovery"
    digest = blake2b(digest_size=16)
    for path in sorted((*package.glob("models/*.py"), *package.glob("migrations/*.py"))):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    for name in ("Django", "django-q2", "django-allauth"):
        digest.update(f"{name} {version(name)}\n".encode())
    digest.update(" ".join(settings.INSTALLED_APPS).encode())
    return digest.hexdigest()


@pytest.fixture(scope="session")
def django_db_keepdb(migrated_once: Migrated | None) -> bool:
    return migrated_once is not None and migrated_once.was_there


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: Any, migrated_once: Migrated | None
) -> None:
    """Keeps a copy of the database before any test writes to it, for ``migrated``."""
    with django_db_blocker.unblock():
        # Where no test of the run uses the database, there is none.
        if migrated_once is not None and connection.introspection.table_names():
            EMPTY.parent.mkdir(mode=0o700)
            with closing(sqlite3.connect(EMPTY)) as copy:
                connection.connection.backup(copy)
            migrated_once.keep(EMPTY)


@pytest.fixture(scope="session")
def migrated(django_db_setup: None) -> Path:
    """A SQLite database as a new installation has it, to copy: migrations take processes of their
    own longer than what they are started for.
    """
    if not EMPTY.exists():  # the run uses another database, or none
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "-v0"]
        env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        env["KAREN_DATA_DIR"] = str(EMPTY.parent)
        env["DJANGO_SETTINGS_MODULE"] = "karen_admin.settings"
        subprocess.run(command, env=env, check=True)
        (EMPTY.parent / "karen.sqlite3").rename(EMPTY)
    return EMPTY


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """No test takes a busy machine for a disk, a driver or a broker that hangs."""
    be_patient()


@pytest.fixture(scope="session", autouse=True)
def static_files() -> Iterator[None]:
    """Static files are collected once a process, not by each client of each test."""
    collect, collected = WhiteNoiseMiddleware.add_files_from_finders, {}

    def once(middleware: WhiteNoiseMiddleware) -> None:
        if middleware.static_prefix not in collected:
            collect(middleware)
            collected[middleware.static_prefix] = middleware.files.copy()
        middleware.files.update(collected[middleware.static_prefix])

    with patch.object(WhiteNoiseMiddleware, "add_files_from_finders", once):
        yield


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    """No test takes for silent what hung in another one, or waits for the answer it had."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    root_probes.forget()
    orphans.forget()
    timeouts.forget()


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    """``wait()`` for it hangs until the test is over, and the product waits for disks, drivers and
    brokers as long as it does in earnest.
    """
    over = threading.Event()
    with as_shipped():
        yield over
    over.set()


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
        if "visibility" in columns:
            columns.setdefault("visibility_source", VisibilitySource.PERSON)
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
