"""Resources in the shape of the contract: processor, memory, GPUs, disks of the roots, workers; and
what is installed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.brokers import Broker

from discovery.models import RegisteredModel, Root
from discovery.services.machine import (
    hardware,
    resources,
    root_probes,
    root_states,
    versions,
    workers,
)
from discovery.services.machine.hardware import Cards, GraphicsCard
from discovery.services.machine.workers import Worker, Workers
from tests.hanging import hanging

Make = Callable[..., RegisteredModel]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, task_queue: Broker) -> None:
    """Nobody measures the load of the machine that runs the tests, nor its GPUs and workers."""
    monkeypatch.setattr(resources, "SAMPLE", 0.01)
    monkeypatch.setattr(hardware, "_cards", Cards)
    monkeypatch.setattr(resources, "workers", lambda: Workers((), 0))


def test_the_shape_is_that_of_the_contract(
    make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(root=Root.objects.create(path=str(tmp_path)), size_bytes=1000)
    monkeypatch.setattr(
        hardware,
        "_cards",
        lambda: Cards((GraphicsCard("RTX 4090", 24, 20), GraphicsCard("AMD card0", 16, None))),
    )
    monkeypatch.setattr(
        resources, "workers", lambda: Workers((Worker("alpha", 11, "idle", None),), 0)
    )
    told = resources.resources()
    cores, load = told["cpu"].pop("cores"), told["cpu"].pop("load_percent")
    total, available = told["memory"].pop("total_bytes"), told["memory"].pop("available_bytes")
    (disk,) = told.pop("disks")
    size, free = disk.pop("total_bytes"), disk.pop("free_bytes")
    assert cores == psutil.cpu_count()
    assert 0 <= load <= 100
    assert 0 < available <= total == psutil.virtual_memory().total
    assert 0 < free < size
    assert disk == {"path": str(tmp_path), "models_bytes": 1000}
    assert told == {
        "cpu": {},
        "memory": {},
        "gpus": [
            {"name": "RTX 4090", "total_bytes": 24, "free_bytes": 20},
            {"name": "AMD card0", "total_bytes": 16, "free_bytes": None},
        ],
        "workers": [{"host": "alpha", "pid": 11, "state": "idle"}],
    }


def test_roots_on_one_file_system_are_one_disk_with_the_models_of_both(
    make_model: Make, tmp_path: Path
) -> None:
    for name, size in (("a", 10), ("b", 5)):
        (tmp_path / name).mkdir()
        make_model(name, root=Root.objects.create(path=str(tmp_path / name)), size_bytes=size)
    (disk,) = resources.disks(root_states.roots())
    assert [(share.path, share.models_bytes) for share in disk.roots] == [
        (str(tmp_path / "a"), 10),
        (str(tmp_path / "b"), 5),
    ]
    assert disk.models_bytes == 15
    assert resources.resources()["disks"][0]["path"] == str(tmp_path / "a")


def test_roots_on_two_file_systems_are_two_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Root.objects.create(path=str(tmp_path / name))
    monkeypatch.setattr(
        root_probes,
        "_probe",
        lambda path: root_probes.ProbeResult("", root_probes.FileSystem(ord(path[-1]), 100, 40)),
    )
    assert [
        (disk.roots[0].path[-1], disk.total_bytes, disk.free_bytes)
        for disk in resources.disks(root_states.roots())
    ] == [("a", 100, 40), ("b", 100, 40)]


def test_models_that_are_missing_take_no_room(make_model: Make, tmp_path: Path) -> None:
    root = Root.objects.create(path=str(tmp_path))
    make_model("there", root=root, size_bytes=7)
    make_model("gone", root=root, size_bytes=100, status="MISSING")
    assert resources.resources()["disks"][0]["models_bytes"] == 7


def test_a_root_out_of_reach_has_no_size_but_its_models_and_a_reason(make_model: Make) -> None:
    make_model(root=Root.objects.create(path="/not/there"), size_bytes=7)
    Root.objects.create(path="/not/there/either")
    first, second = resources.disks(root_states.roots())
    assert (first.total_bytes, first.free_bytes, first.models_bytes, first.fault) == (
        None,
        None,
        7,
        "the folder is not there",
    )
    assert second.models_bytes == 0


def test_a_drive_that_hangs_holds_nobody_up(tmp_path: Path, db: None) -> None:
    Root.objects.create(path=str(tmp_path))
    Root.objects.create(path="/mnt/hangs")
    with hanging("/mnt/hangs"):
        for _ in range(2):
            by_path = {disk.roots[0].path: disk for disk in resources.snapshot().disks}
            assert by_path["/mnt/hangs"].fault == "it does not answer"
            assert by_path[str(tmp_path)].total_bytes


def test_a_root_whose_size_hangs_or_fails_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    def stale(_path: Path) -> None:
        raise OSError(116, "Stale file handle")

    Root.objects.create(path=str(tmp_path))
    monkeypatch.setattr(root_probes.shutil, "disk_usage", stale)
    assert [disk.fault for disk in resources.disks(root_states.roots())] == [
        "it cannot be read: Stale file handle"
    ]


def test_many_models_and_roots_cost_no_more_queries_than_few(
    make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "workers", workers.workers)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            resources.resources()
        return len(captured)

    make_model("first", root=Root.objects.create(path=str(tmp_path)))
    few = queries()
    for number in range(12):
        make_model(f"m{number}", root=Root.objects.create(path=f"/not/there/{number}"))
    assert queries() == few <= 6


def test_what_is_installed_is_read_and_never_imported(
    monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    known: dict[str, Any] = {"torch": "2.9.0"}

    def version(name: str) -> str:
        if name in known:
            return str(known[name])
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(
        versions,
        "metadata",
        SimpleNamespace(version=version, PackageNotFoundError=metadata.PackageNotFoundError),
    )
    assert {extra.distribution: extra.version for extra in versions.EXTRAS if extra.version} == {
        "torch": "2.9.0"
    }
    assert {program.name: program.version for program in versions.programs()}["Karen Admin"] is None


def test_the_database_is_named_with_its_version(db: None) -> None:
    by_name = {program.name: program.version for program in versions.programs()}
    assert by_name[connection.display_name] == ".".join(map(str, connection.get_database_version()))
    assert by_name["Django"] == metadata.version("django")


def test_each_extra_installs_the_package_that_it_is_named_for() -> None:
    extras = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for extra in versions.EXTRAS:
        assert any(line.startswith(extra.distribution) for line in extras[extra.extra]), extra
