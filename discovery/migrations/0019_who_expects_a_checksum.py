"""Who expects a checksum is a value of its own, no longer the beginning of a sentence."""

from django.db import migrations, models


def fill(apps, schema_editor):
    rows = apps.get_model("discovery", "FileChecksum").objects.exclude(expected_from="")
    rows.filter(expected_from="its git-lfs pointer").update(expected_by="pointer")
    rows.filter(expected_from__startswith="the reading of ").update(expected_by="earlier")
    rows.filter(expected_by="").update(expected_by="published")


class Migration(migrations.Migration):
    dependencies = [("discovery", "0018_finding_keys")]

    operations = [
        migrations.AddField(
            model_name="filechecksum",
            name="expected_by",
            field=models.CharField(
                blank=True,
                choices=[
                    ("published", "Its publisher"),
                    ("pointer", "Its git-lfs pointer"),
                    ("earlier", "An earlier reading, from which it has departed unwritten"),
                ],
                default="",
                max_length=10,
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="filechecksum",
            name="expected_from",
            field=models.CharField(blank=True, help_text="In words.", max_length=200),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
