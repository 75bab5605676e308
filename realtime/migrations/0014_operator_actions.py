"""New tables, and what failures are alike by: a nullable column, which is added at once, filled in
for files that failed, a thousand at a time, and an index that is built beside writers.

Not one transaction: killed, it goes on when it is run again.
"""

from typing import Any

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from realtime.domain.likeness import likeness

_BATCH = 1_000


def fill(apps: Any, schema_editor: Any) -> None:
    """Files that the release before records meanwhile stay without: they are a group of their
    own."""
    failed = apps.get_model("realtime", "File").objects.filter(outcome="failed", alike=None)
    after = 0
    columns = ("id", "reason", "field", "detail")
    while rows := list(failed.filter(id__gt=after).order_by("id").values_list(*columns)[:_BATCH]):
        after = rows[-1][0]
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "UPDATE realtime_file AS file SET alike = new.alike"
                " FROM unnest(%s::bigint[], %s::text[]) AS new (id, alike)"
                " WHERE file.id = new.id AND file.outcome = 'failed'",
                [[id for id, *_ in rows], [likeness(*told) for _, *told in rows]],
            )


class _AddIndex(AddIndexConcurrently):
    """One that was cut off is there, and of no use."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        super().database_forwards(app_label, schema_editor, from_state, to_state)


class _CreateModel(migrations.CreateModel):  # type: ignore[misc]
    """The table of one that was cut off is there, and nobody uses it yet."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(f"DROP TABLE IF EXISTS {self.options['db_table']} CASCADE")
        super().database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("realtime", "0013_search")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE realtime_file ADD COLUMN IF NOT EXISTS alike text NULL",
            "ALTER TABLE realtime_file DROP COLUMN IF EXISTS alike",
            state_operations=[
                migrations.AddField(
                    "file",
                    "alike",
                    models.TextField(
                        help_text="the same for failures that differ only in what varies from file"
                        " to file; null: unknown, or not failed",
                        null=True,
                    ),
                )
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        _AddIndex(
            "file",
            models.Index(
                condition=models.Q(discarded_at=None, outcome="failed"),
                fields=["alike", "jurisdiction_id", "imported_at", "id"],
                name="realtime_file_alike",
            ),
        ),
        _CreateModel(
            name="OperatorAction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "verb",
                    models.TextField(
                        choices=[
                            ("retry", "send failed files again"),
                            ("discard", "remove failed files from the lists"),
                            ("undiscard", "bring discarded files back to the lists"),
                            ("resolve", "resolve flags"),
                            ("reopen", "open resolved flags again"),
                            ("announce", "send messages for files that lost theirs"),
                            ("archive", "move finished files to archived/ and failed/"),
                            ("prune", "delete old rows of the ledger"),
                        ]
                    ),
                ),
                ("by", models.TextField()),
                ("what", models.TextField(help_text="what it is done to, in words")),
                (
                    "scope",
                    models.JSONField(
                        default=dict, help_text="the group that its items were; empty: chosen"
                    ),
                ),
                ("size", models.IntegerField(default=0, help_text="how many items it has")),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("note", models.TextField(blank=True, help_text="why")),
                (
                    "working_until",
                    models.DateTimeField(
                        help_text="a request works on it, or was killed, before this", null=True
                    ),
                ),
                (
                    "counts",
                    models.JSONField(
                        default=dict, help_text="what was done, where it has no items"
                    ),
                ),
                (
                    "is_done",
                    models.BooleanField(default=False, help_text="nothing of it is left"),
                ),
                (
                    "error",
                    models.TextField(blank=True, help_text="why the last request stopped"),
                ),
            ],
            options={
                "db_table": "realtime_action",
                "permissions": [
                    ("look", "Can look at the page of realtime imports"),
                    (
                        "act",
                        "Can retry, discard, resolve, pause and tidy on the page of realtime"
                        " imports",
                    ),
                ],
            },
        ),
        _CreateModel(
            name="ActionItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("target_id", models.BigIntegerField()),
                (
                    "result",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("", "not yet tried"),
                            ("done", "done"),
                            ("later", "cannot be done yet"),
                            ("gone", "no longer in the bucket"),
                            ("refused", "can never be done"),
                            ("settled", "was no longer in that state"),
                        ],
                    ),
                ),
                ("why", models.TextField(blank=True)),
                (
                    "action",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="realtime.operatoraction",
                    ),
                ),
            ],
            options={"db_table": "realtime_action_item"},
        ),
        migrations.AddConstraint(
            model_name="actionitem",
            constraint=models.UniqueConstraint(
                fields=("action", "target_id"), name="realtime_action_item_once"
            ),
        ),
    ]
