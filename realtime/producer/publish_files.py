"""Publishes existing files: folders scraped by core, people's YAML, and spooled files."""

import itertools
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from openstates import metadata

from realtime.domain import messages, scraped_object
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, PoisonMessage, RealtimeError
from realtime.domain.interfaces import Sends, Uploads
from realtime.domain.scraped_object import parse_key, time_of
from realtime.producer import spool
from realtime.producer.backoff import RetryPolicy
from realtime.producer.outbox import Outbox, Outgoing
from realtime.producer.producer import File, Jurisdiction, NotPublished, Producer, send_end
from realtime.sources.open_source import open_source
from realtime.sources.person_yaml import require_person
from realtime.sources.source import (
    Broken,
    Member,
    NoSource,
    Skipped,
    Volume,
    earliest,
    folder_of,
    import_place,
)

# Seconds to go on publishing files in flight after an interruption.
GRACE_AFTER_INTERRUPT = 10.0
# What a file may name as its jurisdiction, if that is one.
_JURISDICTIONS = re.compile(rb'ocd-jurisdiction[^"]*')
# The most files that an error message names.
_MAX_NAMED = 10


class NotPublishable(RealtimeError):
    """Some files must not be published, so that none is."""


@dataclass
class Published:
    """What was published. `problems` has one sentence for each file or folder that was not; `busy`
    are runs that another process is scraping or sending. `has_no_end`: the end of `run_id` was not
    sent, because of the problems. `requests` counts those to S3 and SQS, by operation."""

    types: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
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
    """What some paths hold: sources' volumes, and spool folders."""

    volumes: list[Volume]
    spools: list[Path]

    def groups(self) -> Iterator[list["Found"]]:
        """The members of all volumes, in groups that are small enough for memory. Those of one can
        be read until the next is asked for.

        In each, what others refer to comes first, or each of those would be parked until it comes.
        """
        single = [volume for volume in self.volumes if not volume.name]
        yield _found(single)
        for volume in self.volumes:
            if volume.name:
                with closing(volume):
                    yield _found([volume])


class Found(NamedTuple):
    """A member, and the time at which the scrape in its folder began; None if that is unknown."""

    volume: Volume
    member: Member
    began: datetime | None


def _found(volumes: Iterable[Volume]) -> list[Found]:
    found = []
    for volume in volumes:
        members = [entry for entry in volume.entries() if isinstance(entry, Member)]
        began = earliest(members)
        found += [Found(volume, member, began.get(folder_of(member))) for member in members]
    return sorted(found, key=lambda one: import_place(one.member)[1:])


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


def select(
    paths: Iterable[str | Path], report: Published, jurisdiction: Jurisdiction | None = None
) -> Selection:
    """What `paths` hold. Adds to `report` what cannot be published, and what is skipped."""
    selection = Selection([], [])
    for path in paths:
        if "://" not in str(path) and spool.is_spool(Path(path)):
            selection.spools.append(Path(path))
            continue
        try:
            abbr = jurisdiction.abbr if jurisdiction else ""
            source = open_source(str(path), abbr, called_after=False)
            for volume in source.volumes():
                with closing(volume):
                    for entry in volume.entries():
                        if isinstance(entry, Skipped):
                            report.skipped.append(entry.name)
                        elif isinstance(entry, Broken):
                            report.problems.append(f"{entry.name}: {entry.problem}")
                selection.volumes.append(volume)
        except NoSource as exc:
            report.problems.append(str(exc))
    return selection


def owners(
    selection: Selection, jurisdiction: Jurisdiction | None, max_bytes: int
) -> list[Jurisdiction]:
    """The jurisdictions of what is selected: `jurisdiction` or, without it, those that the sources
    name. Reads every file.

    Raises ConfigurationError when a source does not say whose a file is, and NotPublishable, naming
    up to ten, when files name another jurisdiction as theirs.
    """
    found: dict[str, Jurisdiction] = {}
    foreign = []
    for group in selection.groups():
        for one in group:
            abbr = one.member.abbr
            if not abbr:
                raise ConfigurationError(
                    f"--jurisdiction is missing: nothing says whose {one.member.name} is"
                )
            whose = found.setdefault(abbr, jurisdiction or jurisdiction_named(abbr))
            owner = _other_owner(one, whose.id, max_bytes)
            if owner:
                foreign.append(
                    f"{one.member.name} is of {owner}, not of {whose.id} (--jurisdiction"
                    f" {whose.abbr})"
                )
    if foreign:
        more = f" and {len(foreign) - _MAX_NAMED} more" if len(foreign) > _MAX_NAMED else ""
        raise NotPublishable(f"nothing was published: {', '.join(foreign[:_MAX_NAMED])}{more}")
    return list(found.values())


def _other_owner(one: Found, jurisdiction_id: str, max_bytes: int) -> str:
    """The id of another jurisdiction that a scraped file names as its own; empty when it names none
    but this, is a person's, or cannot be read."""
    if one.member.object_type == "person":
        return ""
    try:
        body = one.volume.read(one.member, max_bytes).content
        # Almost all files: parsing them would take most of the time of publishing.
        if set(_JURISDICTIONS.findall(body)) <= {jurisdiction_id.encode()}:
            return ""
        now = datetime.now(UTC)
        named = scraped_object.read(one.member.object_type, body, now).jurisdiction_id
    except PoisonMessage:
        return ""
    return named if named != jurisdiction_id else ""


def publish(
    producer: Producer,
    selection: Selection,
    whose: Sequence[Jurisdiction],
    report: Published,
    *,
    max_bytes: int,
    file_archiving_enabled: bool = False,
    shuffle: int | None = None,
    progress: Callable[[int, int], None] = lambda done, known: None,
) -> None:
    """Publish what is selected in its order, or each group shuffled with the seed `shuffle`.

    A file that cannot be read is added to the report's problems; the others are published. The end
    of the producer's run, if it has one, is sent only when every file was published. The run's
    start and end are the earliest and latest time in the files' ids (now, without any), so that it
    keeps its place among the jurisdiction's scrapes. `whose` are the jurisdictions of the files:
    one for a run. `progress` is called with the number of files done, and of those found so far.
    `report` is filled in even when an exception is raised.
    """
    report.run_id = str(producer.run_id or "")
    owner_of = {one.abbr: one for one in whose}
    give = _Handing(producer, owner_of, report, max_bytes, file_archiving_enabled, progress)
    try:
        for group in selection.groups():
            if shuffle is not None:
                random.Random(shuffle).shuffle(group)
            give.all(group)
        ticks = give.ticks
        if producer.run_id and not report.problems:
            now = datetime.now(UTC)
            began, ended = (time_of(min(ticks)), time_of(max(ticks))) if ticks else (now, now)
            producer.finish(whose[0], began, ended)
        else:
            report.has_no_end = bool(producer.run_id)
            producer.close()
        progress(give.done, give.done)
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


@dataclass
class _Handing:
    """Gives readable files to the producer. `ticks` are the earliest and latest in their ids."""

    producer: Producer
    owner_of: Mapping[str, Jurisdiction]
    report: Published
    max_bytes: int
    file_archiving_enabled: bool
    progress: Callable[[int, int], None]
    ticks: list[int] = field(default_factory=list)
    done: int = 0
    known: int = 0

    def all(self, group: Sequence[Found]) -> None:
        self.known += len(group)
        for one in group:
            self.progress(self.done, self.known)
            self.done += 1
            try:
                file, ticks = _read(one, self.max_bytes)
            except PoisonMessage as exc:
                self.report.problems.append(f"{one.member.name}: {exc}")
                continue
            if ticks is not None:
                self.ticks = [min([ticks, *self.ticks]), max([ticks, *self.ticks])]
            self.producer.publish(
                self.owner_of[one.member.abbr],
                file,
                file_archiving_enabled=self.file_archiving_enabled,
                fresh_id=False,
            )


def _read(one: Found, max_bytes: int) -> tuple[File, int | None]:
    """The file to publish, and the ticks of the UUIDv1 in its `_id`, or None.

    `scraped_at` is the first that exists of: the time in the file, the time in its `_id`, what our
    producer has stamped, when the scrape in its folder began, when it was last written. For people
    it is the current time. Raises PoisonMessage when the file cannot be read, or its content does
    not match its name.
    """
    body = one.volume.read(one.member, max_bytes)
    object_type, stamp = one.member.object_type, body.changed_at
    if object_type == "jurisdiction":
        stamp = one.began or stamp
    if object_type == "person":
        require_person(body.content)
        stamp = datetime.now(UTC)
    found = scraped_object.read(object_type, body.content, body.scraped_at or stamp)
    content = found.body
    file = File(object_type, found.scrape_id, content, found.scraped_at.astimezone(UTC))
    return file, found.order.ticks if found.order.ticks != found.order.stamp_ticks else None


def publish_spool(
    store: Uploads,
    queue: Sends,
    base: Bucket,
    folder: Path,
    report: Published,
    *,
    whose: Jurisdiction | None = None,
    retry_policy: RetryPolicy | None = None,
    progress: Callable[[int, int], None] = lambda done, known: None,
) -> None:
    """Publish the files spooled in `folder`, each with its own key and run; with `whose`, only the
    runs of this jurisdiction.

    Published files are removed from the folder; the others stay. The end of a run is sent once no
    file of the run is left. A run that another process is scraping or sending is left to it.
    `progress` is called, by any thread, with the number of a run's files that were sent, and that
    there are.
    """
    for run in spool.runs(folder):
        if whose and not _is_of(run, whose):
            continue
        try:
            with spool.locked(run) as is_ours:
                if is_ours:
                    notes = [path for path in spool.files(run) if path.is_relative_to(folder)]
                    _publish_run(store, queue, base, run, notes, report, retry_policy, progress)
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
    progress: Callable[[int, int], None],
) -> None:
    lock = threading.Lock()
    path_of: dict[str, Path] = {}
    numbers = itertools.count(1)

    def sent(outgoing: Outgoing) -> None:
        with lock:
            report.types[parse_key(base.strip(outgoing.key) or "").object_type] += 1
        spool.remove(path_of[outgoing.key])
        progress(next(numbers), len(paths))

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
                f"{entry.path} belongs to {Bucket(bucket).url_of(key)}, which is not below"
                " S3_REALTIME_BASE"
            )
