"""Publishes existing files: folders scraped by core, people's YAML, and spooled files."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openstates import metadata

from realtime.domain import messages
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, PoisonMessage, RealtimeError
from realtime.domain.interfaces import Sends, Uploads
from realtime.domain.scraped_object import parse_key, time_of
from realtime.producer import local_files, spool
from realtime.producer.backoff import RetryPolicy
from realtime.producer.local_files import Existing, NotPublishable
from realtime.producer.outbox import Outbox, Outgoing
from realtime.producer.producer import Jurisdiction, NotPublished, Producer, send_end

# Seconds to go on publishing files in flight after an interruption.
GRACE_AFTER_INTERRUPT = 10.0


@dataclass
class Published:
    """What was published. `problems` has one sentence for each file or folder that was not."""

    types: Counter[str] = field(default_factory=Counter)
    skipped: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    run_id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "published": sum(self.types.values()),
            "types": dict(self.types),
            "run_id": self.run_id or None,
            "skipped": len(self.skipped),
            "problems": self.problems,
        }


@dataclass(frozen=True)
class Selection:
    """What the given paths hold: files to publish, and spool folders."""

    files: list[Existing]
    spools: list[Path]


def jurisdiction_named(abbr: str) -> Jurisdiction:
    """The jurisdiction with this abbreviation; `us` and `usa` both mean Congress.

    Raises ConfigurationError when core's metadata does not have it.
    """
    lower = abbr.lower()
    try:
        found = metadata.lookup(abbr="us" if lower == "usa" else lower)
    except KeyError as exc:
        raise ConfigurationError(f"--jurisdiction: core knows no jurisdiction {abbr!r}") from exc
    return Jurisdiction("usa" if lower == "us" else lower, found.jurisdiction_id, found.name)


def select(paths: Iterable[Path], report: Published) -> Selection:
    """The files at `paths`, in the given order, then by name. Adds problems to `report`."""
    files: list[Existing] = []
    spools: list[Path] = []
    for path in paths:
        if spool.is_spool(path):
            spools.append(path)
            continue
        try:
            found = local_files.find(path)
        except NotPublishable as exc:
            report.problems.append(str(exc))
        else:
            files += found.files
            report.skipped += found.skipped
    return Selection(files, spools)


def publish(
    producer: Producer,
    files: list[Existing],
    jurisdiction: Jurisdiction,
    report: Published,
    *,
    file_archiving_enabled: bool = False,
    shuffle: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Publish `files` in their order, or shuffled with the seed `shuffle`.

    A file that cannot be read is added to the report's problems; the others are published. The end
    of the producer's run, if it has one, is sent only when every file was published. The run's
    start and end are the earliest and latest time in the files' ids (now, without any), so that it
    keeps its place among the jurisdiction's scrapes. `progress` is called with the number of files
    done. `report` is filled in even when an exception is raised.
    """
    report.run_id = str(producer.run_id or "")
    order = list(files)
    if shuffle is not None:
        random.Random(shuffle).shuffle(order)
    try:
        ticks = _hand_over(producer, order, jurisdiction, report, file_archiving_enabled, progress)
        if producer.run_id and not report.problems:
            now = datetime.now(UTC)
            began, ended = (time_of(min(ticks)), time_of(max(ticks))) if ticks else (now, now)
            producer.finish(jurisdiction, began, ended)
        else:
            producer.close()
        progress(len(order))
    except NotPublished as exc:
        report.problems.append(str(exc))
    except BaseException:
        # Not raised: the producer has logged which files it spooled, and where.
        with suppress(NotPublished):
            producer.close(GRACE_AFTER_INTERRUPT)
        raise
    finally:
        report.types.update(producer.counts)


def _hand_over(
    producer: Producer,
    files: list[Existing],
    jurisdiction: Jurisdiction,
    report: Published,
    file_archiving_enabled: bool,
    progress: Callable[[int], None],
) -> list[int]:
    """Give every readable file to the producer; returns the ticks in their ids."""
    # A jurisdiction has no time of its own: use the start of its folder's scrape.
    began = local_files.earliest(files)
    all_ticks: list[int] = []
    for done, file in enumerate(files):
        progress(done)
        stamp = began.get(file.path.parent) if file.object_type == "jurisdiction" else None
        try:
            content, ticks = local_files.read(file, stamp)
        except NotPublishable as exc:
            report.problems.append(str(exc))
            continue
        if ticks is not None:
            all_ticks.append(ticks)
        producer.publish(
            jurisdiction, content, file_archiving_enabled=file_archiving_enabled, fresh_id=False
        )
    return all_ticks


def publish_spool(
    store: Uploads,
    queue: Sends,
    base: Bucket,
    folder: Path,
    report: Published,
    *,
    retry_policy: RetryPolicy | None = None,
) -> None:
    """Publish the files spooled in `folder`, each with its own key and run.

    Published files are removed from the folder; the others stay. The end of a run is sent once no
    file of the run is left.
    """
    for run in spool.runs(folder):
        _publish_run(store, queue, base, run, report, retry_policy or RetryPolicy())
    spool.remove_empty(folder)


def _publish_run(
    store: Uploads,
    queue: Sends,
    base: Bucket,
    run: Path,
    report: Published,
    retry_policy: RetryPolicy,
) -> None:
    lock = threading.Lock()
    entries: dict[str, spool.Spooled] = {}

    def sent(outgoing: Outgoing) -> None:
        entries[outgoing.key].remove()
        with lock:
            report.types[parse_key(base.strip(outgoing.key) or "").object_type] += 1

    def unsent(outgoing: Outgoing, reason: Exception) -> None:
        with lock:
            report.problems.append(f"{entries[outgoing.key].note} was not published: {reason}")

    outbox = Outbox(store, queue, sent=sent, unsent=unsent, retry_policy=retry_policy)
    try:
        for note in spool.files(run):
            try:
                entry = spool.read(note)
                _check_bucket(base, entry)
            except (spool.BadSpool, PoisonMessage) as exc:
                report.problems.append(str(exc))
                continue
            entries[entry.outgoing.key] = entry
            outbox.put(entry.outgoing)
    finally:
        outbox.close()
    if any(spool.files(run)):
        return
    try:
        if (end := spool.read_end(run)) is not None:
            send_end(queue, end, retry_policy)
            spool.remove_end(run)
    except RealtimeError as exc:
        report.problems.append(f"{run}: the end of the run was not published: {exc}")


def _check_bucket(base: Bucket, entry: spool.Spooled) -> None:
    key = entry.outgoing.key
    for message in messages.parse(entry.outgoing.message):
        bucket = getattr(message, "bucket", "")
        if bucket != base.name or base.strip(key) is None:
            raise spool.BadSpool(
                f"{entry.note} belongs to s3://{bucket}/{key}, which is not below S3_REALTIME_BASE"
            )
