"""The names of 0041 where they are values: in JSON columns, and in the permissions of skipped places.

What people were granted, and what is kept of forgotten models and of bulk edits, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import migrations

ACTIONS = ("add", "change", "delete", "view")

#: Rows that are read and written at a time.
BATCH = 200


def _renamed(document: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in document.items()}


def _each(model: Any, using: str, column: str, change: Callable[[Any], Any]) -> None:
    rows = model.objects.using(using).order_by("pk")
    last = 0
    while batch := list(rows.filter(pk__gt=last).only("pk", column)[:BATCH]):
        for row in batch:
            setattr(row, column, change(getattr(row, column)))
        rows.bulk_update(batch, [column])
        last = batch[-1].pk


def _names(apps: Any, using: str, hand: tuple[str, str], through: tuple[str, str]) -> None:
    def kept(document: dict[str, Any]) -> dict[str, Any]:
        changes = [_renamed(change, *through) for change in document.get("changes", ())]
        return {**_renamed(document, *hand), "changes": changes}

    _each(apps.get_model("discovery", "Forgotten"), using, "kept", kept)
    _each(
        apps.get_model("discovery", "BulkEdit"),
        using,
        "operation",
        lambda operation: _renamed(operation, *through),
    )


def _permissions(apps: Any, using: str, old: tuple[str, str], new: tuple[str, str]) -> None:
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    for action in ACTIONS:
        permissions.filter(
            content_type__app_label="discovery", codename=f"{action}_{old[0]}"
        ).update(codename=f"{action}_{new[0]}", name=f"Can {action} {new[1]}")


SKIPPED, PLACE = ("skipped", "skipped"), ("skippedpath", "skipped place")


def forwards(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    _names(apps, using, ("by_hand", "registered_manually"), ("through", "channel"))
    _permissions(apps, using, SKIPPED, PLACE)


def backwards(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    _names(apps, using, ("registered_manually", "by_hand"), ("channel", "through"))
    _permissions(apps, using, PLACE, SKIPPED)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("discovery", "0041_plain_names"),
    ]

    operations = [migrations.RunPython(forwards, backwards)]
