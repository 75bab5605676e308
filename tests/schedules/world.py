"""Carries out a schedule on the embedded stack, and checks it after each step."""

import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from typing import Any
from unittest import mock

from django.db import connection
from openstates.data.models import Bill, Event, LegislativeSession, Organization, Person, VoteEvent

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.consumer import run as import_run
from realtime.consumer import sources
from realtime.domain import breaker
from realtime.domain.config import BULK, CORE, INLINE, LATER, Config, load
from realtime.domain.scraped_object import SCRAPED_AT_METADATA, ticks_of, time_of
from realtime.files import archive
from realtime.ledger import pauses, retention
from realtime.ledger.files import database_now
from realtime.models import APPLIED, File, LoggedChange, Outcome, ScrapeRun, Suspect
from realtime.monitoring.report import Report
from tests.schedules import content
from tests.schedules.crashes import Fragile, Fuse, burning, guarded_commits
from tests.schedules.ledger import Books, Upload
from tests.schedules.plan import BEFORE, Schedule, Step
from tests.schedules.replays import replayed_in_full
from tests.schedules.stamps import Stamps
from tests.support import Aws, messages_in, wait_until

# Import runs after which the queue counts as never empty.
MANY = 40
# Most messages of an import run that only has to empty the queue.
LARGEST = 100


class World:
    """One schedule on its own database, bucket and queue. `tried` counts what was done."""

    def __init__(self, schedule: Schedule, aws: Aws, database_url: str, stamps: Stamps) -> None:
        self._schedule = schedule
        self._aws = aws
        environment = {**aws.environment, "DATABASE_URL": database_url}
        self._config: Config = load(environment)
        # Each importer must handle rows written by the other.
        self._importers = cycle((BULK, BULK, BULK, CORE))
        self._archiving = cycle((INLINE, LATER, INLINE))
        # By number, the ETag of each file that was stored, and those whose message was sent.
        self._etags: dict[int, str] = {}
        self._sent: set[int] = set()
        # In ticks: the place in the scrape order of each file that was stored, and when runs began.
        self.places: dict[int, int] = {}
        self.starts = {number: schedule.started(number) for number in range(len(schedule.runs))}
        self._ended: set[int] = set()
        # The runs that were finalized and not closed, those that were pruned since, and the `_id`s
        # of files that failed for another reason than `unresolved`.
        self.deleting: set[int] = set()
        self.pruned: set[int] = set()
        self.failed: set[str] = set()
        # The jurisdictions that have a file that was applied, and those with people who changed.
        self.touched: set[str] = set()
        self.people: set[str] = set()
        self._versions: dict[tuple[str, str], int] = {}
        self._handles: list[str] = []
        # When each object was last uploaded by a scraper whose clock is ahead, in seconds.
        self._seconds: dict[tuple[Any, ...], int] = {}
        # And the `_id` it had.
        self._ids = defaultdict[tuple[Any, ...], str](str)
        self._reports: list[Report] = []
        # The last row of the change log at the last look.
        self._last_change = 0
        self._stamps = stamps
        self.tried: Counter[str] = Counter()

    def carry_out(self) -> None:
        """Take every step, send what the steps left out, then import until the queue is empty."""
        self._stamps.begin()
        with (
            guarded_commits(),
            replayed_in_full(S3Store(self._aws.bucket, self._aws.s3), self.tried),
            mock.patch.object(sources, "RELEASE_SECONDS", (0, 0)),
            mock.patch.object(breaker, "FEWEST", 1 if self._schedule.breaker else breaker.FEWEST),
        ):
            for step in self._schedule.steps:
                self._take(step)
                if step.do in ("import", "together"):
                    self._check_rows()
            for number in range(len(self._schedule.files)):
                if self._schedule.files[number].run != BEFORE and number not in self._sent:
                    self._send(number)
            for number, run in enumerate(self._schedule.runs):
                if run.ends and number not in self._ended:
                    self._end(number)
            self._until_empty()
            self._archive(Fuse(None))

    def _take(self, step: Step) -> None:
        if step.do == "send":
            for number in step.files:
                self._send(number)
        elif step.do == "end":
            self._end(step.run)
        elif step.do == "import":
            self._die_during(step.crash, lambda fuse: self._import(step.limit, fuse))
        elif step.do == "together":
            self.tried["times two workers at once"] += 1
            self._together(step)
        elif step.do in ("pause", "resume"):
            self.tried["pauses"] += step.do == "pause"
            of = content.JURISDICTIONS[self._schedule.runs[step.run].state]
            pauses.pause(of, "", "") if step.do == "pause" else pauses.resume(of, "")
        elif step.do == "committee":
            self._until_empty()
            self.tried["committees that become ambiguous"] += 1
            add_committee()
        elif step.do == "prune":
            self._until_empty()
            self._prune()
        else:
            self.tried["archivings"] += 1
            self._die_during(step.crash, self._archive)

    def _key(self, number: int) -> str:
        file = self._schedule.scraped[self._schedule.uploads(number)]
        state = content.state_of(self._schedule.files[number].what)
        return f"{state}/{file.object_type}_{content.uuid1_at(file.ticks)}.json"

    def _send(self, number: int) -> None:
        if number in self._sent:
            self.tried["redeliveries"] += 1
        else:
            self.tried["files"] += 1
            self._sent.add(number)
            self._store(number)
        run = self._schedule.files[number].run
        self._send_message(
            {
                "file_path": self._key(number),
                **self._about(run),
                "file_archiving_enabled": True,
            }
        )

    def _store(self, number: int) -> None:
        """Upload a file; of files that have one key, those scraped before it first.

        A scraper whose clock is ahead uploads all of its files in the order in which it scraped
        them: the times of the uploads are their order.
        """
        key, run = self._key(number), self._schedule.files[number].run
        if self._schedule.is_ahead(run):
            for one in self._schedule.numbers(run):
                self._upload(one)
            return
        for earlier in range(number + 1):
            if self._schedule.files[earlier].run != BEFORE and self._key(earlier) == key:
                self._upload(earlier)

    def _upload(self, number: int) -> None:
        if number in self._etags:
            return
        file, key = self._schedule.scraped[number], self._key(number)
        planned = self._schedule.files[number]
        one = (planned.what["type"], planned.what.get("state"), planned.what.get("who"))
        ahead, id = self._schedule.is_ahead(planned.run), content.uuid1_at(file.ticks)
        if ahead and (planned.what["type"] in ("jurisdiction", "person") or id < self._ids[one]):
            # Their ids have no time, or begin anew, and the store's has no fractions of a second.
            wait_until(lambda: time.time() >= self._seconds.get(one, 0) + 1, seconds=5)
        stored = self._aws.s3.put_object(
            Bucket=self._aws.bucket,
            Key=key,
            Body=file.body.encode(),
            Metadata={SCRAPED_AT_METADATA: time_of(file.ticks).isoformat()},
        )
        self._etags[number] = stored["ETag"].strip('"')
        self.places[number] = file.ticks
        if ahead:
            head = self._aws.s3.head_object(Bucket=self._aws.bucket, Key=key)
            self.places[number] = ticks_of(head["LastModified"])
            self._seconds[one] = int(head["LastModified"].timestamp())
            self._ids[one] = id

    def _end(self, run: int) -> None:
        self._ended.add(run)
        numbers = self._schedule.numbers(run)
        if self._schedule.is_ahead(run):
            now = ticks_of(datetime.now(UTC))
            self.starts[run] -= self._schedule.finished(run) - now
        for number in numbers:
            # A scraper that uses keys again has done so when it ends.
            if self._schedule.uploads(number) != number or self._schedule.is_ahead(run):
                self._store(number)
        keys = {self._key(n): self._schedule.files[n].what["type"] for n in numbers}
        scraped = Counter(self._schedule.files[n].what["type"] for n in numbers)
        times = {
            "started_at": time_of(self._schedule.started(run)).isoformat(),
            "finished_at": time_of(self._schedule.finished(run)).isoformat(),
        }
        self._send_message(
            {
                **self._about(run),
                "run_finished": {
                    **times,
                    "objects": Counter(keys.values()),
                    "scrapers": {"all": {"args": "", **times, "objects": scraped}},
                },
            }
        )

    def _about(self, run: int) -> dict[str, Any]:
        return {
            "run_id": str(self._schedule.run_id(run)),
            "bucket": self._aws.bucket,
            "jurisdiction_id": content.JURISDICTIONS[self._schedule.runs[run].state],
            "jurisdiction_name": "",
        }

    def _send_message(self, body: dict[str, Any]) -> None:
        self._aws.sqs.send_message(QueueUrl=self._aws.queue_url, MessageBody=json.dumps(body))

    def _until_empty(self) -> None:
        """Import all that was sent. Paused jurisdictions are resumed, by force if the breaker has
        paused them."""
        for _ in range(MANY):
            self._resume()
            report = self._import(LARGEST, Fuse(None))
            self._check_rows()
            busy = report.received or report.resumed or report.finalized or report.paused
            if not busy and not self.left_in_queue():
                return
        raise AssertionError("the queue does not become empty")

    def _resume(self) -> None:
        for pause in pauses.open_pauses():
            by_breaker = pause.by == pauses.BREAKER
            self.tried["times the breaker tripped"] += by_breaker
            pauses.resume(pause.jurisdiction_id, "", force=by_breaker)

    def _prune(self) -> None:
        """Forget what is final, as if it had happened long ago."""
        # The queue is empty. A crash may have kept from the ledger that a message was deleted; such
        # files are archived after some time, too.
        unrecorded = File.objects.filter(acknowledged_at=None, imported_at__isnull=False)
        unrecorded.update(acknowledged_at=database_now())
        self._archive(Fuse(None))
        self._outcomes()
        counts = retention.prune(database_now())
        self.tried["files pruned"] += counts["files"]

    def _import(self, limit: int, fuse: Fuse) -> Report:
        self.tried["import runs"] += 1
        store = S3Store(self._aws.bucket, Fragile(self._aws.s3, fuse, self._handles), obstore=False)
        queue = SqsQueue(self._aws.queue_url, Fragile(self._aws.sqs, fuse, self._handles), wait=0)
        held = sources.QueueInbox(queue, self._config.visibility_timeout)
        limits = import_run.Limits(limit, until_empty=False, must_stop=lambda: fuse.blown)
        config = replace(self._config, archive=next(self._archiving))
        with burning(fuse):
            report = import_run.run(config, held, store, limits, next(self._importers))
        fuse.check()
        _check_sums(report)
        self._reports.append(report)
        return report

    def _archive(self, fuse: Fuse) -> None:
        store = S3Store(self._aws.bucket, Fragile(self._aws.s3, fuse, self._handles), obstore=False)
        with burning(fuse):
            archive.archive(store, self._config)

    def _together(self, step: Step) -> None:
        problems: list[BaseException] = []

        def work(crash: int | None) -> None:
            try:
                self._survive(crash, lambda fuse: self._import(step.limit, fuse))
            except BaseException as exc:
                problems.append(exc)
            finally:
                connection.close()

        with _standard_output_kept():
            workers = [threading.Thread(target=work, args=(c,)) for c in (step.crash, None)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        self._make_visible()
        if problems:
            raise problems[0]

    def _die_during(self, crash: int | None, act: Callable[[Fuse], Any]) -> None:
        self._survive(crash, act)
        self._make_visible()

    def _survive(self, crash: int | None, act: Callable[[Fuse], Any]) -> None:
        fuse = Fuse(crash)
        try:
            act(fuse)
        except BaseException:
            # After the simulated crash its errors do not matter.
            if not fuse.blown:
                raise
        self.tried["crashes"] += fuse.blown
        if fuse.blown:
            # However many crashes one parked file sees here, it is to blame for none.
            Suspect.objects.update(attempts=0)

    def _make_visible(self) -> None:
        """Make the messages of crashed workers visible at once."""
        for handle in self._handles:
            # Refused for messages that were acknowledged.
            with suppress(self._aws.sqs.exceptions.ClientError):
                self._aws.sqs.change_message_visibility(
                    QueueUrl=self._aws.queue_url, ReceiptHandle=handle, VisibilityTimeout=0
                )
        self._handles.clear()

    def _check_rows(self) -> None:
        """Asserts that no row shows an older version than before, and that each says when it
        changed."""
        # Files of these may have to be imported anew, in scrape order.
        motions = [f"motion {number}" for number in self._schedule.look_alikes()]
        found = VoteEvent.objects.filter(motion_text__in=motions)
        look_alikes = set(found.values_list("id", flat=True))
        self._stamps.check(look_alikes | self._changed_twice())
        for name, version in _versions():
            before = 0 if name[1] in look_alikes else self._versions.get(name, 0)
            assert version >= before, f"{name} shows version {version} after {before}"
            self._versions[name] = version

    def _changed_twice(self) -> set[str]:
        """The rows that were changed more than once since the last look, as the change log says:
        the runs that were finalized may have tied a vote event to its action and untied it, or a
        vote event that is deleted made the link of an agenda ambiguous until then."""
        changes = LoggedChange.objects.filter(id__gt=self._last_change).order_by("id")
        found = list(changes.values_list("id", "core_id"))
        self._last_change = max([self._last_change, *(id for id, _ in found)])
        return {core_id for core_id, times in Counter(row for _, row in found).items() if times > 1}

    def close(self) -> None:
        """Asserts that all is imported; notes what became of it."""
        assert self.left_in_queue() == 0
        self._outcomes()
        ended = [self._schedule.run_id(number) for number in self._ended]
        assert not ScrapeRun.objects.filter(run_id__in=ended, finalized_at=None), (
            "a run is not final"
        )

    def books(self) -> Books:
        """Asserts that the ledger, the reports and the bucket say what was done; returns the
        ledger's part."""
        uploads = [Upload(n, self._key(n), etag) for n, etag in sorted(self._etags.items())]
        books = Books(self._schedule, uploads, self.places, self.pruned)
        books.check()
        books.check_bucket(self._aws.s3, self._aws.bucket, self._schedule.versioned)
        reused = any(file.key is not None for file in self._schedule.files)
        if not self.tried["crashes"] and not self.tried["files pruned"] and not reused:
            # A process that dies reports nothing; what was parked under a key that was used again
            # is counted as resumed.
            told = Counter[str]()
            for report in self._reports:
                told += report.outcomes
            new = sum(told.values()) - told[Outcome.IGNORED] - told[Outcome.RELEASED]
            # A parked file that is delivered again is parked again.
            again, files = self.tried["redeliveries"], File.objects.count()
            assert files <= new <= files + again, f"the reports have {new} files of {files}"
        return books

    def left_in_queue(self) -> int:
        return messages_in(self._aws.sqs, self._aws.queue_url)

    def _outcomes(self) -> None:
        """Note what became of runs and files, before the ledger forgets it.

        Asserts that each closed run had a reason: its end came after a newer run was final, or
        files of it failed.
        """
        self.failed |= set(
            File.objects.filter(outcome=Outcome.FAILED)
            .exclude(reason="unresolved")
            .values_list("scrape_id", flat=True)
        )
        applied = File.objects.filter(outcome__in=APPLIED)
        self.touched |= set(applied.values_list("jurisdiction_id", flat=True))
        changed = applied.filter(object_type="person").exclude(outcome=Outcome.UNCHANGED)
        self.people |= set(changed.values_list("jurisdiction_id", flat=True))
        plans = self._schedule.runs
        rows = ScrapeRun.objects.in_bulk([self._schedule.run_id(n) for n in range(len(plans))])
        for number in self._ended - self.pruned:
            row = rows.get(self._schedule.run_id(number))
            if row is None:
                self.pruned.add(number)
                continue
            if row.finalized_at is None:
                continue
            if row.closed_at is None:
                self.deleting.add(number)
                continue
            failed = File.objects.filter(run_id=row.run_id, outcome=Outcome.FAILED)
            overtaken = any(
                other.jurisdiction_id == row.jurisdiction_id
                and other.started_at > row.started_at
                and _is_final_before_end(other, row)
                for other in rows.values()
            )
            assert overtaken or failed.exclude(reason="unresolved").exists(), (
                f"run {number} was closed without need: {row.closed}"
            )


def add_committee() -> None:
    """One more committee of the name that content.COMMITTEES have."""
    known = Organization.objects.filter(name=content.COMMITTEE).count()
    key, chamber = content.COMMITTEES[known]
    of = {"jurisdiction_id": content.JURISDICTION}
    Organization.objects.create(
        id=key,
        name=content.COMMITTEE,
        classification="committee",
        parent=Organization.objects.get(classification=chamber, **of),
        **of,
    )


def _check_sums(report: Report) -> None:
    figures = report.as_dict()
    assert figures["received"] == sum(figures[outcome] for outcome in Outcome.values)
    every = Counter[str]()
    shared = Counter[str]()
    for counts in report.types.values():
        every += counts
    for share in report.shares.values():
        for counts in share.types.values():
            shared += counts
    assert every["received"] == report.received and every["resumed"] == report.resumed
    assert all(every[word] == shared[word] == figures[word] for word in Outcome.values)


def _is_final_before_end(newer: ScrapeRun, older: ScrapeRun) -> bool:
    if newer.finalized_at is None or older.received_at is None:
        return False
    return newer.finalized_at <= older.received_at


def _versions() -> Iterator[tuple[tuple[str, str], int]]:
    for model in (Bill, VoteEvent):
        for key, extras in model._default_manager.values_list("id", "extras"):
            yield (model.__name__, key), extras["version"]
    for key, text in Event.objects.values_list("id", "upstream_id"):
        yield ("Event", key), content.version_of(text)
    for key, text in Person.objects.values_list("id", "email"):
        yield ("Person", key), content.version_of(text)
    for state, session, text in LegislativeSession.objects.values_list(
        "jurisdiction", "identifier", "name"
    ):
        yield ("LegislativeSession", f"{state} {session}"), content.version_of(text)


@contextmanager
def _standard_output_kept() -> Iterator[None]:
    # redirect_stdout around core's prints is not thread-safe: two threads may leave it replaced.
    out = sys.stdout
    try:
        yield
    finally:
        sys.stdout = out
