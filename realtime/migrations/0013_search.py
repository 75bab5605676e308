"""What searches need: a column, a table, and indexes.

The column may be null and the table is new: instant. Indexes are built while imports go on writing.
So the migration is no transaction: interrupted, it is run again from its beginning, and puts right
what it left. No table of core's is read or changed: the new one is filled by imports and
`prune_realtime`.
"""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models

from realtime.backends.postgres.indexes import AddIndexAgain

_STUCK = ("outcome__in", ["failed", "deferred"])


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("realtime", "0012_import_runs")]
    operations = [
        migrations.RunSQL(
            ["ALTER TABLE realtime_file ADD COLUMN IF NOT EXISTS bill_named text"],
            ["ALTER TABLE realtime_file DROP COLUMN bill_named"],
            state_operations=[
                migrations.AddField(
                    "file",
                    "bill_named",
                    models.TextField(
                        null=True,
                        help_text="identifier, as core stores it, of the bill that the file says it"
                        " is, or is a vote on; null: it names none, or an earlier release recorded"
                        " it",
                    ),
                )
            ],
        ),
        migrations.RunSQL(
            [
                "CREATE TABLE IF NOT EXISTS realtime_bill_title (core_id text PRIMARY KEY,"
                " words tsvector NOT NULL, updated_at timestamptz NOT NULL)"
            ],
            ["DROP TABLE realtime_bill_title"],
            state_operations=[
                migrations.CreateModel(
                    "BillTitle",
                    [
                        ("core_id", models.TextField(primary_key=True, serialize=False)),
                        ("words", django.contrib.postgres.search.SearchVectorField()),
                        (
                            "updated_at",
                            models.DateTimeField(help_text="core's, of the bill as it was read"),
                        ),
                    ],
                    options={"db_table": "realtime_bill_title"},
                )
            ],
        ),
        AddIndexAgain(
            "billtitle",
            django.contrib.postgres.indexes.GinIndex(
                fields=["words"], name="realtime_bill_title_words"
            ),
        ),
        AddIndexAgain(
            "billtitle", models.Index(fields=["updated_at"], name="realtime_bill_title_newest")
        ),
        AddIndexAgain(
            "file",
            models.Index(
                condition=models.Q(_STUCK, ("bill_named__isnull", False)),
                fields=["bill_named"],
                name="realtime_file_stuck_bill",
            ),
        ),
        AddIndexAgain(
            "file",
            models.Index(
                condition=models.Q(_STUCK, ("bill_scrape_id__gt", "")),
                fields=["bill_scrape_id"],
                name="realtime_file_stuck_vote",
            ),
        ),
        AddIndexAgain(
            "loggedchange",
            models.Index(
                condition=models.Q(("change__in", ["deleted", "marked", "merged"])),
                fields=["run_id"],
                name="realtime_change_losses",
            ),
        ),
        AddIndexAgain(
            "loggedchange",
            models.Index(
                condition=models.Q(("bill_identifier__gt", ""), ("change", "deleted")),
                fields=["bill_identifier"],
                name="realtime_change_deleted",
            ),
        ),
        AddIndexAgain(
            "raisedflag",
            django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector("subject", config="simple"),
                condition=models.Q(("kind", "unmatched"), ("resolved_at", None)),
                name="realtime_flag_names",
            ),
        ),
        # Parked files already say which bill they wait for; they are few.
        migrations.RunSQL(
            [
                "UPDATE realtime_file SET bill_named = bill_identifier"
                " WHERE outcome = 'deferred' AND bill_identifier > '' AND bill_named IS NULL"
            ],
            [],
        ),
    ]
