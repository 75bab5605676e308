"""The fields have other names; the table stays as it is."""

from django.db import migrations, models
from django.db.models import Q

NAMES = {"row_id": "core_id", "settled_at": "archived_at", "settled_key": "archived_key"}


def index(name, field, condition):
    return [
        migrations.RemoveIndex("file", name),
        migrations.AddIndex("file", models.Index(fields=[field], name=name, condition=condition)),
    ]


class Migration(migrations.Migration):
    dependencies = [("realtime", "0004_status")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                *(migrations.RenameField("file", old, new) for old, new in NAMES.items()),
                migrations.AlterField(
                    "file",
                    "core_id",
                    models.TextField(
                        blank=True,
                        db_column="row_id",
                        help_text="the row of core's table it was applied to",
                    ),
                ),
                migrations.AlterField(
                    "file",
                    "archived_at",
                    models.DateTimeField(
                        null=True, db_column="settled_at", help_text="moved, deleted or found gone"
                    ),
                ),
                migrations.AlterField(
                    "file",
                    "archived_key",
                    models.TextField(
                        blank=True,
                        db_column="settled_key",
                        help_text="where it was moved; empty: nowhere",
                    ),
                ),
                migrations.AlterField(
                    "scraperun",
                    "closed",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("unfinished", "a newer run was finalized before this one ended"),
                            ("incomplete", "files were missing when a newer run was finalized"),
                            ("failed-files", "some files failed, so nothing was deleted"),
                            ("broken", "finalizing it failed repeatedly; the log says why"),
                        ],
                    ),
                ),
                *index("realtime_file_row", "core_id", ~Q(core_id="")),
                *index(
                    "realtime_file_unsettled",
                    "imported_at",
                    Q(archived_at=None, imported_at__isnull=False),
                ),
            ],
        )
    ]
