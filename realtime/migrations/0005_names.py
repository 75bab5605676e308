"""Renames fields and rewords help texts and labels. The database does not change."""

from django.db import migrations, models
from django.db.models import Q

NAMES = {"row_id": "core_id", "settled_at": "archived_at", "settled_key": "archived_key"}

FILE = {
    "archived_at": models.DateTimeField(
        null=True, db_column="settled_at", help_text="when it was moved, deleted or found missing"
    ),
    "archived_key": models.TextField(
        blank=True, db_column="settled_key", help_text="key it was moved to; empty if it was not"
    ),
    "bill_action": models.TextField(
        blank=True, help_text="description of the action a vote event names"
    ),
    "bill_id": models.TextField(blank=True, help_text="core's id of the bill of a vote event"),
    "bill_identifier": models.TextField(
        blank=True, help_text="identifier, as core stores it, of the bill it is or waits for"
    ),
    "core_id": models.TextField(
        blank=True, db_column="row_id", help_text="core's id of the row it was applied to"
    ),
    "detail": models.TextField(blank=True, help_text="why it failed, or what it waits for"),
    "discarded_at": models.DateTimeField(
        null=True, help_text="when an operator decided that it needs no attention"
    ),
    "field": models.TextField(blank=True, help_text="the wrong field of the message or file"),
    "file_archiving": models.BooleanField(
        default=False, help_text="its message asked for archiving"
    ),
    "identity": models.JSONField(
        null=True, help_text="of a vote event or event: the keys by which core finds its row"
    ),
    "imported_at": models.DateTimeField(
        null=True, help_text="when its outcome was recorded; null while parked"
    ),
    "key": models.TextField(help_text="key it was uploaded to, prefix included"),
    "message": models.TextField(
        blank=True, help_text="body of its message, if it failed or was parked"
    ),
    "order_stamp": models.BigIntegerField(default=0),
    "order_ticks": models.BigIntegerField(
        default=0, help_text="scrape order: first this, then scrape_id, then order_stamp"
    ),
    "outcome": models.TextField(
        choices=[
            ("inserted", "a new row was made"),
            ("updated", "an existing row was changed"),
            ("unchanged", "the row already had this content"),
            ("superseded", "a newer scrape of the object was imported before"),
            ("ignored", "nothing to import"),
            ("deferred", "parked until the bill or session it names arrives"),
            ("failed", "can never be imported"),
            ("released", "not tried; the message will be received again"),
        ]
    ),
    "queued_at": models.DateTimeField(help_text="when its first message was sent"),
    "reason": models.TextField(blank=True, help_text="why it failed, as a short word for grouping"),
    "retried_at": models.DateTimeField(null=True, help_text="when it was last retried"),
    "scrape_id": models.TextField(blank=True, help_text="_id of the object (id of a person)"),
    "session": models.TextField(
        blank=True, help_text="identifier of the legislative session it names"
    ),
    "tried_at": models.DateTimeField(null=True, help_text="time of its last import attempt"),
    "version": models.TextField(
        help_text="S3 version id, or ETag and upload time without versioning"
    ),
}
RUN = {
    "attempts": models.IntegerField(default=0, help_text="finalizations that failed"),
    "closed": models.TextField(
        blank=True,
        choices=[
            ("unfinished", "a newer run was finalized before this one ended"),
            ("incomplete", "files were missing when a newer run was finalized"),
            ("failed-files", "some files failed, so nothing was deleted"),
            ("broken", "finalizing it failed repeatedly; the log says why"),
        ],
    ),
    "cursor": models.JSONField(null=True, help_text="position at which the current step continues"),
    "received_at": models.DateTimeField(null=True, help_text="when its end message was received"),
    "scrapers": models.JSONField(
        default=dict, help_text="by scraper: the values of core's ScrapeReport"
    ),
    "step": models.TextField(
        blank=True, help_text="current step; empty before the first and after the last"
    ),
}


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
                *(migrations.AlterField("file", name, field) for name, field in FILE.items()),
                *(migrations.AlterField("scraperun", name, field) for name, field in RUN.items()),
                *index("realtime_file_row", "core_id", ~Q(core_id="")),
                *index(
                    "realtime_file_unsettled",
                    "imported_at",
                    Q(archived_at=None, imported_at__isnull=False),
                ),
            ],
        )
    ]
