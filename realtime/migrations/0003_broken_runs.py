from django.db import migrations, models

# Django takes the default away once a column is there. Kept, a worker of the release before can
# still write rows until it is replaced.
_KEEP_DEFAULT = "ALTER TABLE realtime_run ALTER COLUMN attempts SET DEFAULT 0"


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0002_finalization"),
    ]

    operations = [
        migrations.AddField(
            model_name="scraperun",
            name="attempts",
            field=models.IntegerField(default=0, help_text="how often finalizing it broke"),
        ),
        migrations.RunSQL(_KEEP_DEFAULT, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="scraperun",
            name="closed",
            field=models.TextField(
                blank=True,
                choices=[
                    ("unfinished", "its end had not come when a newer run was finalized"),
                    ("incomplete", "files of it had not come a day after its end"),
                    ("failed-files", "files of it failed, so what it lacks may have been scraped"),
                    (
                        "broken",
                        "finalizing it failed again and again, for a reason that the log says",
                    ),
                ],
            ),
        ),
        migrations.AddIndex(
            model_name="file",
            index=models.Index(
                condition=models.Q(("outcome", "failed")),
                fields=["id"],
                name="realtime_file_failed",
            ),
        ),
    ]
