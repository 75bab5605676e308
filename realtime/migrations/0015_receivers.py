"""A new table: no other is touched."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("realtime", "0014_operator_actions"),
    ]

    operations = [
        migrations.CreateModel(
            name="ChangeReceiver",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.TextField(unique=True)),
                ("address", models.TextField(help_text="what may be shown of it")),
                ("since", models.DateTimeField(help_text="when it was first seen in the settings")),
                ("xid", models.BigIntegerField()),
                ("change_id", models.BigIntegerField()),
                ("until_xid", models.BigIntegerField(null=True)),
                ("until_id", models.BigIntegerField(null=True)),
                (
                    "delivered",
                    models.BigIntegerField(
                        default=0, help_text="how many changes it has been told of"
                    ),
                ),
                (
                    "delivered_at",
                    models.DateTimeField(help_text="when it was last told of one", null=True),
                ),
                (
                    "failures",
                    models.IntegerField(
                        default=0, help_text="calls that failed since the last good one"
                    ),
                ),
                ("failing_since", models.DateTimeField(null=True)),
                ("next_try_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(blank=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("paused_by", models.TextField(blank=True)),
                ("pause_reason", models.TextField(blank=True)),
            ],
            options={
                "db_table": "realtime_receiver",
            },
        ),
    ]
