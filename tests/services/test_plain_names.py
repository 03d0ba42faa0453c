"""Columns, constraints and a table got plainer names: every row and every grant is as before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from discovery.models import (
    BulkEdit,
    Forgotten,
    Listing,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    Root,
    SkippedPath,
)

BEFORE = "0040_openings"

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def upgraded(transactional_db: None) -> Iterator[dict[str, Any]]:
    """A small registry of the version before, migrated; the primary keys of its rows."""
    call_command("migrate", "discovery", BEFORE, verbosity=0)
    state = MigrationExecutor(connection).loader.project_state([("discovery", BEFORE)])
    try:
        yield _registry(state.apps)
    finally:
        call_command("migrate", verbosity=0)


def _registry(apps: Any) -> dict[str, Any]:
    def create(app_label: str, kind: str, /, **values: Any) -> Any:
        return apps.get_model(app_label, kind).objects.create(**values)

    root = create("discovery", "Root", path="/models")
    model = create(
        "discovery", "RegisteredModel", model_id="llama", root=root, path="llama", place="llama",
        signature="s", fingerprint="f", name="llama", status="READY", by_hand=True,
        attention={"shape": {"groups": [1]}}, lacking=37, completeness=50, added_at=NOW,
        changed_at=NOW,
    )  # fmt: skip
    change = create(
        "discovery", "MetadataChange", model=model, field="license", after="mit", at=NOW,
        through="api", batch=uuid4(),
    )  # fmt: skip
    entry = create("discovery", "LogEntry", at=NOW, level="info", channel="metadata", message="set")
    skipped = create(
        "discovery", "Skipped", root=root, place="half", signature="s", reason="no weights"
    )
    kept = {"curated": {}, "by_hand": True, "changes": [{"field": "tags", "through": "page"}]}
    forgotten = create(
        "discovery", "Forgotten", root=root, path="gone", model_id="gone", kept=kept, at=NOW
    )
    edit = create(
        "discovery", "BulkEdit", batch=uuid4(), selection={"keys": [model.pk]}, state="queued",
        operation={"kind": "tags", "atomic": True, "through": "admin"},
    )  # fmt: skip
    content, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="discovery", model="skipped"
    )
    right, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type_id=content.pk, codename="view_skipped", defaults={"name": "Can view skipped"}
    )
    group = create("auth", "Group", name="Readers of skipped places")
    group.permissions.add(right)
    call_command("migrate", "discovery", verbosity=0)
    return {
        "model": model.pk, "change": change.pk, "entry": entry.pk, "skipped": skipped.pk,
        "forgotten": forgotten.pk, "edit": edit.pk, "right": right.pk, "group": group.pk,
        "root": root.pk,
    }  # fmt: skip


@pytest.mark.slow
def test_nothing_is_lost_and_what_was_unique_is_unique(
    upgraded: dict[str, Any], django_user_model: Any
) -> None:
    model = RegisteredModel.objects.get(pk=upgraded["model"])
    assert (model.registered_manually, model.missing_mask, model.completeness) == (True, 37, 50)
    assert model.memory_shape == {"shape": {"groups": [1]}}
    assert MetadataChange.objects.get(pk=upgraded["change"]).channel == "api"
    assert LogEntry.objects.get(pk=upgraded["entry"]).topic == "metadata"
    assert SkippedPath.objects.get(pk=upgraded["skipped"]).place == "half"
    kept = Forgotten.objects.get(pk=upgraded["forgotten"]).kept
    assert kept == {
        "curated": {},
        "registered_manually": True,
        "changes": [{"field": "tags", "channel": "page"}],
    }
    assert BulkEdit.objects.get(pk=upgraded["edit"]).operation == {
        "kind": "tags",
        "atomic": True,
        "channel": "admin",
    }
    person = django_user_model.objects.create_user("eve")
    person.groups.set([upgraded["group"]])
    assert person.get_all_permissions() == {"discovery.view_skippedpath"}
    assert Listing.objects.filter(pk=model.pk).exists()

    root = Root.objects.get(pk=upgraded["root"])
    with pytest.raises(IntegrityError), transaction.atomic():
        SkippedPath.objects.create(root=root, place="half", signature="s", reason="again")
    model = RegisteredModel.objects.get(pk=upgraded["model"])
    model.pk, model.model_id = None, "second"
    with pytest.raises(IntegrityError), transaction.atomic():
        model.save()
