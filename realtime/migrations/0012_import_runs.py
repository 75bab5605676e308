"""A new table: no other is touched."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0011_listed_people"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "way",
                    models.TextField(
                        choices=[
                            ("queue", "messages of the queue"),
                            ("follow", "--follow: messages or files as they come"),
                            (
                                "messages",
                                "messages that were handed over: Lambda's event, or standard input",
                            ),
                            ("sweep", "files in the store's root"),
                            ("source", "--from: a source"),
                            ("finalize", "finalize_realtime"),
                            ("archive", "archive_realtime"),
                        ]
                    ),
                ),
                ("host", models.TextField(help_text="name of the host, or of the Lambda function")),
                (
                    "request_id",
                    models.TextField(blank=True, help_text="Lambda's id of the invocation"),
                ),
                ("process_id", models.IntegerField()),
                (
                    "backend_pid",
                    models.IntegerField(help_text="process id of its connection in PostgreSQL"),
                ),
                (
                    "import_run_id",
                    models.TextField(help_text="import_run_id of its lines in the log"),
                ),
                ("runs", models.IntegerField(default=1)),
                ("started_at", models.DateTimeField()),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("is_idle", models.BooleanField(default=False, help_text="it did nothing")),
                (
                    "counts",
                    models.JSONField(default=dict, help_text="files by outcome, and the like"),
                ),
                ("seconds", models.JSONField(default=dict, help_text="by stage, and in total")),
                (
                    "requests",
                    models.JSONField(default=dict, help_text="to store and queue, by operation"),
                ),
                ("statements", models.IntegerField(default=0)),
                ("cpu_seconds", models.FloatField(default=0)),
                (
                    "lag_p50",
                    models.FloatField(help_text="seconds from scraped to visible", null=True),
                ),
                ("lag_p95", models.FloatField(null=True)),
                ("error", models.TextField(blank=True, help_text="what ended it, in one line")),
            ],
            options={
                "db_table": "realtime_import_run",
            },
        ),
        migrations.AddIndex(
            model_name="importrun",
            index=models.Index(fields=["began_at"], name="realtime_import_run_began"),
        ),
    ]
