"""``is_staff`` opens Django's administration and nothing else: who had it before keeps what they could do, by a group."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUP = "Registry administrators"

#: What pages and the API let staff do, by the names of the permissions that ask for it now.
RIGHTS = (
    "view_all_models", "change_registeredmodel", "add_registeredmodel", "delete_registeredmodel", "grant_models",
    "validate_models", "import_metadata", "clean_up_models", "manage_rules", "view_finding", "decide_findings",
    "view_scanrun", "run_scans", "add_collection", "change_collection", "delete_collection", "add_tag", "change_tag",
    "delete_tag", "change_savedview", "view_webhook", "add_webhook", "change_webhook", "delete_webhook",
    "change_apitoken", "view_logentry", "view_system", "manage_schedules", "join_models", "change_root",
)  # fmt: skip


def give(apps: Any, schema_editor: Any) -> None:
    """Django makes permissions after all migrations; these are needed now."""
    using = schema_editor.connection.alias
    config = apps.get_app_config("discovery")
    before, config.models_module = getattr(config, "models_module", None), True  # state apps have none, and are passed over without
    create_permissions(config, apps=apps, verbosity=0, using=using)
    config.models_module = before
    staff = list(
        apps.get_model("auth", "User").objects.using(using).filter(is_staff=True, is_superuser=False).order_by("username")
    )
    if not staff:
        return
    group = _new_group(apps.get_model("auth", "Group").objects.using(using))
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    group.permissions.add(*permissions.filter(content_type__app_label="discovery", codename__in=RIGHTS))
    group.user_set.add(*staff)
    apps.get_model("discovery", "Notice").objects.using(using).create(
        title=f"Staff are in the group {group.name} now",
        text=f"Being staff opens nothing but Django's admin any more: what people may do comes from permissions. The group {group.name} "
        "holds what staff could do until now, except that accounts, groups and permissions are for superusers. "
        "Take out of the group whoever should not administer the registry.",
        names=[person.username for person in staff],
    )


def _new_group(groups: Any) -> Any:
    """Never one that exists: its members would be given what they never had."""
    taken, name, number = set(groups.values_list("name", flat=True)), GROUP, 2
    while name in taken:
        name, number = f"{GROUP} {number}", number + 1
    return groups.create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("discovery", "0025_permissions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    # Backwards the group stays: it may have been changed, and holds nobody back.
    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
