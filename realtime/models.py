"""Our tables, beside core's: what was received, and what became of it."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class Outcome(models.TextChoices):
    """What became of a file."""

    INSERTED = "inserted", "a new row"
    UPDATED = "updated", "a row changed"
    UNCHANGED = "unchanged", "the row already said so"
    SUPERSEDED = "superseded", "a newer scrape of the object was in already"
    IGNORED = "ignored", "nothing to import"
    DEFERRED = "deferred", "parked until what it names arrives"
    FAILED = "failed", "can never be imported"
    RELEASED = "released", "not tried; the message comes again"


APPLIED = (Outcome.INSERTED, Outcome.UPDATED, Outcome.UNCHANGED)

# What became visible for the first time; not from a folder, which nobody has queued.
VISIBLE = models.Q(
    outcome__in=["inserted", "updated"],
    scraped_at__isnull=False,
    bucket__gt="",
    imported_at__isnull=False,
)


class Closed(models.TextChoices):
    """Why a run was closed: its finalization deletes nothing and marks nothing as deleted."""

    UNFINISHED = "unfinished", "a newer run was finalized before this one ended"
    INCOMPLETE = "incomplete", "files were missing when a newer run was finalized"
    FAILED = "failed-files", "some files failed, so nothing was deleted"
    BROKEN = "broken", "finalizing it failed repeatedly; the log says why"


class ScrapeRun(models.Model):
    """One invocation of core's update with all of its scrapers.

    The row is there from the first of its files on; `finished_at` is null until the run says that
    it ended, and until then `started_at` is the time of its earliest file.
    """

    run_id = models.UUIDField(primary_key=True)
    bucket = models.TextField()
    jurisdiction_id = models.TextField()
    jurisdiction_name = models.TextField(blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    objects_sent = models.JSONField(default=dict, help_text="distinct files sent, by object type")
    scrapers = models.JSONField(
        default=dict, help_text="what core's ScrapeReport needs, by scraper"
    )
    received_at = models.DateTimeField(null=True, help_text="when its end was received")

    # How far finalizing it has come
    step = models.TextField(blank=True, help_text="step under way; empty: not begun, or done")
    cursor = models.JSONField(null=True, help_text="where the step under way goes on")
    attempts = models.IntegerField(default=0, help_text="how often finalizing it broke")
    finalized_at = models.DateTimeField(null=True)
    closed = models.TextField(blank=True, choices=Closed.choices)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "realtime_run"
        indexes = [
            models.Index(fields=["jurisdiction_id", "started_at"], name="realtime_run_juris"),
            models.Index(
                fields=["jurisdiction_id"],
                name="realtime_run_open",
                condition=models.Q(finalized_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.jurisdiction_id}"


class File(models.Model):
    """One version of one S3 object, and what became of it.

    The row commits in the same transaction as the import it speaks of. It exists for every
    outcome but `released`.
    """

    # Which file
    bucket = models.TextField()
    key = models.TextField(help_text="full key at which it was scraped, prefix included")
    version = models.TextField(help_text="S3 version id; without versioning, ETag and upload time")
    etag = models.TextField(blank=True)
    version_id = models.TextField(blank=True)
    size = models.BigIntegerField(default=0, help_text="bytes")
    last_modified = models.DateTimeField(null=True)

    # What it holds
    jurisdiction_id = models.TextField(blank=True)
    object_type = models.TextField(blank=True)
    scrape_id = models.TextField(blank=True, help_text="the _id in the file")
    run_id = models.UUIDField(null=True)
    order_ticks = models.BigIntegerField(default=0, help_text="scrape order, then scrape_id")
    order_stamp = models.BigIntegerField(default=0, help_text="…, then this")
    session = models.TextField(blank=True, help_text="legislative session it names")
    bill_scrape_id = models.TextField(blank=True, help_text="_id of the bill a vote event names")
    bill_identifier = models.TextField(
        blank=True, help_text="identifier, as core stores it, of the bill it is or names"
    )
    bill_action = models.TextField(blank=True, help_text="the action a vote event names")
    bill_id = models.TextField(blank=True, help_text="row of the bill a vote event is of")
    identity = models.JSONField(
        null=True, help_text="of a vote event or event: what core finds its row by"
    )

    # What became of it
    outcome = models.TextField(choices=Outcome.choices)
    # The columns whose names are given here had these before the fields did.
    core_id = models.TextField(
        blank=True, db_column="row_id", help_text="the row of core's table it was applied to"
    )
    reason = models.TextField(blank=True, help_text="short word, for grouping")
    field = models.TextField(blank=True)
    detail = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    tried_at = models.DateTimeField(null=True, help_text="database time of the last import try")

    # When
    scraped_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(help_text="first SentTimestamp seen for this file")
    received_at = models.DateTimeField()
    imported_at = models.DateTimeField(null=True, help_text="database time; null while parked")
    acknowledged_at = models.DateTimeField(null=True)

    # Where it is
    file_archiving = models.BooleanField(default=False, help_text="a message asked for archiving")
    archived_at = models.DateTimeField(
        null=True, db_column="settled_at", help_text="moved, deleted or found gone"
    )
    archived_key = models.TextField(
        blank=True, db_column="settled_key", help_text="where it was moved; empty: nowhere"
    )
    message = models.TextField(blank=True, help_text="body of the message, for failed files")

    # What people did about it
    retried_at = models.DateTimeField(null=True, help_text="when it was last sent again")
    discarded_at = models.DateTimeField(null=True, help_text="its failure needs no attention")
    discarded_by = models.TextField(blank=True)
    discard_note = models.TextField(blank=True)

    class Meta:
        db_table = "realtime_file"
        constraints = [
            models.UniqueConstraint(
                fields=["bucket", "key", "version"], name="realtime_file_version"
            )
        ]
        indexes = [
            models.Index(
                fields=["jurisdiction_id", "object_type", "scrape_id"],
                name="realtime_file_scrape_id",
            ),
            models.Index(
                fields=["jurisdiction_id", "session", "bill_identifier"],
                name="realtime_file_bill",
                condition=models.Q(object_type="bill"),
            ),
            models.Index(
                fields=["core_id"], name="realtime_file_row", condition=~models.Q(core_id="")
            ),
            models.Index(
                fields=["run_id", "object_type", "outcome"], name="realtime_file_run_types"
            ),
            models.Index(
                fields=["id"], name="realtime_file_failed", condition=models.Q(outcome="failed")
            ),
            models.Index(
                fields=["bill_id"], name="realtime_file_bill_row", condition=~models.Q(bill_id="")
            ),
            models.Index(
                fields=["jurisdiction_id"],
                name="realtime_file_parked",
                condition=models.Q(outcome="deferred"),
            ),
            models.Index(
                fields=["imported_at"],
                name="realtime_file_unsettled",
                condition=models.Q(archived_at=None, imported_at__isnull=False),
            ),
            models.Index(fields=["jurisdiction_id", "imported_at"], name="realtime_file_imported"),
            models.Index(
                fields=["jurisdiction_id", "imported_at"],
                name="realtime_file_visible",
                # All that lag is made of, so that the wide rows are not read for it.
                include=[
                    "object_type",
                    "run_id",
                    "scraped_at",
                    "queued_at",
                    "received_at",
                    "retried_at",
                ],
                condition=VISIBLE,
            ),
            models.Index(
                fields=["jurisdiction_id", "reason", "imported_at"],
                name="realtime_file_failures",
                condition=models.Q(outcome="failed", discarded_at=None),
            ),
            BrinIndex(fields=["received_at"], name="realtime_file_received"),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.outcome})"


class Suspect(models.Model):
    """A message received often without any outcome: it may be one that kills the process.

    `attempts` is committed before each attempt and taken back when the attempt ends in any way
    that this process survives.
    """

    message_id = models.TextField(primary_key=True)
    body = models.TextField()
    attempts = models.IntegerField(default=0)
    attempted_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "realtime_suspect"

    def __str__(self) -> str:
        return f"message {self.message_id} ({self.attempts} attempts)"
