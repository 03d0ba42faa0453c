"""The roles are groups: viewers, editors, curators and administrators."""

from __future__ import annotations

from django.db import migrations

from discovery.models import roles


class Migration(migrations.Migration):
    dependencies = [
        ("discovery", "0030_words_without_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    # Backwards the groups stay: they may have members, and hold nobody back.
    operations = [migrations.RunPython(roles.make, migrations.RunPython.noop)]
