"""New tables, and nullable columns of files, which are added at once."""

import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0006_remembered_actions"),
    ]

    operations = [
        migrations.CreateModel(
            name="LoggedChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("xid", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("jurisdiction_id", models.TextField(blank=True)),
                ("run_id", models.UUIDField(null=True)),
                ("object_type", models.TextField()),
                ("change", models.TextField()),
                ("core_id", models.TextField()),
                ("bill_identifier", models.TextField(blank=True)),
                ("session", models.TextField(blank=True)),
                (
                    "fields",
                    models.JSONField(
                        default=list, help_text="what differs: columns and related kinds"
                    ),
                ),
                (
                    "before",
                    models.JSONField(default=dict, help_text="rows of each related kind before"),
                ),
                (
                    "after",
                    models.JSONField(default=dict, help_text="rows of each related kind after"),
                ),
                (
                    "file_id",
                    models.BigIntegerField(
                        help_text="id of the file that made the change", null=True
                    ),
                ),
            ],
            options={
                "db_table": "realtime_change",
            },
        ),
        migrations.CreateModel(
            name="Pause",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("jurisdiction_id", models.TextField(blank=True)),
                ("since", models.DateTimeField()),
                ("by", models.TextField()),
                ("reason", models.TextField(blank=True)),
                ("resumed_at", models.DateTimeField(null=True)),
                ("resumed_by", models.TextField(blank=True)),
                ("resumed_reason", models.TextField(blank=True)),
            ],
            options={
                "db_table": "realtime_pause",
            },
        ),
        migrations.CreateModel(
            name="RaisedFlag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("jurisdiction_id", models.TextField()),
                ("kind", models.TextField()),
                (
                    "subject",
                    models.TextField(help_text="what it is about: core's id of a row, or a name"),
                ),
                ("object_type", models.TextField(blank=True)),
                (
                    "core_id",
                    models.TextField(blank=True, help_text="core's id of the row it is about"),
                ),
                ("bill_identifier", models.TextField(blank=True)),
                ("session", models.TextField(blank=True)),
                (
                    "file_id",
                    models.BigIntegerField(
                        help_text="id of the last file that raised it", null=True
                    ),
                ),
                ("key", models.TextField(blank=True, help_text="key of that file")),
                (
                    "other_file_id",
                    models.BigIntegerField(help_text="id of a file it collides with", null=True),
                ),
                ("other_key", models.TextField(blank=True, help_text="key of that file")),
                ("detail", models.JSONField(default=dict)),
                ("count", models.BigIntegerField(default=1, help_text="files that raised it")),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(null=True)),
                ("resolved_by", models.TextField(blank=True)),
                ("resolution", models.TextField(blank=True, help_text="why it is resolved")),
            ],
            options={
                "db_table": "realtime_flag",
            },
        ),
        migrations.AddIndex(
            model_name="raisedflag",
            index=models.Index(fields=["resolved_at"], name="realtime_flag_resolved"),
        ),
        migrations.AddConstraint(
            model_name="raisedflag",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resolved_at", None)),
                fields=("jurisdiction_id", "kind", "subject"),
                name="realtime_flag_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="pause",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resumed_at", None)),
                fields=("jurisdiction_id",),
                name="realtime_pause_open",
            ),
        ),
        migrations.AddIndex(
            model_name="loggedchange",
            index=models.Index(fields=["xid", "id"], name="realtime_change_order"),
        ),
        migrations.AddIndex(
            model_name="loggedchange",
            index=models.Index(fields=["core_id"], name="realtime_change_row"),
        ),
        migrations.AddIndex(
            model_name="loggedchange",
            index=django.contrib.postgres.indexes.BrinIndex(
                fields=["at"], name="realtime_change_at"
            ),
        ),
        # Last, since they lock the ledger until the end.
        migrations.AddField(
            model_name="file",
            name="meant_at",
            field=models.DateTimeField(
                help_text="when an operator said that what tripped the breaker is meant", null=True
            ),
        ),
        migrations.AddField(
            model_name="file",
            name="paused_at",
            field=models.DateTimeField(
                help_text="since when it is parked because its jurisdiction was paused", null=True
            ),
        ),
    ]
