"""Imports a folder of files with no queue and no bucket, to debug a failure by hand."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from django.db import connection, transaction

from realtime.backends.postgres.locks import WorkerSlot
from realtime.consumer.batches import BATCH_SIZE, PATIENT, import_group, log_released
from realtime.consumer.context import database_needed, log_summary, logged_as_run
from realtime.consumer.disk_files import Folder, NoStore
from realtime.domain.config import BULK, Config
from realtime.domain.errors import PoisonMessage, RetryLater, Unavailable
from realtime.domain.in_flight import InFlightFile, import_place
from realtime.domain.results import Failed, Released
from realtime.domain.run_context import RunContext
from realtime.files.portion import fitting
from realtime.ledger.pauses import open_pause
from realtime.models import File, Outcome
from realtime.monitoring.report import Report
from realtime.producer import local_files
from realtime.producer.local_files import Existing


@dataclass(frozen=True)
class Failure:
    """Why a file could not be imported; `traceback` is empty when nothing was unexpected."""

    name: str
    problem: PoisonMessage
    traceback: str = ""

    def __str__(self) -> str:
        place = f" in {self.problem.field}" if self.problem.field else ""
        return f"{self.name}: {self.problem.reason}{place}: {self.problem.detail}"


def run(
    config: Config,
    folder: Path,
    abbr: str,
    jurisdiction_id: str,
    must_stop: Callable[[], bool],
    tell: Callable[[Failure], None],
    importer: str = BULK,
) -> Report:
    """Import the files of `folder` as an import run would, and `tell` of each that fails.

    In the same batches and transactions, under the same locks and in scrape order: a file older
    than what is in is superseded. People, and a jurisdiction whose folder says no time, are as old
    as their file's last change. The ledger records what was applied, so that later files take
    their place after it; a file of the same name and content is then `ignored`. It records no
    failure, so that a file is tried as often as one likes, and parks nothing: what names something
    that is not in fails as `unresolved`. The folder stays as it is.

    Raises NotPublishable when the folder holds no files, Unavailable when the database cannot be
    reached.
    """
    files = local_files.find(folder).files
    with logged_as_run():
        report = _run(config, files, abbr, jurisdiction_id, must_stop, tell, importer)
        log_summary(report)
    return report


def _run(
    config: Config,
    files: list[Existing],
    abbr: str,
    jurisdiction_id: str,
    must_stop: Callable[[], bool],
    tell: Callable[[Failure], None],
    importer: str,
) -> Report:
    report, slot = Report(), WorkerSlot(config.max_workers, config.statement_timeout)
    context = RunContext(
        config,
        NoStore(),
        must_stop,
        importer,
        slot.verify,
        slot.lost,
        report.stage,
        flagged=report.count_flags,
    )
    folder = Folder(abbr, jurisdiction_id, local_files.earliest(files))
    with context.timed("total"):
        try:
            with database_needed():
                if not slot.take():
                    report.note = f"all {config.max_workers} workers are busy; nothing was imported"
                    return report
                if pause := open_pause(jurisdiction_id):
                    report.note = f"{abbr} is paused ({pause.reason}); nothing was imported"
                    return report
                for done in _imported(context, folder, files, report):
                    report.add_received(done)
                    for file in done:
                        if isinstance(file.outcome, Failed):
                            tell(_failure(file, file.outcome))
        finally:
            slot.release()
    return report


def _imported(
    context: RunContext, folder: Folder, files: Sequence[Existing], report: Report
) -> Iterator[list[InFlightFile]]:
    """The files, finished: those that cannot be read, then the others batch by batch."""
    readable = yield from _in_import_order(context, folder, files)
    with connection.execute_wrapper(report.count_statement):
        while readable:
            sizes = [_size(existing) for existing in readable[:BATCH_SIZE]]
            count = fitting(sizes, context.config.max_batch_bytes)
            yield _import(context, folder, readable[:count])
            readable = readable[count:]


def _size(existing: Existing) -> int:
    try:
        return existing.path.stat().st_size
    except OSError:
        return 0  # reading it will say why


def _in_import_order(
    context: RunContext, folder: Folder, files: Sequence[Existing]
) -> Generator[list[InFlightFile], None, list[Existing]]:
    """Yields the files that cannot be read; returns the others, sorted.

    Keeps the content of none, since a scrape may not fit memory: each is read again to import it.
    """
    places = []
    for existing in files:
        with context.timed("fetch"):
            file = folder.read(existing)
        if file.fetched:
            places.append((import_place(file.fetched.content), existing))
        else:
            yield [file]
    return [existing for _, existing in sorted(places, key=itemgetter(0))]


def _import(context: RunContext, folder: Folder, batch: Sequence[Existing]) -> list[InFlightFile]:
    """The files of a batch, imported; all released when it is not committed as a whole."""
    if context.must_stop():
        files = [folder.unread(existing) for existing in batch]
    else:
        with context.timed("fetch"):
            files = [folder.read(existing) for existing in batch]
        readable = [file for file in files if file.fetched]
        try:
            _commit(context, folder.jurisdiction_id, readable)
        except Unavailable:
            raise
        except RetryLater as exc:
            log_released(folder.jurisdiction_id, len(readable), exc)
            for file in readable:
                file.finish(Released())
    for file in files:
        if file.outcome is None:
            file.finish(Released())
    return files


def _commit(context: RunContext, jurisdiction_id: str, files: Sequence[InFlightFile]) -> None:
    with transaction.atomic():
        batches = list(import_group(context, jurisdiction_id, files, PATIENT))
        done = [file for batch in batches for file in batch]
        rows = [file.ledger_id for file in done if file.ledger_id is not None]
        File.objects.filter(id__in=rows, outcome=Outcome.FAILED).delete()
        File.objects.filter(id__in=rows).update(archived_at=datetime.now(UTC))


def _failure(file: InFlightFile, failed: Failed) -> Failure:
    return Failure(file.identity.key.partition("/")[2], failed.problem, failed.traceback)
