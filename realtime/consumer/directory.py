"""Imports a folder of files with no queue and no bucket, to debug a failure by hand."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from django.db import connection, transaction
from yaml import YAMLError

from realtime.backends.postgres.locks import WorkerSlot
from realtime.consumer.batches import BATCH_SIZE, PATIENT, import_group
from realtime.consumer.context import database_needed, log_summary, said_of_run
from realtime.domain import scraped_object
from realtime.domain.config import BULK, Config
from realtime.domain.errors import PoisonMessage, RetryLater, Unavailable
from realtime.domain.results import Delivery, FetchedFile, FileIdentity, Result, import_place
from realtime.files.fetch import whose
from realtime.models import File, Outcome
from realtime.monitoring.report import Report
from realtime.producer import local_files
from realtime.producer.local_files import Existing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why a file could not be imported; `traceback` is empty when nothing was unexpected."""

    name: str
    problem: PoisonMessage
    traceback: str = ""

    def __str__(self) -> str:
        place = f" in {self.problem.field}" if self.problem.field else ""
        return f"{self.name}: {self.problem.reason}{place}: {self.problem.detail}"


@dataclass
class _Work:
    slot: WorkerSlot
    report: Report
    must_stop: Callable[[], bool]
    importer: str
    failed_ledger_ids: list[int] = field(default_factory=list)


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
    with said_of_run():
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
    report = Report()
    reader = _Reader(abbr, jurisdiction_id, local_files.earliest(files), report, tell)
    work = _Work(WorkerSlot(config.max_workers), report, must_stop, importer)
    with report.stage("total"):
        try:
            with database_needed():
                if not work.slot.take():
                    report.note = f"all {config.max_workers} workers are busy; nothing was imported"
                    return report
                with report.stage("fetch"):
                    readable = reader.in_import_order(files)
                with connection.execute_wrapper(report.count_statement):
                    for at in range(0, len(readable), BATCH_SIZE):
                        _import(work, jurisdiction_id, reader, readable[at : at + BATCH_SIZE])
        finally:
            work.slot.release()
    return report


@dataclass(frozen=True)
class _Reader:
    """Reads files of the folder; one that cannot be is counted as failed, and told of.

    `began` says when the scrape of a folder did.
    """

    abbr: str
    jurisdiction_id: str
    began: Mapping[Path, datetime]
    report: Report
    tell: Callable[[Failure], None]

    def in_import_order(self, files: Iterable[Existing]) -> list[Existing]:
        """The files that can be read. What they hold is not kept: a scrape may not fit memory."""
        places = [
            (import_place(read.content), file) for file in files for read in self.read([file])
        ]
        return [file for _, file in sorted(places, key=itemgetter(0))]

    def read(self, files: Iterable[Existing]) -> list[FetchedFile]:
        read = []
        for file in files:
            is_jurisdiction = file.object_type == "jurisdiction"
            first = self.began.get(file.path.parent) if is_jurisdiction else None
            try:
                read.append(_fetched(file, first, self.abbr, self.jurisdiction_id))
            except PoisonMessage as problem:
                self.report.count(file.object_type, Outcome.FAILED)
                self.tell(Failure(file.path.name, problem))
        return read


def _fetched(
    file: Existing, stamp: datetime | None, abbr: str, jurisdiction_id: str
) -> FetchedFile:
    try:
        body = file.path.read_bytes()
        stamp = stamp or datetime.fromtimestamp(file.path.stat().st_mtime, UTC)
        body = body if file.path.suffix == ".json" else local_files.yaml_json(body)
    except OSError as exc:
        raise PoisonMessage("gone", f"the file cannot be read: {exc}") from exc
    except (YAMLError, ValueError, TypeError) as exc:
        raise PoisonMessage("bad-yaml", f"the file is not YAML: {exc}") from exc
    content = scraped_object.read(file.object_type, body, stamp)
    digest = hashlib.sha256(body).hexdigest()
    return FetchedFile(
        # No bucket: nobody looks for it there.
        identity=FileIdentity("", f"{abbr}/{file.path.name}", digest, size=len(body)),
        jurisdiction_id=whose(content, jurisdiction_id, abbr),
        content=content,
        delivery=Delivery(stamp, "", jurisdiction_id),
        last_chance=True,
    )


def _import(
    work: _Work, jurisdiction_id: str, reader: _Reader, readable: Sequence[Existing]
) -> None:
    if work.must_stop():
        for one in readable:
            work.report.count(one.object_type, Outcome.RELEASED)
        return
    with work.report.stage("fetch"):
        files = reader.read(readable)
    results: list[Result] = []
    try:
        results = _commit(work, jurisdiction_id, files)
    except Unavailable:
        raise
    except RetryLater as exc:
        logger.warning(
            "batch released",
            extra={
                "action": "released",
                "jurisdiction_id": jurisdiction_id,
                "files": len(files),
                "cause": exc,
            },
        )
    for result in results:
        work.report.count(result.object_type, result.outcome)
        if result.problem:
            name = result.identity.key.partition("/")[2]
            reader.tell(Failure(name, result.problem, result.traceback))
    tried = {id(result.file) for result in results}
    for file in files:
        if id(file) not in tried:
            work.report.count(file.content.object_type, Outcome.RELEASED)


def _commit(work: _Work, jurisdiction_id: str, files: Sequence[FetchedFile]) -> list[Result]:
    with transaction.atomic():
        batches = list(import_group(work, jurisdiction_id, files, PATIENT))
        rows = [id for batch in batches for id in batch.ledger_ids.values()]
        File.objects.filter(id__in=rows, outcome=Outcome.FAILED).delete()
        File.objects.filter(id__in=rows).update(archived_at=datetime.now(UTC))
    return [result for batch in batches for result in batch.results]
