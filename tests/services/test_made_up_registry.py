"""The made-up registry that benchmarks and lists are measured on is like a scanned one."""

from __future__ import annotations

import pytest

from discovery.models import Collection, Finding, RegisteredModel, Root, Tag, Visibility
from discovery.services.registry import records
from tests.benchmarks.registry import fill


@pytest.mark.django_db
def test_a_made_up_registry_has_something_of_everything() -> None:
    fill(300)
    fill(20)
    models = RegisteredModel.objects.all()
    assert models.count() == 320
    assert Root.objects.count() == 4
    assert {"READY", "INCOMPLETE", "CORRUPT", "MISSING"} <= set(
        models.values_list("status", flat=True)
    )
    assert set(models.values_list("visibility", flat=True)) == set(Visibility.values)
    for many in (
        models.exclude(license=None),
        models.filter(license=None),
        models.exclude(memory_bytes=None),
        Finding.objects.open(),
        Tag.objects,
    ):
        assert many.count() > 5
    assert Collection.objects.filter(models__groups__isnull=False).exists()
    copies = models.values_list("fingerprint", flat=True)
    assert len(copies) > len(set(copies))


@pytest.mark.django_db
def test_its_columns_are_what_its_values_say() -> None:
    fill(60)
    for record in RegisteredModel.objects.all():
        document = records.document(record)
        assert document["license"] == record.license
        assert document["memory"]["total_bytes"] == record.memory_bytes
        assert sorted(record.tagged.values_list("name", flat=True)) == sorted(document["tags"])
        assert sum(size for _, size in record.files) == record.size_bytes
