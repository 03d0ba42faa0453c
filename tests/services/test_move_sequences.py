"""Random sequences of moving, copying, scanning and editing: no decision is lost or doubled, and
every folder is one model.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discovery.models import RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.insight.decisions import carried
from discovery.services.metadata import metadata
from discovery.services.scans import reviewing
from tests.support import builders

STEPS = (
    "move",
    "move",
    "move_root",
    "change_path",
    "copy",
    "edit",
    "edit",
    "scan_one",
    "scan_one",
    "scan_all",
    "confirm",
)

#: Models on the disk at the beginning of each sequence.
MODELS = 4


class World:
    """Roots with models on a disk, and the registry that follows them.

    ``chance`` decides whatever a step leaves open.
    """

    def __init__(self, top: Path, seed: int) -> None:
        self.top = top
        self.chance = Random(seed)
        self.count = 0
        self.copied: set[str] = set()  # configs that more than one folder has, or had
        self.tokens: Counter[str] = Counter()  # everything that was ever decided
        self.by = User.objects.create(username="anna", is_staff=True)
        for name in ("a", "b"):
            (top / name).mkdir()
            scans.locate(str(top / name), add=True)
        for number in range(MODELS):
            builders.transformers(
                top / self.chance.choice("ab") / f"m{number}", hidden=64 + 8 * number
            )

    @property
    def folders(self) -> list[Path]:
        return sorted(path.parent for path in self.top.rglob("config.json"))

    @property
    def roots(self) -> list[Path]:
        return sorted(path for path in self.top.iterdir() if path.is_dir())

    def fresh(self, root: Path) -> Path:
        """A place for a model: a new name, one that was used before, or one further down."""
        self.count += 1
        names = [
            f"new{self.count}",
            f"m{self.chance.randrange(MODELS)}",
            f"deep/m{self.chance.randrange(MODELS)}",
            f"deep/new{self.count}",
        ]
        free = [root / name for name in names if not (root / name).exists()]
        return self.chance.choice(free)

    # -- steps

    def move(self) -> None:
        place = self.fresh(self.chance.choice(self.roots))
        place.parent.mkdir(exist_ok=True)
        self.chance.choice(self.folders).rename(place)

    def copy(self) -> None:
        place = self.fresh(self.chance.choice(self.roots))
        source = self.chance.choice(self.folders)
        shutil.copytree(source, place)
        self.copied.add((place / "config.json").read_text())

    def move_root(self) -> None:
        """``mv /a /new`` and ``serve --models /new``: nobody tells the registry that they are the
        same.
        """
        self.count += 1
        new = self.top / f"root{self.count}"
        self.chance.choice(self.roots).rename(new)
        scans.locate(str(new), add=True)

    def change_path(self) -> None:
        self.count += 1
        roots = [root for root in Root.objects.all() if Path(root.path).is_dir()]
        root, new = self.chance.choice(roots), self.top / f"root{self.count}"
        Path(root.path).rename(new)
        scans.move_root(root, str(new), channel="page")

    def edit(self) -> None:
        record = self.chance.choice(list(RegisteredModel.objects.order_by("pk")) or [None])
        if record is None:
            return
        self.count += 1
        self.tokens[f"token{self.count}"] += 1
        tags = (
            [*(record.value("tags") or []), f"token{self.count}"]
            if record.curated
            else [f"token{self.count}"]
        )
        metadata.edit(record, {"tags": tags}, by=self.by, channel="page")

    def scan_one(self) -> None:
        self._scan(self.chance.choice(list(Root.objects.order_by("pk"))).path)

    def scan_all(self) -> None:
        self._scan("")

    def confirm(self) -> None:
        for root in Root.objects.exclude(frozen_reason="").exclude(missing_count=0):
            self._scan(root.path, accept_missing=True)

    def _scan(self, path: str, **more: bool) -> None:
        run = scans.execute(
            ScanRun.objects.create(trigger=ScanRun.Trigger.COMMAND, path=path, **more)
        )
        assert run.state == "done"

    def settle(self) -> None:
        self.scan_all()
        self.confirm()
        self.scan_all()


def check(world: World) -> None:
    present = RegisteredModel.objects.exclude(status="MISSING").select_related("root")
    assert sorted(f"{each.root.path}/{each.path}" for each in present) == [
        str(folder) for folder in world.folders
    ]
    assert tokens_of(RegisteredModel.objects.all()) == world.tokens, (
        "a decision was lost or doubled"
    )
    offered = set(reviewing.open_moves().values_list("pk", flat=True))
    alike: dict[str, list[RegisteredModel]] = defaultdict(list)
    for each in present:
        alike[each.fingerprint].append(each)
    for record in RegisteredModel.objects.filter(carried(), status="MISSING"):
        assert alike[record.fingerprint], (
            f"{record.path} is on the disk, and the registry has it nowhere"
        )
        assert record.pk in offered, f"{record.path} is stranded, and nobody is asked"
        there = alike[record.fingerprint][0]
        copied = (Path(there.root.path) / there.path / "config.json").read_text() in world.copied
        both_decided = (
            RegisteredModel.objects.filter(carried(), fingerprint=record.fingerprint).count() > 1
        )
        assert copied or both_decided, (
            f"{record.path} is stranded, although only one model can be it"
        )


def tokens_of(rows: Any) -> Counter[str]:
    return Counter(
        tag for record in rows for tag in (record.curated.get("tags") or {"value": []})["value"]
    )


@pytest.mark.slow
@pytest.mark.django_db
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(STEPS), max_size=14), st.integers(0, 2**32))
def test_no_sequence_of_moves_and_scans_loses_or_doubles_a_decision(
    steps: list[str], seed: int
) -> None:
    top = Path(tempfile.mkdtemp())
    try:
        with transaction.atomic():
            world = World(top, seed)
            world.scan_all()
            for step in steps:
                getattr(world, step)()
            world.settle()
            check(world)
            transaction.set_rollback(True)
    finally:
        shutil.rmtree(top)
