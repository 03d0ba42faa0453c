"""The roles are groups: viewers, editors, curators and administrators."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

EDITORS = (
    "change_registeredmodel", "add_collection", "change_collection", "delete_collection",
    "add_tag", "change_tag", "delete_tag",
)  # fmt: skip
CURATORS = (
    *EDITORS,
    "view_all_models", "manage_rules", "validate_models", "view_finding", "decide_findings",
    "change_savedview",
)  # fmt: skip
ADMINISTRATORS = (
    *CURATORS,
    "add_registeredmodel", "delete_registeredmodel", "grant_models", "import_metadata",
    "clean_up_models", "join_models", "view_scanrun", "run_scans", "change_root", "view_webhook",
    "add_webhook", "change_webhook", "delete_webhook", "change_apitoken", "view_logentry",
    "view_system", "manage_schedules",
)  # fmt: skip

#: Name of the group → codenames of its permissions.
ROLES: dict[str, tuple[str, ...]] = {
    "Viewers": (),
    "Editors": EDITORS,
    "Curators": CURATORS,
    "Registry administrators": ADMINISTRATORS,
}


def make(apps: Any, schema_editor: Any) -> None:
    """Makes the groups of all roles that are not there yet.

    A group of the name that has permissions, or that needs none, is taken for the role and left
    as it is. One without them has members and models of its own: the role is then made under the
    next free name, so that nobody is given what they never had.
    """
    permissions = _permissions(apps, schema_editor)
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for role, rights in ROLES.items():
        named = re.compile(rf"{re.escape(role)}( \d+)?")
        same = [row for row in groups.filter(name__startswith=role) if named.fullmatch(row.name)]
        if any(not rights or row.permissions.exists() for row in same):
            continue
        taken, name, number = {row.name for row in same}, role, 2
        while name in taken:
            name, number = f"{role} {number}", number + 1
        groups.create(name=name).permissions.add(*permissions.filter(codename__in=rights))


def _permissions(apps: Any, schema_editor: Any) -> Any:
    """Django makes permissions after all migrations; these are needed now."""
    using = schema_editor.connection.alias
    config = apps.get_app_config("discovery")
    # The apps of a migration have no module of models, and would be passed over.
    before, config.models_module = getattr(config, "models_module", None), True
    create_permissions(config, apps=apps, verbosity=0, using=using)
    config.models_module = before
    found = apps.get_model("auth", "Permission").objects.using(using)
    return found.filter(content_type__app_label="discovery")


class Migration(migrations.Migration):
    dependencies = [
        ("discovery", "0030_words_without_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    # Backwards the groups stay: they may have members, and hold nobody back.
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
