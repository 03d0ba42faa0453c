"""Names that the field uses, of columns, constraints, indexes and of the table of skipped places.

No value changes; what JSON columns and permissions hold of these names follows in 0042.
"""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
        ('discovery', '0040_openings'),
    ]

    operations = [
        migrations.RenameField('registeredmodel', 'by_hand', 'registered_manually'),
        migrations.RenameField('registeredmodel', 'attention', 'memory_shape'),
        # The state keeps an index's columns by name, which renaming a field does not follow.
        migrations.RemoveIndex('registeredmodel', 'described_by_what_is_lacking'),
        migrations.RenameField('registeredmodel', 'lacking', 'missing_mask'),
        migrations.AddIndex('registeredmodel', models.Index(fields=['missing_mask', 'completeness', 'sort_name', 'id'], name='models_by_missing_mask')),
        migrations.RenameField('metadatachange', 'through', 'channel'),
        migrations.RenameField('accesschange', 'through', 'channel'),
        migrations.RenameField('settingchange', 'through', 'channel'),
        migrations.RenameField('logentry', 'channel', 'topic'),
        migrations.RenameIndex('registeredmodel', new_name='models_by_completeness', old_name='worst_described_first'),
        migrations.AlterField('bulkedit', 'operation', models.JSONField(help_text='{kind, ...}: what to do, and {atomic, channel}: how.')),
        migrations.RenameModel('Skipped', 'SkippedPath'),
        migrations.AlterModelOptions('skippedpath', {'ordering': ['root', 'place'], 'verbose_name': 'skipped place', 'verbose_name_plural': 'skipped places'}),
        migrations.RemoveConstraint('accessrule', 'one_rule_a_file_key'),
        migrations.AddConstraint('accessrule', models.UniqueConstraint(condition=models.Q(('file_key', ''), _negated=True), fields=('file_key',), name='unique_rule_file_key')),
        migrations.RemoveConstraint('accessrule', 'one_default_a_source'),
        migrations.AddConstraint('accessrule', models.UniqueConstraint(condition=models.Q(('is_default', True)), fields=('is_default', 'file_key'), name='unique_default_rule')),
        migrations.RemoveConstraint('accessterm', 'one_term_a_rule'),
        migrations.AddConstraint('accessterm', models.UniqueConstraint(fields=('rule', 'kind', 'value'), name='unique_access_term')),
        migrations.RemoveConstraint('opening', 'one_opening_a_group'),
        migrations.AddConstraint('opening', models.UniqueConstraint(fields=('group', 'audience'), name='unique_opening')),
        migrations.RemoveConstraint('root', 'one_root_a_name'),
        migrations.AddConstraint('root', models.UniqueConstraint(condition=models.Q(('name', ''), _negated=True), fields=('name',), name='unique_root_name')),
        migrations.RemoveConstraint('skippedpath', 'one_reason_a_place'),
        migrations.AddConstraint('skippedpath', models.UniqueConstraint(fields=('root', 'place'), name='unique_skipped_path')),
        migrations.RemoveConstraint('unrecognized', 'one_unrecognized_a_path'),
        migrations.AddConstraint('unrecognized', models.UniqueConstraint(fields=('root', 'path'), name='unique_unrecognized_path')),
        migrations.RemoveConstraint('registeredmodel', 'one_model_a_path'),
        migrations.AddConstraint('registeredmodel', models.UniqueConstraint(fields=('root', 'path'), name='unique_model_path')),
        migrations.RemoveConstraint('savedview', 'one_view_a_name'),
        migrations.AddConstraint('savedview', models.UniqueConstraint(fields=('owner', 'name'), name='unique_view_name')),
        migrations.RemoveConstraint('forgotten', 'one_memory_a_path'),
        migrations.AddConstraint('forgotten', models.UniqueConstraint(fields=('root', 'path'), name='unique_forgotten_path')),
        migrations.RemoveConstraint('alias', 'an_alias_of_one_model'),
        migrations.AddConstraint('alias', models.CheckConstraint(condition=models.Q(('model__isnull', False), ('forgotten__isnull', False), _connector='XOR'), name='alias_has_one_target')),
        migrations.RemoveConstraint('rejectedmove', 'one_rejection_a_pair'),
        migrations.AddConstraint('rejectedmove', models.UniqueConstraint(fields=('old', 'new'), name='unique_rejected_move')),
        migrations.RemoveConstraint('recategorization', 'one_recategorization_waits'),
        migrations.AddConstraint('recategorization', models.UniqueConstraint(condition=models.Q(('state', 'queued')), fields=('state',), name='unique_queued_recategorization')),
        migrations.RemoveConstraint('signincount', 'one_count_a_door'),
        migrations.AddConstraint('signincount', models.UniqueConstraint(fields=('kind', 'account', 'address'), name='unique_sign_in_count')),
        migrations.RemoveConstraint('idempotentcall', 'one_call_a_key'),
        migrations.AddConstraint('idempotentcall', models.UniqueConstraint(fields=('caller', 'key'), name='unique_idempotency_key')),
        migrations.RemoveConstraint('externalidentity', 'one_account_an_identity'),
        migrations.AddConstraint('externalidentity', models.UniqueConstraint(fields=('issuer', 'subject'), name='unique_external_identity')),
        migrations.RemoveConstraint('externalgrant', 'one_membership_a_source'),
        migrations.AddConstraint('externalgrant', models.UniqueConstraint(fields=('user', 'source', 'group'), name='unique_external_group')),
        migrations.RemoveConstraint('externalgrant', 'one_status_a_source'),
        migrations.AddConstraint('externalgrant', models.UniqueConstraint(condition=models.Q(('status', ''), _negated=True), fields=('user', 'source', 'status'), name='unique_external_status')),
        migrations.RemoveConstraint('scanrun', 'one_active_scan_a_scope'),
        migrations.AddConstraint('scanrun', models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running'))), fields=('path',), name='unique_active_scan')),
        migrations.RemoveConstraint('filechecksum', 'one_checksum_a_file'),
        migrations.AddConstraint('filechecksum', models.UniqueConstraint(fields=('model', 'path'), name='unique_file_checksum')),
        migrations.RemoveConstraint('deepvalidation', 'one_deep_validation_a_model'),
        migrations.AddConstraint('deepvalidation', models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running'))), fields=('model',), name='unique_active_deep_validation')),
        migrations.RemoveConstraint('loadtest', 'one_load_test_a_variant'),
        migrations.AddConstraint('loadtest', models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running'))), fields=('model', 'variant'), name='unique_active_load_test')),
    ]
