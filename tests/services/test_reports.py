"""The score of a model follows scans, edits and rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from discovery.engine.core.completeness import mask
from discovery.models import RegisteredModel, Root
from discovery.services.insight import completeness_report
from discovery.services.metadata import metadata
from discovery.services.scans import categorization
from tests.support import builders


def test_scans_edits_and_rules_keep_the_score(
    models_root: Path, admin_user: User, scan: Callable[..., Any]
) -> None:
    builders.transformers(models_root / "Tiny", hidden=64)
    Root.objects.create(path=str(models_root))
    scan(models_root)
    record = RegisteredModel.objects.get()
    assert record.missing_mask == mask(
        [
            *completeness_report.advice(
                RegisteredModel.objects.select_related("root").get()
            ).missing,
            "naming",
        ]
    )
    first = record.completeness
    metadata.edit(
        record,
        {"resource_requirements": {"ram": 1}, "performance_metrics": {"speed": 2}},
        by=admin_user,
        channel="page",
    )
    second = RegisteredModel.objects.get().completeness
    assert first is not None
    assert second is not None
    assert second > first
    (models_root / "Tiny/README.md").unlink()
    scan(models_root)
    third = RegisteredModel.objects.get().completeness
    assert third is not None
    assert third < second
    RegisteredModel.objects.update(completeness=0, evidence={})
    categorization.recategorize()
    assert RegisteredModel.objects.get().completeness == third
