"""The groups that each audience opens its restricted models to, and no audience that none has."""

import django.db.models.deletion
from django.db import migrations, models

FILL = """
INSERT INTO discovery_opening (audience_id, group_id)
SELECT audience_id, group_id FROM discovery_audience_groups
UNION
SELECT has.audience_id, granted.group_id FROM discovery_audience_collections has
JOIN discovery_collection_groups granted ON granted.collection_id = has.collection_id
UNION
SELECT has.audience_id, granted.group_id FROM discovery_audience_rules has
JOIN discovery_accessrule_groups granted ON granted.accessrule_id = has.accessrule_id
"""

UNUSED = (
    "SELECT id FROM discovery_audience WHERE NOT EXISTS (SELECT 1 FROM discovery_registeredmodel"
    " WHERE discovery_registeredmodel.audience_id = discovery_audience.id)"
)

PRUNE = [
    *(
        f"DELETE FROM discovery_audience_{name} WHERE audience_id IN ({UNUSED})"
        for name in ("groups", "collections", "rules")
    ),
    f"DELETE FROM discovery_audience WHERE id IN ({UNUSED})",
]


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('discovery', '0039_plugins'),
    ]

    operations = [
        migrations.RunSQL(PRUNE, migrations.RunSQL.noop, elidable=True),
        migrations.CreateModel(
            name='Opening',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('audience', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='openings', to='discovery.audience')),
                ('group', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='auth.group')),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['audience', 'group'], name='openings_of_one')],
                'constraints': [models.UniqueConstraint(fields=('group', 'audience'), name='one_opening_a_group')],
            },
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop, elidable=True),
    ]
