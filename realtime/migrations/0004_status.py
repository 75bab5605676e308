from django.db import migrations, models

# Django takes the default away once a column is there. Kept, a worker of the release before can
# still write rows until it is replaced.
_KEEP_DEFAULTS = """
    ALTER TABLE realtime_file
      ALTER COLUMN discarded_by SET DEFAULT '', ALTER COLUMN discard_note SET DEFAULT ''
"""
# Each row is changed twice soon after it was written. Left to a fifth of a large table, the newest
# rows, which are asked for most, would have to be looked at one by one for days.
_VACUUM_OFTEN = "ALTER TABLE realtime_file SET (autovacuum_vacuum_scale_factor = 0.02)"
_VACUUM_AS_ALL = "ALTER TABLE realtime_file RESET (autovacuum_vacuum_scale_factor)"


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0003_broken_runs"),
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
                condition=models.Q(
                    ("bucket__gt", ""),
                    ("imported_at__isnull", False),
                    ("outcome__in", ["inserted", "updated"]),
                    ("scraped_at__isnull", False),
                ),
                fields=["jurisdiction_id", "imported_at"],
                include=(
                    "object_type",
                    "run_id",
                    "scraped_at",
                    "queued_at",
                    "received_at",
                    "retried_at",
                ),
                name="realtime_file_visible",
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
        # Serves all that the narrower one did.
        migrations.AddIndex(
            model_name="file",
            index=models.Index(
                fields=["run_id", "object_type", "outcome"], name="realtime_file_run_types"
            ),
        ),
        migrations.RemoveIndex(model_name="file", name="realtime_file_run"),
        migrations.RunSQL(_VACUUM_OFTEN, _VACUUM_AS_ALL),
    ]
