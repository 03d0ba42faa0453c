"""Settings of single roots, the history of settings, and the right to change them."""

import django.db.models.deletion
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import migrations, models



def give(apps, schema_editor):
    """The right to change settings goes to the groups that may already move schedules and roots.

    Django makes permissions after all migrations; this one is needed now.
    """
    config, using = apps.get_app_config("discovery"), schema_editor.connection.alias
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0, using=using)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    right = permissions.get(content_type__app_label="discovery", codename="manage_settings")
    groups = apps.get_model("auth", "Group").objects.using(using)
    for codename in ("manage_schedules", "change_root"):
        groups = groups.filter(
            permissions__content_type__app_label="discovery", permissions__codename=codename
        )
    for group in groups:
        group.permissions.add(right)


class Migration(migrations.Migration):

    dependencies = [
        ('discovery', '0031_roles'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='root',
            options={'ordering': ['path'], 'permissions': (('view_system', 'Can see the System page and the figures of the machine'), ('manage_schedules', 'Can run, pause and move schedules'), ('manage_settings', 'Can change settings'))},
        ),
        migrations.AddField(
            model_name='root',
            name='interval_minutes',
            field=models.PositiveIntegerField(blank=True, help_text='Minutes between scans by the clock; empty: as the others.', null=True),
        ),
        migrations.AddField(
            model_name='root',
            name='max_depth',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Folders that scans go down into; empty: as the others.', null=True),
        ),
        migrations.AddField(
            model_name='root',
            name='read_only',
            field=models.BooleanField(default=False, help_text='Nothing is written below it.'),
        ),
        migrations.CreateModel(
            name='SettingChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('file', models.CharField(max_length=100)),
                ('key', models.CharField(help_text='Path inside the file, with dots.', max_length=200)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
                ('at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('through', models.CharField(choices=[('page', 'Page'), ('file', 'File')], max_length=20)),
                ('undone_at', models.DateTimeField(blank=True, null=True)),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['file', 'key', '-id'], name='discovery_s_file_315d02_idx')],
            },
        ),
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
