"""Publishes existing files: folders scraped by core, people's YAML, and spooled files."""

import json
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
from realtime.domain.scraped_object import IGNORED_TYPES, IMPORTED_TYPES, parse_key, time_of
from realtime.producer import local_files, spool
from realtime.producer.backoff import RetryPolicy
from realtime.producer.local_files import Existing, NotPublishable
from realtime.producer.outbox import Outbox, Outgoing
from realtime.producer.producer import Jurisdiction, NotPublished, Producer, send_end

# Seconds to go on publishing files in flight after an interruption.
GRACE_AFTER_INTERRUPT = 10.0
# The most files that an error message names.
_MAX_NAMED = 10


@dataclass
class Published:
    """What was published. `problems` has one sentence for each file or folder that was not; `busy`
    are runs that another process is scraping or sending. `has_no_end`: the end of `run_id` was not
    sent, because of the problems. `requests` counts those to S3 and SQS, by operation."""

    types: Counter[str] = field(default_factory=Counter)
    skipped: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    busy: list[Path] = field(default_factory=list)
    run_id: str = ""
    has_no_end: bool = False
    requests: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "published": sum(self.types.values()),
            "types": dict(self.types),
            "run_id": self.run_id or None,
            "skipped": len(self.skipped),
            "problems": self.problems,
            "requests": self.requests,
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
    """The files at `paths`, in the order of `_place`. Adds problems to `report`."""
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
    return Selection(sorted(files, key=_place), spools)


def _place(file: Existing) -> tuple[int, int, str]:
    """What others refer to is published first, or each of those would be parked until it comes: the
    jurisdiction and its sessions, people, bills, then votes and events. Within a type, in the
    order in which they were scraped."""
    types = IMPORTED_TYPES + IGNORED_TYPES
    return types.index(file.object_type), file.ticks or 0, file.path.name


def refuse_foreign(files: Iterable[Existing], jurisdiction: Jurisdiction) -> None:
    """Raises NotPublishable, naming up to ten, when files name another jurisdiction as theirs."""
    owner_of = {file.path: local_files.jurisdiction_id(file) for file in files}
    foreign = [
        f"{path} is of {owner}"
        for path, owner in owner_of.items()
        if owner and owner != jurisdiction.id
    ]
    if foreign:
        more = f" and {len(foreign) - _MAX_NAMED} more" if len(foreign) > _MAX_NAMED else ""
        raise NotPublishable(
            f"nothing was published: --jurisdiction {jurisdiction.abbr} is {jurisdiction.id}, but "
            f"{', '.join(foreign[:_MAX_NAMED])}{more}"
        )


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
            report.has_no_end = bool(producer.run_id)
            producer.close()
        progress(len(order))
    except NotPublished as exc:
        report.problems.append(str(exc))
        report.has_no_end = bool(producer.run_id)
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
    whose: Jurisdiction | None = None,
    retry_policy: RetryPolicy | None = None,
) -> None:
    """Publish the files spooled in `folder`, each with its own key and run; with `whose`, only the
    runs of this jurisdiction.

    Published files are removed from the folder; the others stay. The end of a run is sent once no
    file of the run is left. A run that another process is scraping or sending is left to it.
    """
    for run in spool.runs(folder):
        if whose and not _is_of(run, whose):
            continue
        try:
            with spool.locked(run) as is_ours:
                if is_ours:
                    notes = [path for path in spool.files(run) if path.is_relative_to(folder)]
                    _publish_run(store, queue, base, run, notes, report, retry_policy)
                    spool.remove_if_empty(run)
                elif run.exists():
                    report.busy.append(run)
        except OSError as exc:
            report.problems.append(f"{run}: {exc}")
    with suppress(OSError):
        folder.rmdir()


def _is_of(run: Path, jurisdiction: Jurisdiction) -> bool:
    if (run / jurisdiction.abbr).is_dir():
        return True
    try:
        end = spool.read_end(run)
        return end is not None and json.loads(end).get("jurisdiction_id") == jurisdiction.id
    except (spool.BadSpool, ValueError):
        return False


def _publish_run(
    store: Uploads,
    queue: Sends,
    base: Bucket,
    run: Path,
    paths: list[Path],
    report: Published,
    retry_policy: RetryPolicy | None,
) -> None:
    lock = threading.Lock()
    path_of: dict[str, Path] = {}

    def sent(outgoing: Outgoing) -> None:
        with lock:
            report.types[parse_key(base.strip(outgoing.key) or "").object_type] += 1
        spool.remove(path_of[outgoing.key])

    def unsent(outgoing: Outgoing, reason: Exception) -> None:
        with lock:
            report.problems.append(f"{path_of[outgoing.key]} was not published: {reason}")

    outbox = Outbox(store, queue, sent=sent, unsent=unsent, retry_policy=retry_policy)
    try:
        for path in paths:
            try:
                entry = spool.read(path)
                _check_bucket(base, entry)
            except (spool.BadSpool, PoisonMessage) as exc:
                report.problems.append(str(exc))
                continue
            path_of[entry.outgoing.key] = path
            outbox.put(entry.outgoing)
    finally:
        outbox.close()
    if any(spool.files(run)):
        return
    try:
        if (end := spool.read_end(run)) is not None:
            send_end(queue, end, retry_policy or RetryPolicy())
            spool.remove_end(run)
    except RealtimeError as exc:
        report.problems.append(f"{run}: the end of the run was not published: {exc}")


def _check_bucket(base: Bucket, entry: spool.Spooled) -> None:
    key = entry.outgoing.key
    for message in messages.parse(entry.outgoing.message):
        bucket = getattr(message, "bucket", "")
        if bucket != base.name or base.strip(key) is None:
            raise spool.BadSpool(
                f"{entry.path} belongs to s3://{bucket}/{key}, which is not below S3_REALTIME_BASE"
            )
