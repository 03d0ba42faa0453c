"""The combinations of groups and collections that models have, and who decided their visibility."""

from collections import defaultdict
from hashlib import blake2b

from django.db import migrations
from django.db.models import Exists, OuterRef, Q


def fill(apps, schema_editor):
    Model = apps.get_model("discovery", "RegisteredModel")
    Audience = apps.get_model("discovery", "Audience")
    Change = apps.get_model("discovery", "MetadataChange")
    chosen = Change.objects.filter(model_id=OuterRef("pk"), field="visibility")
    Model.objects.filter(~Q(visibility="RESTRICTED") | Exists(chosen)).update(
        visibility_source="person"
    )
    sources = defaultdict(set)
    for letter, relation, column in (
        ("g", Model.groups, "group_id"),
        ("c", Model.collections, "collection_id"),
    ):
        rows = relation.through.objects.values_list("registeredmodel_id", column)
        for model, target in rows.iterator():
            sources[model].add(f"{letter}{target}")
    models = defaultdict(list)
    for model, found in sources.items():
        models[",".join(sorted(found))].append(model)
    for text, keys in models.items():
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        audience = Audience.objects.create(key=digest)
        names = text.split(",")
        audience.groups.set(int(name[1:]) for name in names if name[0] == "g")
        audience.collections.set(int(name[1:]) for name in names if name[0] == "c")
        for start in range(0, len(keys), 500):
            Model.objects.filter(pk__in=keys[start : start + 500]).update(audience=audience)


class Migration(migrations.Migration):

    dependencies = [
        ('discovery', '0035_access_rules'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
