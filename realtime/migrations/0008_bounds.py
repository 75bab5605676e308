"""Columns of two small tables, with constant defaults: instant. The defaults stay in the database,
so that the release before this one can still write its rows."""

from typing import Any

from django.db import migrations, models


def add(model: str, name: str, field: "models.Field[Any, Any]", column: str) -> Any:
    table = {"suspect": "realtime_suspect", "rememberedaction": "realtime_remembered_action"}[model]
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD COLUMN {name} {column}",
        f"ALTER TABLE {table} DROP COLUMN {name}",
        state_operations=[migrations.AddField(model, name, field)],
    )


class Migration(migrations.Migration):
    dependencies = [("realtime", "0007_flags")]
    operations = [
        add(
            "rememberedaction",
            "order_ticks",
            models.BigIntegerField(default=-1),
            "bigint NOT NULL DEFAULT -1",
        ),
        add(
            "rememberedaction",
            "scrape_id",
            models.TextField(blank=True, default=""),
            "text NOT NULL DEFAULT ''",
        ),
        add(
            "rememberedaction",
            "order_stamp",
            models.BigIntegerField(default=0),
            "bigint NOT NULL DEFAULT 0",
        ),
        migrations.AlterField(
            "file",
            "identity",
            models.JSONField(
                help_text="the keys by which core finds its row, and a digest of its content",
                null=True,
            ),
        ),
        migrations.AlterField(
            "suspect",
            "attempts",
            models.IntegerField(default=0, help_text="attempts to import it alone"),
        ),
        add(
            "suspect",
            "together",
            models.IntegerField(default=1, help_text="messages of the last attempt"),
            "integer NOT NULL DEFAULT 1",
        ),
    ]
