"""Findings are known by file and key instead of their sentence. What people decided stays with the finding it was decided about.

The keys of findings that there are come from their sentences, read here for the last time. Where none can be told, the key stays empty
and the next scan finds the row by its sentence, or because it is the only one of its code in its file.
"""

import re

from django.db import migrations, models

_IMPORT = re.compile(r"(?:(.*): )?loading it (?:would call (\S+), which|runs (\S+), code)")


def _key(row, variants):
    if row.source == "load":
        return next((name for name in variants if row.message.startswith(f"{name}: ")), "")
    if row.code not in ("unsafe_pickle", "unknown_import"):
        return None
    match = _IMPORT.match(row.message.removeprefix(row.path.rpartition("/")[2] + ": "))
    if not match:
        return None
    imported = match[2] or match[3]
    return (f"{match[1]}:{imported}" if match[1] else imported)[:200]


def _file(home, path):
    if path == home:
        return ""
    if home == ".":
        return path[:1000]
    return (path[len(home) + 1 :] if path.startswith(f"{home}/") else path.rpartition("/")[2])[:1000]


def fill(apps, schema_editor):
    finding = apps.get_model("discovery", "Finding")
    model = apps.get_model("discovery", "RegisteredModel")
    batch = []
    rows = finding.objects.order_by("pk").values_list("pk", flat=True)
    for start in range(0, len(keys := list(rows)), 500):
        batch = list(finding.objects.filter(pk__in=keys[start : start + 500]))
        homes = model.objects.filter(pk__in={row.model_id for row in batch}).only("path", "variants").in_bulk()
        taken = set()
        for row in batch:
            home = homes[row.model_id]
            names = sorted((str(item.get("name", "")) for item in home.variants), key=len, reverse=True)
            row.file, row.key = _file(home.path, row.path), _key(row, names)
            known_by = (row.model_id, row.source, row.code, row.file, row.key)
            row.key = None if known_by in taken else row.key
            taken.add(known_by)
        finding.objects.bulk_update(batch, ["file", "key"])


class Migration(migrations.Migration):
    dependencies = [("discovery", "0017_names_with_visibility")]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="file",
            field=models.CharField(blank=True, default="", help_text="Below the model's own path: it moves with the model.", max_length=1000),
        ),
        migrations.AddField(
            model_name="finding",
            name="key",
            field=models.CharField(
                blank=True, null=True, max_length=220, help_text="Tells findings of one code in one file apart; empty since before there were keys."
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
