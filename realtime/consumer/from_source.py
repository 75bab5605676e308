"""Imports a source as it is: a folder, JSON lines, an archive; with no queue and no copy."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import islice
from operator import itemgetter
from uuid import NAMESPACE_URL, UUID, uuid5

from django.db import connection, transaction

from realtime.backends.postgres.locks import WorkerSlot
from realtime.backends.request_counts import counted_into
from realtime.backends.stores import store_of
from realtime.consumer.batches import BATCH_SIZE, PATIENT, import_group, log_released
from realtime.consumer.context import database_needed, log_summary, logged_as_run, stopped_in_time
from realtime.consumer.record import Record
from realtime.consumer.source_store import SourceStore, key_of
from realtime.domain.config import BULK, Config
from realtime.domain.errors import ConfigurationError, PoisonMessage, RetryLater, Unavailable
from realtime.domain.in_flight import CONTROL, UNKNOWN, InFlightFile, import_place
from realtime.domain.jurisdictions import abbreviation_of, jurisdiction_of
from realtime.domain.messages import RunFinished
from realtime.domain.results import (
    Delivery,
    Failed,
    FetchedFile,
    FileIdentity,
    FileOutcome,
    Ignored,
    Released,
    Result,
)
from realtime.domain.run_context import RunContext
from realtime.domain.scraped_object import read, time_of
from realtime.files.fetch import whose
from realtime.files.portion import fitting
from realtime.finalization.finalize import finalize_asked
from realtime.finalization.state_machine import OutOfTime
from realtime.ledger import complete_runs, failures
from realtime.ledger import files as ledger_files
from realtime.ledger.pauses import open_pause
from realtime.ledger.run_notices import store_run
from realtime.ledger.suspects import ATTEMPTS
from realtime.models import File, Outcome, ScrapeRun, Way
from realtime.monitoring.report import Report
from realtime.process.threads import Threads
from realtime.sources import source as sources
from realtime.sources.source import Broken, Member, Source, Volume

logger = logging.getLogger(__name__)

# Members of the first batches, and the part of what was tried that later ones are.
_FIRST_BATCH, _SHARE = 6, 16
# Bytes of members held at once, whatever REALTIME_MAX_BATCH_BYTES says: who imports a snapshot has
# no machine for it.
_MOST_BYTES = 8_000_000
# Members that the ledger is asked about at once, and that are read at once from far away.
_PAGE, _READERS = 1_000, 16
# Types whose place in the scrape order is the time in their `_id`.
_TIMED = ("bill", "vote_event", "event")
# Why a run has no end, beside what its members lack.
_NOT_TRIED = "not all of its members were tried"


@dataclass(frozen=True)
class Failure:
    """Why a member could not be imported; `traceback` is empty when nothing was unexpected."""

    name: str
    problem: PoisonMessage
    traceback: str = ""

    def __str__(self) -> str:
        place = f" in {self.problem.field}" if self.problem.field else ""
        return f"{self.name}: {self.problem.reason}{place}: {self.problem.detail}"


@dataclass(frozen=True)
class Watcher:
    """Who follows an import: `tell` is told of each member that fails, `say` what else a person
    should know, and `progress` how many members are done, and how many there are so far."""

    tell: Callable[[Failure], None]
    say: Callable[[str], None] = lambda text: None
    progress: Callable[[int, int], None] = lambda done, known: None


def run(
    config: Config,
    source: Source,
    must_stop: Callable[[], bool],
    watcher: Watcher,
    importer: str = BULK,
    *,
    as_run: bool = False,
    volumes: Iterable[Volume] | None = None,
    done: Callable[[Volume], None] = lambda volume: None,
    skip_known: bool = False,
    record: Record | None = None,
) -> Report:
    """Import the members of `source` as an import run would, or only those in `volumes` of it.

    In the same batches and transactions, under the same locks and in scrape order: what is older
    than what is in is superseded. The ledger records what was applied, by the source's URL and the
    member's name and version, so that later scrapes take their place after it. A member that is
    recorded is `ignored`, and not read again: killed or repeated, an import goes on where it was.
    Nothing is parked: what names something that is not in fails as `unresolved`. The source stays
    as it is.

    With `as_run` the source is one finished scrape run of one jurisdiction, which is finalized once
    every member has been tried. Then the ledger also records failures, which keep the run from
    deleting anything; the next call tries them again. Without, it records none, and nothing is
    ever deleted. `done` is told of each volume of which no member was released, or names what may
    still come. With `skip_known`, files that hold many members and are in as a whole are
    remembered, and not opened again. `record` keeps what earlier imports did, where these are to
    count as one with this.

    Raises NoSource when there is nothing to import, ConfigurationError when the source does not say
    whose it is or a run would be of several, Unavailable when the database or the source cannot be
    reached.
    """
    with logged_as_run():
        report, slot = Report(), WorkerSlot(config.max_workers, config.statement_timeout)
        others = cache(partial(store_of, config.bucket)) if config.base else None
        with closing(SourceStore(source, others)) as store:
            context = RunContext(
                config,
                store,
                must_stop,
                importer,
                slot.verify,
                slot.lost,
                report.stage,
                flagged=report.count_flags,
                expired=report.expire,
            )
            with counted_into(report.requests), context.timed("total"):
                try:
                    with database_needed():
                        if slot.take():
                            kept = record or Record(config, Way.SOURCE)
                            counting = connection.execute_wrapper(report.count_statement)
                            with kept.of(report), counting:
                                one = _Import(context, source, watcher, report)
                                chosen = source.volumes() if volumes is None else volumes
                                one.run(chosen, as_run, done, skip_known)
                        else:
                            report.note = (
                                f"all {config.max_workers} workers are busy; nothing was imported"
                            )
                finally:
                    slot.release()
        log_summary(report)
    return report


class _Import:
    """One import of a source."""

    def __init__(
        self, context: RunContext, source: Source, watcher: Watcher, report: Report
    ) -> None:
        self._context = context
        self._source = source
        self._watcher = watcher
        self._report = report
        self._run: _Run | None = None
        self._paused: dict[str, bool] = {}
        self._known = 0
        self._tried = 0
        # Members that may fare better another time.
        self._put_off = 0

    def run(
        self,
        volumes: Iterable[Volume],
        as_run: bool,
        done: Callable[[Volume], None],
        skip_known: bool,
    ) -> None:
        if as_run:
            self._run = _Run(self._source.run_id or _stable_id(self._source))
        for volume in volumes:
            if self._context.must_stop():
                self._put_off += 1
                break
            known = self._identity(volume.name, volume.fingerprint)
            skip = skip_known and bool(volume.name)
            if not (skip and ledger_files.recorded([known])):
                put_off, failed = self._put_off, self._report.outcomes[Outcome.FAILED]
                with closing(volume):
                    self._volume(volume)
                if self._put_off > put_off:
                    continue
                if skip and self._report.outcomes[Outcome.FAILED] == failed:
                    self._remember(known)
            done(volume)
        if self._run:
            with stopped_in_time(self._context):
                self._end(self._run)

    def _remember(self, known: FileIdentity) -> None:
        """Record that all of a volume is in."""
        now = ledger_files.database_now()
        result = Result(known, Delivery(now, ""), CONTROL, Ignored())
        with transaction.atomic():
            [row] = ledger_files.record([result], now).values()
            File.objects.filter(id=row).update(archived_at=now)

    def _volume(self, volume: Volume) -> None:
        members = self._listed(volume)
        began = sources.earliest(members)
        ordered = self._in_import_order(volume, self._not_recorded(members), began)
        # There may be a hundred thousand.
        del members
        most = min(self._context.config.max_batch_bytes, _MOST_BYTES)
        at = 0
        while at < len(ordered):
            batch = ordered[at : at + self._at_once()]
            batch = batch[: fitting((member.size for member in batch), most)]
            # Of one jurisdiction, since it is one transaction.
            batch = [member for member in batch if member.abbr == batch[0].abbr]
            self._import(volume, batch, began)
            self._tried += len(batch)
            at += len(batch)

    def _listed(self, volume: Volume) -> list[Member]:
        """The members of a volume. What is broken beside them has failed."""
        with self._context.timed("list"):
            entries = list(volume.entries())
        members = [entry for entry in entries if isinstance(entry, Member)]
        broken = [entry for entry in entries if isinstance(entry, Broken)]
        self._known += len(members) + len(broken)
        self._require_one_owner(members)
        if self._run:
            self._run.add(members, broken)
        self._fail(broken)
        return members

    def _in_import_order(
        self, volume: Volume, members: Iterable[Member], began: Mapping[str, datetime]
    ) -> list[Member]:
        placed = [(self._place(volume, member, began), member) for member in members]
        return [member for _, member in sorted(placed, key=itemgetter(0))]

    def _at_once(self) -> int:
        """How many members are one batch. What a killed process has read and not committed is read
        again: a small part of what it has committed, whenever that is."""
        return min(BATCH_SIZE, max(_FIRST_BATCH, self._tried // _SHARE))

    def _require_one_owner(self, members: Sequence[Member]) -> None:
        abbrs = sorted({member.abbr for member in members})
        if "" in abbrs:
            name = next(member.name for member in members if not member.abbr)
            raise ConfigurationError(
                f"--jurisdiction is missing: {self._source.url} does not say whose {name} is"
            )
        owners = {jurisdiction_of(abbr) for abbr in abbrs}
        if self._run:
            owners |= {self._run.jurisdiction_id} - {""}
            if len(owners) > 1:
                raise ConfigurationError(
                    "--run takes the scrape of one jurisdiction, and the source holds files of"
                    f" {', '.join(sorted(abbreviation_of(owner) for owner in owners))}"
                )
            self._run.jurisdiction_id = next(iter(owners), "")

    def _not_recorded(self, members: Sequence[Member]) -> Iterator[Member]:
        """The members that the ledger has no outcome of; the others are `ignored`, unread."""
        rest = iter(members)
        while page := list(islice(rest, _PAGE)):
            identities = {self._identity(member.name, member.version): member for member in page}
            for identity in ledger_files.recorded(identities):
                member = identities.pop(identity)
                owner = jurisdiction_of(member.abbr)
                self._report.count(member.object_type, Outcome.IGNORED, jurisdiction_id=owner)
            self._progress()
            yield from identities.values()

    def _place(
        self, volume: Volume, member: Member, began: Mapping[str, datetime]
    ) -> tuple[str, int, int, str]:
        """Where a member comes in the order of the import. Where its name has no time, its content
        has; it is read for that, and once more to be imported: a scrape may not fit memory."""
        if member.ticks is None and member.object_type in _TIMED:
            with self._context.timed("fetch"):
                file = self._read(volume, member, began)
            if file.fetched:
                member = member._replace(ticks=file.fetched.content.order.ticks)
        return sources.import_place(member)

    def _import(
        self, volume: Volume, batch: Sequence[Member], began: Mapping[str, datetime]
    ) -> None:
        """Import the members of a batch; all are released when it is not committed as a whole."""
        owner = jurisdiction_of(batch[0].abbr)
        if self._context.must_stop() or self._is_paused(owner):
            files = [self._unread(member) for member in batch]
        else:
            with self._context.timed("fetch"):
                files = self._read_all(volume, batch, began)
            try:
                self._commit(owner, files)
            except Unavailable:
                raise
            except RetryLater as exc:
                log_released(owner, len(files), exc)
                # Those that cannot be read as well: that is not recorded.
                for file in files:
                    file.finish(Released())
        for file in files:
            if file.outcome is None:
                file.finish(Released())
            if isinstance(file.outcome, Failed):
                self._tell(file, file.outcome)
            self._put_off += _may_fare_better(file.outcome)
        self._report.add_received(files)
        self._progress()

    def _commit(self, jurisdiction_id: str, files: Sequence[InFlightFile]) -> None:
        readable = sorted(
            (file for file in files if file.fetched),
            key=lambda file: import_place(file.ready().content),
        )
        with transaction.atomic():
            # They are tried again, as this version or another.
            failures.forget([file.identity.key for file in files])
            batches = list(import_group(self._context, jurisdiction_id, readable, PATIENT))
            if self._run:
                unread = [file for file in files if isinstance(file.outcome, Failed)]
                self._record_unread([file for file in unread if file.ledger_id is None])
            rows = [file.ledger_id for batch in batches for file in batch]
            done = File.objects.filter(id__in=[row for row in rows if row is not None])
            if not self._run:
                done.filter(outcome=Outcome.FAILED).delete()
            done.update(archived_at=datetime.now(UTC))

    def _record_unread(self, files: Sequence[InFlightFile]) -> None:
        """Record members of a run that cannot be read, in the caller's transaction."""
        results = [file.result(file.outcome) for file in files if isinstance(file.outcome, Failed)]
        now = ledger_files.database_now()
        recorded = ledger_files.record_unread(results, now)
        File.objects.filter(id__in=recorded.values()).update(archived_at=now)

    def _fail(self, broken: Sequence[Broken]) -> None:
        """What is no member, but seems to be meant as one, has failed."""
        files = []
        for name, problem in broken:
            member = Member(name, UNKNOWN, "", "", 0, None, None)
            file = self._unread(member)
            file.outcome = Failed(problem)
            files.append(file)
            self._tell(file, file.outcome)
        self._report.add_received(files)
        if self._run and files:
            with transaction.atomic():
                failures.forget([file.identity.key for file in files])
                self._record_unread(files)

    def _read_all(
        self, volume: Volume, batch: Sequence[Member], began: Mapping[str, datetime]
    ) -> list[InFlightFile]:
        if not volume.parallel:
            return [self._read(volume, member, began) for member in batch]
        with Threads(_READERS, "source-read") as threads:
            return list(threads.map(lambda member: self._read(volume, member, began), batch))

    def _read(self, volume: Volume, member: Member, began: Mapping[str, datetime]) -> InFlightFile:
        """The member as it is now; `failed` when it cannot be read, with no outcome when it cannot
        be read at the moment."""
        file = self._unread(member)
        try:
            body = volume.read(member, self._context.config.max_file_bytes)
            stamp = began.get(sources.folder_of(member)) if _is_jurisdiction(member) else None
            stamp = body.scraped_at or stamp or body.changed_at
            stored_at = body.stored_at or datetime.now(UTC)
            content = read(member.object_type, body.content, stamp, stored_at=stored_at)
            file.jurisdiction_id = whose(content, file.jurisdiction_id, member.abbr)
        except PoisonMessage as problem:
            # Not logged: the caller tells it.
            file.outcome = Failed(problem)
        except Unavailable:
            raise
        except RetryLater as exc:
            about = {"action": "released", "key": file.identity.key, "cause": exc}
            logger.warning("member cannot be read now", extra=about)
        else:
            file.identity = replace(file.identity, size=len(body.content))
            file.delivery = replace(file.delivery, queued_at=stamp)
            file.fetched = FetchedFile(
                file.identity, file.jurisdiction_id, content, file.delivery, file.last_chance
            )
        return file

    def _unread(self, member: Member) -> InFlightFile:
        """The member, before it is read."""
        owner = jurisdiction_of(member.abbr) or (self._run.jurisdiction_id if self._run else "")
        run_id = self._run.run_id if self._run else None
        return InFlightFile(
            self._identity(member.name, member.version),
            Delivery(datetime.now(UTC), "", owner, run_id=run_id),
            object_type=member.object_type,
            jurisdiction_id=owner,
            last_chance=True,
            # It is the caller who tries it again.
            attempts=ATTEMPTS - 1,
        )

    def _identity(self, name: str, version: str) -> FileIdentity:
        # What has been imported without a run, or by another, is none of the run's yet.
        version = f"{version} {self._run.run_id}" if self._run else version
        return FileIdentity("", key_of(self._source, name), version, version_id=version)

    def _is_paused(self, jurisdiction_id: str) -> bool:
        if jurisdiction_id not in self._paused:
            pause = open_pause(jurisdiction_id)
            self._paused[jurisdiction_id] = pause is not None
            if pause:
                abbr = abbreviation_of(jurisdiction_id)
                self._watcher.say(f"{abbr} is paused ({pause.reason}); nothing was imported")
        return self._paused[jurisdiction_id]

    def _tell(self, file: InFlightFile, failed: Failed) -> None:
        name = file.identity.key.removeprefix(key_of(self._source, ""))
        self._watcher.tell(Failure(name, failed.problem, failed.traceback))

    def _progress(self) -> None:
        self._watcher.progress(self._report.received, self._known)

    def _end(self, run: "_Run") -> None:
        """Record that the run has ended, and finalize it."""
        is_whole = not self._report.outcomes[Outcome.RELEASED] and run.jurisdiction_id
        if self._context.must_stop() or not is_whole:
            self._watcher.say(f"run {run.run_id} has no end yet: {_NOT_TRIED}")
            return
        try:
            with transaction.atomic():
                # What is broken before the first member says whose the run is.
                nobodys = File.objects.filter(bucket="", run_id=run.run_id, jurisdiction_id="")
                nobodys.update(jurisdiction_id=run.jurisdiction_id)
                store_run(run.finished(), ledger_files.database_now())
        except PoisonMessage as exc:
            raise ConfigurationError(f"--run: {exc}") from exc
        row = ScrapeRun.objects.get(run_id=run.run_id)
        if complete_runs.is_over(row):
            return
        if obstacle := complete_runs.obstacle(row):
            self._watcher.say(f"run {run.run_id} is not finalized yet: {obstacle.why}")
            return
        try:
            with self._context.timed("finalize"):
                steps = complete_runs.steps_to(row)
                for one in finalize_asked(steps, self._context, put_off=self._watcher.say):
                    self._report.finalized.append(str(one.run.run_id))
                    if one.closed:
                        self._watcher.say(f"run {one.run.run_id} deleted nothing: {one.closed}")
        except OutOfTime as exc:
            self._watcher.say(str(exc))
            return
        row.refresh_from_db()
        if not row.finalized_at and not row.closed_at:
            self._watcher.say(f"run {run.run_id} is not finalized yet: finalize_realtime says why")


class _Run:
    """The scrape run that a source is."""

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id
        self.jurisdiction_id = ""
        self._objects: Counter[str] = Counter()
        self._ticks: list[int] = []

    def add(self, members: Sequence[Member], broken: Sequence[Broken]) -> None:
        """These are of the run."""
        self._objects.update(member.object_type for member in members)
        self._objects[UNKNOWN] += len(broken)
        ticks = [member.ticks for member in members if member.ticks is not None]
        if ticks:
            self._ticks = [min(ticks + self._ticks), max(ticks + self._ticks)]

    def finished(self) -> RunFinished:
        """The end of the run. It began and ended with the earliest and latest time in its members'
        names (now, without any), so that it keeps its place among the jurisdiction's scrapes."""
        now = datetime.now(UTC)
        began, ended = (time_of(t) for t in self._ticks) if self._ticks else (now, now)
        objects = {name: count for name, count in self._objects.items() if count}
        name = abbreviation_of(self.jurisdiction_id)
        return RunFinished(self.run_id, "", self.jurisdiction_id, name, began, ended, objects)


def _stable_id(source: Source) -> UUID:
    """The same for as long as nothing in the source changes."""
    found = sources.digest(volume.fingerprint for volume in source.volumes())
    return uuid5(NAMESPACE_URL, f"{source.url}#{found}")


def _may_fare_better(outcome: FileOutcome | None) -> bool:
    if isinstance(outcome, Failed):
        return outcome.problem.reason in ("unresolved", "ambiguous")
    return isinstance(outcome, Released)


def _is_jurisdiction(member: Member) -> bool:
    return member.object_type == "jurisdiction"
