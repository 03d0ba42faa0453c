"""A model that is missing, and two others that have its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.contrib.auth.models import User

from discovery.models import RegisteredModel, ScanRun
from discovery.services import scans
from discovery.services.metadata import metadata
from tests.support import builders


def scan(root: Path) -> None:
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND, path=str(root))
    scans.execute(run)


def make_twins(models_root: Path, by: User, description: str) -> None:
    """``x`` is missing with an edit, and ``p`` and ``q`` have its weights."""
    for number, name in enumerate(("x", "u", "v", "w")):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    scan(models_root)
    model = RegisteredModel.objects.get(model_id="x")
    metadata.edit(model, {"description": description}, by=by, channel="page")
    shutil.move(models_root / "x", models_root.parent / "x")
    scan(models_root)
    for name in ("p", "q"):
        shutil.copytree(models_root.parent / "x", models_root / name)
    scan(models_root)
