"""Downloads from external registries, and the right to them."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def give(apps, schema_editor):
    """The right to downloads goes to the groups that may change roots, settings and scan.

    Django makes permissions after all migrations; this one is needed now.
    """
    config, using = apps.get_app_config("discovery"), schema_editor.connection.alias
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0, using=using)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    right = permissions.get(content_type__app_label="discovery", codename="download_models")
    groups = apps.get_model("auth", "Group").objects.using(using)
    for codename in ("manage_settings", "change_root", "run_scans"):
        groups = groups.filter(
            permissions__content_type__app_label="discovery", permissions__codename=codename
        )
    for group in groups:
        group.permissions.add(right)


class Migration(migrations.Migration):

    dependencies = [
        ('discovery', '0044_external_registries'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Download',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cancel_requested', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('dispatched_at', models.DateTimeField(blank=True, help_text='When its task was last sent to the queue.', null=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('heartbeat_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('host', models.CharField(blank=True, max_length=255)),
                ('machine', models.CharField(blank=True, help_text='Boot and process namespace in which pid counts.', max_length=100)),
                ('pid', models.PositiveIntegerField(blank=True, null=True)),
                ('process_started', models.FloatField(blank=True, help_text='Start of the process: a number is given out again.', null=True)),
                ('interruptions', models.PositiveSmallIntegerField(default=0, help_text='How often in a row its process died.')),
                ('goes_on', models.BooleanField(default=False, help_text='It was cut off, and is begun again by itself.')),
                ('message', models.CharField(blank=True, help_text='Why it failed, or what a person should know.', max_length=2000)),
                ('state', models.CharField(db_index=True, default='queued', max_length=12)),
                ('key', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('registry', models.CharField(max_length=40)),
                ('remote_id', models.CharField(max_length=300)),
                ('revision', models.CharField(blank=True, max_length=100)),
                ('license', models.CharField(blank=True, max_length=200)),
                ('files', models.JSONField(default=list)),
                ('folder', models.CharField(help_text='Relative to the root.', max_length=1000)),
                ('staging', models.CharField(blank=True, help_text='Absolute path.', max_length=2000)),
                ('device', models.BigIntegerField(blank=True, help_text='The file system that it goes to (st_dev).', null=True)),
                ('inode', models.BigIntegerField(blank=True, null=True)),
                ('accepts_unsafe', models.BooleanField(default=False, help_text='Somebody wants it placed although loading it would run code.')),
                ('is_automatic', models.BooleanField(default=False, help_text='By auto_download.')),
                ('total_bytes', models.BigIntegerField(default=0)),
                ('done_bytes', models.BigIntegerField(default=0)),
                ('done_files', models.PositiveIntegerField(default=0)),
                ('speed', models.BigIntegerField(default=0, help_text='Bytes a second, while it runs.')),
                ('current_path', models.CharField(blank=True, max_length=1000)),
                ('attempts', models.PositiveSmallIntegerField(default=0, help_text='Tries in a row that brought nothing.')),
                ('retry_at', models.DateTimeField(blank=True, help_text='When it is tried again.', null=True)),
                ('pause_requested', models.BooleanField(default=False)),
                ('fault', models.CharField(blank=True, max_length=12)),
                ('model', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='discovery.registeredmodel')),
                ('updates', models.ForeignKey(blank=True, help_text='The model that it is a newer revision of.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='discovery.registeredmodel')),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('root', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='downloads', to='discovery.root')),
            ],
            options={
                'ordering': ['-pk'],
                'permissions': (('download_models', 'Can download models from external registries'),),
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running', 'paused'))), fields=('root', 'folder'), name='one_download_a_folder')],
            },
        ),
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
