from django.db import migrations, models

# Django takes the default away once a column is there. Kept, a worker of the release before can
# still write rows until it is replaced.
_KEEP_DEFAULTS = """
    ALTER TABLE realtime_file
      ALTER COLUMN discarded_by SET DEFAULT '', ALTER COLUMN discard_note SET DEFAULT ''
"""


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0002_finalization"),
    ]

    operations = [
        migrations.AddField(
            model_name="file",
            name="retried_at",
            field=models.DateTimeField(help_text="when it was last sent again", null=True),
        ),
        migrations.AddField(
            model_name="file",
            name="discarded_at",
            field=models.DateTimeField(help_text="its failure needs no attention", null=True),
        ),
        migrations.AddField(
            model_name="file", name="discarded_by", field=models.TextField(blank=True)
        ),
        migrations.AddField(
            model_name="file", name="discard_note", field=models.TextField(blank=True)
        ),
        migrations.RunSQL(_KEEP_DEFAULTS, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="file",
            index=models.Index(
                fields=["jurisdiction_id", "imported_at"], name="realtime_file_imported"
            ),
        ),
        migrations.AddIndex(
            model_name="file",
            index=models.Index(
                condition=models.Q(("discarded_at", None), ("outcome", "failed")),
                fields=["jurisdiction_id", "reason", "imported_at"],
                name="realtime_file_failures",
            ),
        ),
    ]
