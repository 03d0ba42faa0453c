"""What a scan did to a model stands in ``event``: messages no longer begin with it."""

from django.db import migrations
from django.db.models.functions import Substr


def strip(apps, schema_editor):
    entries = apps.get_model("discovery", "LogEntry").objects
    for event in ("new", "changed", "back", "missing"):
        rows = entries.filter(event=event, message__startswith=f"{event}: ")
        rows.update(message=Substr("message", len(event) + 3))


class Migration(migrations.Migration):
    dependencies = [("discovery", "0019_who_expects_a_checksum")]

    operations = [migrations.RunPython(strip, migrations.RunPython.noop)]
