"""What the ledger, core's reports and the bucket must say once a schedule is over."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openstates.data.models import RunPlan

from realtime.models import APPLIED, File, Outcome, ScrapeRun, Suspect
from tests.schedules import content
from tests.schedules.plan import Schedule

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Upload:
    """One upload: the number of its file, and the key."""

    number: int
    key: str
    etag: str


class Books:
    """What was sent, and what has become of it.

    `places` are those of the files in the scrape order, in ticks. `lost` are the files that another
    replaced under their key before anybody had read them. The ledger has forgotten the `pruned`
    runs.
    """

    def __init__(
        self,
        schedule: Schedule,
        uploads: list[Upload],
        places: Mapping[int, int],
        pruned: Collection[int],
    ) -> None:
        self._schedule = schedule
        self._uploads = uploads
        self._places = places
        self._pruned = pruned
        self._rows: dict[tuple[str, str], list[File]] = defaultdict(list)
        for row in File.objects.order_by("id"):
            self._rows[row.key, row.etag].append(row)
        self.lost = {upload.number for upload in uploads if self._is_lost(upload)}

    def _is_lost(self, upload: Upload) -> bool:
        if self._schedule.files[upload.number].run in self._pruned:
            return False
        rows = self._rows.get((upload.key, upload.etag), ())
        # One that was parked when it was overwritten is superseded.
        unread = all(row.outcome == Outcome.SUPERSEDED and not row.core_id for row in rows)
        return self._later(upload) and unread

    def _later(self, upload: Upload) -> bool:
        """Whether a later upload has its key."""
        return any(u.key == upload.key and u.number > upload.number for u in self._uploads)

    def check(self) -> None:
        """Asserts that each file has one row, which says what it was, and each run its report."""
        # Of a file that was imported when the process died, pruning forgets that it was suspected.
        finished = File.objects.exclude(outcome=Outcome.DEFERRED).values_list("id", flat=True)
        suspects = Suspect.objects.exclude(message_id__in=[f"parked:{id}" for id in finished])
        assert not suspects.exists(), "a message is suspected, but none killed a process"
        sent: dict[tuple[str, str], list[int]] = defaultdict(list)
        for upload in self._uploads:
            sent[upload.key, upload.etag].append(upload.number)
        assert self._rows.keys() <= sent.keys(), "the ledger has files that nobody sent"
        for sent_as, numbers in sent.items():
            rows = self._rows.get(sent_as, [])
            lost = set(numbers) <= self.lost
            if self._schedule.files[numbers[0]].run in self._pruned:
                assert not rows, f"{sent_as} is not forgotten"
                continue
            assert lost or 1 <= len(rows) <= len(numbers), f"{sent_as} has {len(rows)} rows"
            for row in rows:
                self._check_row(row, numbers)
        for number, run in enumerate(self._schedule.runs):
            known = ScrapeRun.objects.filter(run_id=self._schedule.run_id(number)).first()
            if run.ends and known is not None:
                self._check_report(number, known)

    def _check_row(self, row: File, numbers: list[int]) -> None:
        name = f"the row of {row.key}"
        files = [self._schedule.files[number] for number in numbers]
        what = files[0].what
        assert row.object_type == what["type"], name
        assert row.jurisdiction_id == content.JURISDICTIONS[content.state_of(what)], name
        assert row.run_id in {self._schedule.run_id(file.run) for file in files}, name
        if what["type"] in ("bill", "vote_event", "event"):
            assert row.order_ticks == self._places[numbers[0]], name
        assert (row.imported_at is None) == (row.outcome == Outcome.DEFERRED), name
        assert bool(row.reason) == (row.outcome == Outcome.FAILED), f"{name}: {row.reason}"
        assert row.core_id or row.outcome not in APPLIED, f"{name} was applied to no row"

    def _check_report(self, number: int, row: ScrapeRun) -> None:
        """Core's report of a run counts what the ledger has of it."""
        plans = RunPlan.objects.filter(
            jurisdiction_id=row.jurisdiction_id, start_time=row.started_at
        )
        assert len(plans) == 1, f"run {number} has {len(plans)} reports"
        [plan] = plans
        assert plan.success and plan.end_time >= plan.start_time
        scraped = {
            kind.object_type: kind.count
            for report in plan.scrapers.all()
            for kind in report.scraped_objects.all()
        }
        numbers = self._schedule.numbers(number)
        assert scraped == Counter(self._schedule.files[n].what["type"] for n in numbers)
        told = {
            kind.object_type: (kind.insert_count, kind.update_count, kind.noop_count)
            for kind in plan.imported_objects.all()
        }
        applied = dict(self._applied(row))
        if any(self._schedule.files[n].key is not None for n in numbers):
            # A run counts as complete with one upload of each key.
            for object_type, keys in self._keys(row).items():
                counted = sum(told.get(object_type, ()))
                assert keys <= counted <= sum(applied[object_type]), (
                    f"the report of run {number} counts {counted} {object_type} files of {keys}"
                )
        else:
            assert told == applied, f"run {number}: the report has {told}, the ledger {applied}"

    def _applied(self, run: ScrapeRun) -> Iterator[tuple[str, tuple[int, int, int]]]:
        rows = File.objects.filter(run_id=run.run_id, outcome__in=APPLIED)
        counts = Counter(rows.values_list("object_type", "outcome"))
        for object_type in {object_type for object_type, _ in counts}:
            inserted, updated, unchanged = (counts[object_type, outcome] for outcome in APPLIED)
            yield object_type, (inserted, updated, unchanged)

    def _keys(self, run: ScrapeRun) -> Mapping[str, int]:
        """How many keys of each type have only files that were applied."""
        outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in File.objects.filter(run_id=run.run_id):
            outcomes[row.object_type, row.key].add(row.outcome)
        return Counter(kind for (kind, _), found in outcomes.items() if found <= set(APPLIED))

    def check_bucket(self, s3: "S3Client", bucket: str, versioned: bool) -> None:
        """Asserts that the bucket holds each upload once, where the ledger says."""
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        # A move that was killed is done again, to the same key: there only the last version counts.
        stored = Counter(
            (entry["Key"], entry["ETag"].strip('"'))
            for page in pages
            for entry in page.get("Versions", [])
            if entry["IsLatest"] or not entry["Key"].startswith(("archived/", "failed/"))
        )
        there: Counter[str] = Counter()
        for (_, etag), count in stored.items():
            there[etag] += count
        sent = Counter(upload.etag for upload in self._uploads)
        assert there <= sent, f"the bucket holds more than was sent: {there - sent}"
        # Without versions, S3 itself forgets what is overwritten before it is moved.
        forgotten = Counter(
            upload.etag for upload in self._uploads if not versioned and self._later(upload)
        )
        missing = sent - there
        assert missing <= forgotten, f"uploads are not in the bucket: {missing - forgotten}"
        for row in File.objects.exclude(archived_key="").exclude(archived_at=None):
            assert stored[row.archived_key, row.etag] == 1, f"{row.archived_key} is not there"
            folder = "failed/" if row.outcome == Outcome.FAILED else "archived/"
            assert row.archived_key.startswith(folder), f"{row.archived_key} was {row.outcome}"
