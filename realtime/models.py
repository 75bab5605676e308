"""This project's tables, beside core's: files, scrape runs, flags, changes, pauses, suspects."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class Outcome(models.TextChoices):
    """The outcome of a file."""

    INSERTED = "inserted", "a new row was made"
    UPDATED = "updated", "an existing row was changed"
    UNCHANGED = "unchanged", "the row already had this content"
    SUPERSEDED = "superseded", "a newer scrape of the object was imported before"
    IGNORED = "ignored", "nothing to import"
    DEFERRED = "deferred", "parked until the bill or session it names arrives"
    FAILED = "failed", "can never be imported"
    RELEASED = "released", "not tried; the message will be received again"


APPLIED = (Outcome.INSERTED, Outcome.UPDATED, Outcome.UNCHANGED)

# Files whose import changed what readers see. Those of a folder (no bucket) were never queued.
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
    """One scrape run: one invocation of core's update with all of its scrapers.

    The row is made with the run's first file. `finished_at` is null until the run's end message
    arrives, and until then `started_at` is the scrape time of its earliest file.
    """

    run_id = models.UUIDField(primary_key=True)
    bucket = models.TextField()
    jurisdiction_id = models.TextField()
    jurisdiction_name = models.TextField(blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    objects_sent = models.JSONField(default=dict, help_text="distinct files sent, by object type")
    scrapers = models.JSONField(
        default=dict, help_text="by scraper: the values of core's ScrapeReport"
    )
    received_at = models.DateTimeField(null=True, help_text="when its end message was received")

    # Progress of its finalization
    step = models.TextField(
        blank=True, help_text="current step; empty before the first and after the last"
    )
    cursor = models.JSONField(null=True, help_text="position at which the current step continues")
    attempts = models.IntegerField(default=0, help_text="finalizations that failed")
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
    """One version of one S3 object, and its outcome.

    The row is committed in the same transaction as the file's import. The outcome `released` is not
    recorded.
    """

    # Which file
    bucket = models.TextField()
    key = models.TextField(help_text="key it was uploaded to, prefix included")
    version = models.TextField(
        help_text="S3 version id, or ETag and upload time without versioning"
    )
    etag = models.TextField(blank=True)
    version_id = models.TextField(blank=True)
    size = models.BigIntegerField(default=0, help_text="bytes")
    last_modified = models.DateTimeField(null=True)

    # Content
    jurisdiction_id = models.TextField(blank=True)
    object_type = models.TextField(blank=True)
    scrape_id = models.TextField(blank=True, help_text="_id of the object (id of a person)")
    run_id = models.UUIDField(null=True)
    order_ticks = models.BigIntegerField(
        default=0, help_text="scrape order: first this, then scrape_id, then order_stamp"
    )
    order_stamp = models.BigIntegerField(default=0)
    session = models.TextField(
        blank=True, help_text="identifier of the legislative session it names"
    )
    bill_scrape_id = models.TextField(blank=True, help_text="_id of the bill a vote event names")
    bill_identifier = models.TextField(
        blank=True, help_text="identifier, as core stores it, of the bill it is or waits for"
    )
    bill_action = models.TextField(
        blank=True, help_text="description of the action a vote event names"
    )
    bill_id = models.TextField(blank=True, help_text="core's id of the bill of a vote event")
    identity = models.JSONField(
        null=True, help_text="the keys by which core finds its row, and a digest of its content"
    )
    referents = models.BigIntegerField(
        null=True,
        help_text="digest of what its names could mean when it was imported; null: unknown",
    )

    # Outcome
    outcome = models.TextField(choices=Outcome.choices)
    # A db_column is the former name of the field: the release before this one still uses it.
    core_id = models.TextField(
        blank=True, db_column="row_id", help_text="core's id of the row it was applied to"
    )
    reason = models.TextField(blank=True, help_text="why it failed, as a short word for grouping")
    field = models.TextField(blank=True, help_text="the wrong field of the message or file")
    detail = models.TextField(blank=True, help_text="why it failed, or what it waits for")
    traceback = models.TextField(blank=True)
    tried_at = models.DateTimeField(null=True, help_text="time of its last import attempt")

    # Times; those of an import are the database's
    scraped_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(help_text="when its first message was sent")
    received_at = models.DateTimeField()
    imported_at = models.DateTimeField(
        null=True, help_text="when its outcome was recorded; null while parked"
    )
    acknowledged_at = models.DateTimeField(null=True)

    # Location
    file_archiving = models.BooleanField(default=False, help_text="its message asked for archiving")
    archived_at = models.DateTimeField(
        null=True, db_column="settled_at", help_text="when it was moved, deleted or found missing"
    )
    archived_key = models.TextField(
        blank=True, db_column="settled_key", help_text="key it was moved to; empty if it was not"
    )
    message = models.TextField(
        blank=True, help_text="body of its message, if it failed or was parked"
    )

    # Pauses
    paused_at = models.DateTimeField(
        null=True, help_text="since when it is parked because its jurisdiction was paused"
    )
    meant_at = models.DateTimeField(
        null=True, help_text="when an operator said that what tripped the breaker is meant"
    )

    # Retries and discards by operators
    retried_at = models.DateTimeField(null=True, help_text="when it was last retried")
    discarded_at = models.DateTimeField(
        null=True, help_text="when an operator decided that it needs no attention"
    )
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
                # Every column that lag figures need, for an index-only scan.
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


class RememberedAction(models.Model):
    """The bill action that a vote event was tied to, for one of which the ledger has no file.

    Core imported it before, or its files were pruned. A changed bill gets new action rows; this
    says which of them the vote event had, or its newest file named, and that file's place in the
    scrape order (before all others: no file).
    """

    vote_event_id = models.TextField(primary_key=True)
    bill_id = models.TextField()
    action = models.TextField(help_text="description of the action")
    date = models.TextField()
    organization_id = models.TextField()
    order_ticks = models.BigIntegerField(default=-1)
    scrape_id = models.TextField(blank=True, default="")
    order_stamp = models.BigIntegerField(default=0)
    remembered_at = models.DateTimeField()

    class Meta:
        db_table = "realtime_remembered_action"
        indexes = [models.Index(fields=["bill_id"], name="realtime_remembered_bill")]

    def __str__(self) -> str:
        return f"{self.vote_event_id}: {self.action}"


class ListedPerson(models.Model):
    """A person whose id the file of another lists as theirs, until the end of its run decides.

    `person_id` is the other. The last three are the place of the file in the scrape order.
    """

    jurisdiction_id = models.TextField()
    run_id = models.UUIDField()
    person_id = models.TextField()
    listed_id = models.TextField()
    order_ticks = models.BigIntegerField()
    scrape_id = models.TextField()
    order_stamp = models.BigIntegerField()
    is_new = models.BooleanField(
        help_text="the run has brought the person who lists; a name that fits both is the other's"
    )

    class Meta:
        db_table = "realtime_listed_person"
        indexes = [models.Index(fields=["run_id"], name="realtime_listed_run")]

    def __str__(self) -> str:
        return f"{self.person_id} lists {self.listed_id}"


class Suspect(models.Model):
    """A message received many times without an outcome: importing it may kill the process.

    Each attempt is committed before it is made, and taken back when the process survives it.
    """

    message_id = models.TextField(primary_key=True)
    body = models.TextField()
    attempts = models.IntegerField(default=0, help_text="attempts to import it alone")
    together = models.IntegerField(default=1, help_text="messages of the last attempt")
    attempted_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "realtime_suspect"

    def __str__(self) -> str:
        return f"message {self.message_id} ({self.attempts} attempts)"


class RaisedFlag(models.Model):
    """Something that was imported and that a person should look at.

    One row for each jurisdiction, kind and subject while it is open. It is open until a later file
    puts it right or a person resolves it.
    """

    jurisdiction_id = models.TextField()
    kind = models.TextField()
    subject = models.TextField(help_text="what it is about: core's id of a row, or a name")
    object_type = models.TextField(blank=True)
    core_id = models.TextField(blank=True, help_text="core's id of the row it is about")
    bill_identifier = models.TextField(blank=True)
    session = models.TextField(blank=True)
    file_id = models.BigIntegerField(null=True, help_text="id of the last file that raised it")
    key = models.TextField(blank=True, help_text="key of that file")
    other_file_id = models.BigIntegerField(null=True, help_text="id of a file it collides with")
    other_key = models.TextField(blank=True, help_text="key of that file")
    detail = models.JSONField(default=dict)
    count = models.BigIntegerField(default=1, help_text="files that raised it")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.TextField(blank=True)
    resolution = models.TextField(blank=True, help_text="why it is resolved")

    class Meta:
        db_table = "realtime_flag"
        constraints = [
            models.UniqueConstraint(
                fields=["jurisdiction_id", "kind", "subject"],
                name="realtime_flag_open",
                condition=models.Q(resolved_at=None),
            )
        ]
        indexes = [models.Index(fields=["resolved_at"], name="realtime_flag_resolved")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"


class LoggedChange(models.Model):
    """One change that an import, or the finalization of a run, made to core's tables.

    Written in the transaction that makes the change. `xid` is that transaction's, as a number:
    rows in the order of (xid, id), of transactions older than any that is still open, are in the
    order of a reader who misses none.
    """

    xid = models.BigIntegerField()
    at = models.DateTimeField()
    jurisdiction_id = models.TextField(blank=True)
    run_id = models.UUIDField(null=True)
    object_type = models.TextField()
    change = models.TextField()
    core_id = models.TextField()
    bill_identifier = models.TextField(blank=True)
    session = models.TextField(blank=True)
    fields = models.JSONField(default=list, help_text="what differs: columns and related kinds")
    before = models.JSONField(default=dict, help_text="rows of each related kind before")
    after = models.JSONField(default=dict, help_text="rows of each related kind after")
    file_id = models.BigIntegerField(null=True, help_text="id of the file that made the change")

    class Meta:
        db_table = "realtime_change"
        indexes = [
            models.Index(fields=["xid", "id"], name="realtime_change_order"),
            models.Index(fields=["core_id"], name="realtime_change_row"),
            BrinIndex(fields=["at"], name="realtime_change_at"),
        ]

    def __str__(self) -> str:
        return f"{self.object_type} {self.core_id} {self.change}"


class Pause(models.Model):
    """A time in which the files of a jurisdiction are parked instead of imported.

    `jurisdiction_id` is empty in a pause of all jurisdictions. It lasts until `resumed_at`.
    """

    jurisdiction_id = models.TextField(blank=True)
    since = models.DateTimeField()
    by = models.TextField()
    reason = models.TextField(blank=True)
    resumed_at = models.DateTimeField(null=True)
    resumed_by = models.TextField(blank=True)
    resumed_reason = models.TextField(blank=True)

    class Meta:
        db_table = "realtime_pause"
        constraints = [
            models.UniqueConstraint(
                fields=["jurisdiction_id"],
                name="realtime_pause_open",
                condition=models.Q(resumed_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.jurisdiction_id or 'all jurisdictions'} paused by {self.by}"
