"""This project's tables, beside core's: files, scrape runs, import runs, flags, changes, pauses,
suspects, what people did."""

from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models

# SQL: letters without their accents. (The extension `unaccent` is not everybody's to create.)
WITHOUT_ACCENTS = r"regexp_replace(normalize(%s, NFD), '[\u0300-\u036f]', '', 'g')"


class WithoutAccents(models.Func):
    """A text as WITHOUT_ACCENTS writes it."""

    template = WITHOUT_ACCENTS % "%(expressions)s"
    output_field = models.TextField()


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

# Files that are in no table of core's, or not as they were scraped.
STUCK = models.Q(outcome__in=["failed", "deferred"])
# Changes that take something away from readers.
_LOSSES = models.Q(change__in=["deleted", "marked", "merged"])


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
    bill_named = models.TextField(
        null=True,
        help_text="identifier, as core stores it, of the bill that the file says it is, or is a"
        " vote on; null: it names none, or an earlier release recorded it",
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
    alike = models.TextField(
        null=True,
        help_text="the same for failures that differ only in what varies from file to file;"
        " null: unknown, or not failed",
    )
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
            models.Index(
                fields=["alike", "jurisdiction_id", "imported_at", "id"],
                name="realtime_file_alike",
                condition=models.Q(outcome="failed", discarded_at=None),
            ),
            models.Index(
                fields=["received_at"],
                name="realtime_file_waited",
                # For an index-only scan: who waited in the queue, and since when.
                include=["queued_at", "jurisdiction_id"],
                condition=models.Q(bucket__gt="", retried_at=None),
            ),
            models.Index(
                fields=["bill_named"],
                name="realtime_file_stuck_bill",
                condition=STUCK & models.Q(bill_named__isnull=False),
            ),
            models.Index(
                fields=["bill_scrape_id"],
                name="realtime_file_stuck_vote",
                condition=STUCK & models.Q(bill_scrape_id__gt=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.outcome})"


class BillTitle(models.Model):
    """The words of a bill's title without accents, to search for, and `@` with its jurisdiction's
    id as one more. An index on core's own table would be core's to make.

    Of a bill of core's: imports note those that they change, `prune_realtime` all others.
    """

    core_id = models.TextField(primary_key=True)
    words = SearchVectorField()
    updated_at = models.DateTimeField(help_text="core's, of the bill as it was read")

    class Meta:
        db_table = "realtime_bill_title"
        indexes = [
            GinIndex(fields=["words"], name="realtime_bill_title_words"),
            models.Index(fields=["updated_at"], name="realtime_bill_title_newest"),
        ]

    def __str__(self) -> str:
        return self.core_id


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
        indexes = [
            models.Index(fields=["resolved_at"], name="realtime_flag_resolved"),
            GinIndex(
                SearchVector(WithoutAccents("subject"), config="simple"),
                name="realtime_flag_words",
                condition=models.Q(kind="unmatched", resolved_at=None),
            ),
        ]

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
            models.Index(fields=["run_id"], name="realtime_change_losses", condition=_LOSSES),
            models.Index(
                fields=["bill_identifier"],
                name="realtime_change_deleted",
                condition=models.Q(change="deleted", bill_identifier__gt=""),
            ),
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


class Way(models.TextChoices):
    """What an import run takes its files from, or what else it is a run of."""

    QUEUE = "queue", "messages of the queue"
    FOLLOW = "follow", "--follow: messages or files as they come"
    MESSAGES = "messages", "messages that were handed over: Lambda's event, or standard input"
    SWEEP = "sweep", "files in the store's root"
    SOURCE = "source", "--from: a source"
    FINALIZE = "finalize", "finalize_realtime"
    ARCHIVE = "archive", "archive_realtime"


class ImportRun(models.Model):
    """An import run, or several of one host and way that are kept as one row.

    These are kept as one: the runs of a `--follow` within a quarter of an hour, and runs in a row
    that did nothing, because nothing was there or because of the same error. `started_at` is the
    first run's, the other facts are the latest run's; the figures of a `--follow` add up.

    The row is written when a run begins, and `ended_at` when it ends: a run that was killed, or has
    lost its database, has none.
    """

    way = models.TextField(choices=Way.choices)
    host = models.TextField(help_text="name of the host, or of the Lambda function")
    request_id = models.TextField(blank=True, help_text="Lambda's id of the invocation")
    process_id = models.IntegerField()
    backend_pid = models.IntegerField(help_text="process id of its connection in PostgreSQL")
    import_run_id = models.TextField(help_text="import_run_id of its lines in the log")
    runs = models.IntegerField(default=1)
    started_at = models.DateTimeField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    is_idle = models.BooleanField(default=False, help_text="it did nothing")
    counts = models.JSONField(default=dict, help_text="files by outcome, and the like")
    seconds = models.JSONField(default=dict, help_text="by stage, and in total")
    requests = models.JSONField(default=dict, help_text="to store and queue, by operation")
    statements = models.IntegerField(default=0)
    cpu_seconds = models.FloatField(default=0)
    lag_p50 = models.FloatField(null=True, help_text="seconds from scraped to visible")
    lag_p95 = models.FloatField(null=True)
    error = models.TextField(blank=True, help_text="what ended it, in one line")

    class Meta:
        db_table = "realtime_import_run"
        indexes = [models.Index(fields=["began_at"], name="realtime_import_run_began")]

    def __str__(self) -> str:
        return f"import run {self.pk} ({self.way} on {self.host})"


class Verb(models.TextChoices):
    """What an operator's action does to its files or flags, or for the whole."""

    RETRY = "retry", "send failed files again"
    DISCARD = "discard", "remove failed files from the lists"
    UNDISCARD = "undiscard", "bring discarded files back to the lists"
    RESOLVE = "resolve", "resolve flags"
    REOPEN = "reopen", "open resolved flags again"
    ANNOUNCE = "announce", "send messages for files that lost theirs"
    ARCHIVE = "archive", "move finished files to archived/ and failed/"
    PRUNE = "prune", "delete old rows of the ledger"


class OperatorAction(models.Model):
    """Something that a person does from the page, to one or to many.

    It is proposed first, with exactly the files or flags that it will touch (its items), and does
    nothing until it is confirmed. It is then worked on for some seconds in each request, until no
    item is left.
    """

    verb = models.TextField(choices=Verb.choices)
    by = models.TextField()
    what = models.TextField(help_text="what it is done to, in words")
    scope = models.JSONField(default=dict, help_text="the group that its items were; empty: chosen")
    size = models.IntegerField(default=0, help_text="how many items it has")
    proposed_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True, help_text="why")
    working_until = models.DateTimeField(
        null=True, help_text="a request works on it, or was killed, before this"
    )
    counts = models.JSONField(default=dict, help_text="what was done, where it has no items")
    is_done = models.BooleanField(default=False, help_text="nothing of it is left")
    error = models.TextField(blank=True, help_text="why the last request stopped")

    class Meta:
        db_table = "realtime_action"
        permissions = [
            ("look", "Can look at the page of realtime imports"),
            ("act", "Can retry, discard, resolve, pause and tidy on the page of realtime imports"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.what}"


class Result(models.TextChoices):
    """What an action did to one item."""

    LEFT = "", "not yet tried"
    DONE = "done", "done"
    LATER = "later", "cannot be done yet"
    GONE = "gone", "no longer in the bucket"
    REFUSED = "refused", "can never be done"
    SETTLED = "settled", "was no longer in that state"


class ActionItem(models.Model):
    """One file or flag of an operator's action, by its id, and what was done to it."""

    action = models.ForeignKey(OperatorAction, models.CASCADE, db_index=False)
    target_id = models.BigIntegerField()
    result = models.TextField(blank=True, choices=Result.choices)
    why = models.TextField(blank=True)

    class Meta:
        db_table = "realtime_action_item"
        constraints = [
            models.UniqueConstraint(
                fields=["action", "target_id"], name="realtime_action_item_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.target_id}: {self.result}"


class ChangeReceiver(models.Model):
    """Who is told of changes, and how far: up to the change (`xid`, `change_id`), with it.

    `until_xid` and `until_id` are the last change of a call that was not answered well: it is
    repeated as it was.
    """

    name = models.TextField(unique=True)
    address = models.TextField(help_text="what may be shown of it")
    since = models.DateTimeField(help_text="when it was first seen in the settings")
    xid = models.BigIntegerField()
    change_id = models.BigIntegerField()
    until_xid = models.BigIntegerField(null=True)
    until_id = models.BigIntegerField(null=True)
    delivered = models.BigIntegerField(default=0, help_text="how many changes it has been told of")
    delivered_at = models.DateTimeField(null=True, help_text="when it was last told of one")
    failures = models.IntegerField(default=0, help_text="calls that failed since the last good one")
    failing_since = models.DateTimeField(null=True)
    next_try_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.TextField(blank=True)
    pause_reason = models.TextField(blank=True)

    class Meta:
        db_table = "realtime_receiver"

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"
