"""From messages to files that can be imported; everything else gets its outcome here."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import transaction

from realtime.consumer.acknowledgements import Deliveries, Ticket
from realtime.consumer.context import Work
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, PoisonMessage, RealtimeError, Unavailable
from realtime.domain.interfaces import Gone
from realtime.domain.jurisdictions import jurisdiction_of
from realtime.domain.messages import FileMessage, Ignored, ReceivedMessage, RunFinished, parse
from realtime.domain.results import Delivery, FetchedFile, FileIdentity, Result, log_result
from realtime.domain.scraped_object import Key
from realtime.files.fetch import (
    BadFile,
    Fetched,
    Wanted,
    fetch,
    identify,
    locate,
    require_ours,
)
from realtime.ledger import files as ledger_files
from realtime.models import Outcome
from realtime.monitoring.report import CONTROL

logger = logging.getLogger(__name__)


@dataclass
class _Sorted:
    wanted: list[tuple[Ticket, Wanted, Key]] = field(default_factory=list)
    finished_runs: list[tuple[Ticket, RunFinished]] = field(default_factory=list)
    problems: list[tuple[Ticket, Result]] = field(default_factory=list)


def take_in(
    work: Work, deliveries: Deliveries, messages: Sequence[ReceivedMessage]
) -> list[tuple[Ticket, FetchedFile]]:
    """The files that `messages` bring, read from S3.

    What the messages say otherwise (the end of a run, nothing, nonsense) is recorded and
    finished; what could not be read for now is left without an outcome, to be released.
    """
    found = _Sorted()
    bucket = work.config.bucket
    for message in messages:
        _sort(message, bucket, deliveries, found)
    _record(work, deliveries, found)
    deliveries.acknowledge()
    with work.report.stage("fetch"):
        fetched = fetch(
            [(wanted, key) for _, wanted, key in found.wanted],
            work.store,
            work.config.max_file_bytes,
            work.must_stop,
        )
    unread = _Sorted()
    files = _sort_fetched(work, deliveries, found.wanted, fetched, unread)
    _record(work, deliveries, unread)
    deliveries.acknowledge()
    return files


def _sort(message: ReceivedMessage, bucket: Bucket, deliveries: Deliveries, found: _Sorted) -> None:
    try:
        parts = parse(message.body)
        for part in parts:
            if isinstance(part, RunFinished):
                require_ours(part.bucket, bucket)
    except PoisonMessage as problem:
        identity = FileIdentity("", f"message:{message.message_id}", "")
        ticket = deliveries.ticket(message)
        found.problems.append((ticket, _failed(ticket, identity, problem)))
        return
    # All of them first: a message must not look finished between two of its files.
    tickets = [(deliveries.ticket(message), part) for part in parts]
    for number, (ticket, part) in enumerate(tickets):
        if isinstance(part, PoisonMessage):
            identity = FileIdentity("", f"message:{message.message_id}#{number}", "")
            found.problems.append((ticket, _failed(ticket, identity, part)))
        else:
            _sort_part(ticket, part, bucket, deliveries, found)


def _sort_part(
    ticket: Ticket,
    part: FileMessage | RunFinished | Ignored,
    bucket: Bucket,
    deliveries: Deliveries,
    found: _Sorted,
) -> None:
    if isinstance(part, FileMessage):
        ticket.key, ticket.run_id = part.key, part.run_id
        ticket.jurisdiction_id = part.jurisdiction_id
        try:
            key = locate(part, bucket)
        except PoisonMessage as problem:
            identity = FileIdentity(part.bucket, _storable(part.key), "")
            result = _failed(ticket, identity, problem, _unread(ticket, part))
            found.problems.append((ticket, result))
            return
        if key is None:
            deliveries.finish(ticket, Outcome.IGNORED)
            return
        ticket.object_type = key.object_type
        ticket.jurisdiction_id = part.jurisdiction_id or jurisdiction_of(key.abbr)
        wanted = Wanted(part, ticket.message.body, ticket.message.sent_at)
        found.wanted.append((ticket, wanted, key))
        return
    ticket.object_type = CONTROL
    if isinstance(part, RunFinished):
        ticket.jurisdiction_id, ticket.run_id = part.jurisdiction_id, part.run_id
        found.finished_runs.append((ticket, part))
    else:
        deliveries.finish(ticket, Outcome.IGNORED)


def _sort_fetched(
    work: Work,
    deliveries: Deliveries,
    wanted: Sequence[tuple[Ticket, Wanted, Key]],
    fetched: Sequence[Fetched],
    unread: _Sorted,
) -> list[tuple[Ticket, FetchedFile]]:
    files = []
    pairs = list(zip(wanted, fetched, strict=True))
    gone = [want.message.key for (_, want, _), file in pairs if isinstance(file, Gone)]
    # Asked after the read failed: an archived file's row was committed before it was moved.
    known = ledger_files.known_keys(work.store.bucket, gone) if gone else set()
    for (ticket, want, _), file in pairs:
        key = want.message.key
        if isinstance(file, FetchedFile):
            ticket.jurisdiction_id = file.jurisdiction_id
            files.append((ticket, file))
        elif isinstance(file, BadFile):
            result = _failed(ticket, file.identity, file.problem, file.delivery)
            unread.problems.append((ticket, result))
        elif isinstance(file, Gone) and key in known:
            deliveries.finish(ticket, Outcome.IGNORED)
        elif isinstance(file, Gone):
            problem = PoisonMessage("gone", str(file), "file_path")
            identity = FileIdentity(work.store.bucket, key, "")
            delivery = _unread(ticket, want.message)
            unread.problems.append((ticket, _failed(ticket, identity, problem, delivery)))
    keys = [want.message.key for _, want, _ in wanted]
    work.unavailable = work.unavailable or _outage(list(zip(keys, fetched, strict=True)))
    return files


def _outage(fetched: Sequence[tuple[str, Fetched]]) -> Unavailable | None:
    """What keeps every file from being read; what keeps only some is logged, one line a cause."""
    read = [file for _, file in fetched if isinstance(file, FetchedFile | BadFile | Gone)]
    by_cause: defaultdict[str, list[str]] = defaultdict(list)
    for key, file in fetched:
        if isinstance(file, Unavailable | ConfigurationError):
            return Unavailable(str(file))
        if isinstance(file, RealtimeError) and not isinstance(file, Gone):
            by_cause[str(file).replace(key, "")].append(str(file))
    for errors in by_cause.values():
        if not read:
            return Unavailable(f"no file can be read: {errors[0]}")
        logger.warning(
            "files released",
            extra={"action": "released", "files": len(errors), "cause": errors[0]},
        )
    return None


def _storable(key: str) -> str:
    # Percent signs of a hostile key can spell lone surrogates.
    return key.encode("utf-8", "backslashreplace").decode()


def _unread(ticket: Ticket, message: FileMessage) -> Delivery:
    return Delivery(
        queued_at=ticket.message.sent_at,
        message=ticket.message.body,
        jurisdiction_id=message.jurisdiction_id,
        file_archiving=message.file_archiving_enabled,
        run_id=message.run_id,
    )


def _failed(
    ticket: Ticket,
    identity: FileIdentity,
    problem: PoisonMessage,
    delivery: Delivery | None = None,
) -> Result:
    message = ticket.message
    return Result(
        identity=identity,
        outcome=Outcome.FAILED,
        delivery=delivery or Delivery(message.sent_at, message.body),
        object_type=ticket.object_type,
        problem=problem,
    )


def fail_message(
    work: Work, deliveries: Deliveries, message: ReceivedMessage, problem: PoisonMessage
) -> None:
    """Record as failed all that a message brings, without reading the files."""
    found = _Sorted()
    _sort(message, work.config.bucket, deliveries, found)
    for ticket, wanted, _ in found.wanted:
        identity = FileIdentity(work.store.bucket, wanted.message.key, "")
        with suppress(Gone):
            identity = identify(work.store.bucket, work.store.head(wanted.message.key))
        result = _failed(ticket, identity, problem, _unread(ticket, wanted.message))
        found.problems.append((ticket, result))
    _record(work, deliveries, found)
    deliveries.acknowledge()


def _record(work: Work, deliveries: Deliveries, found: _Sorted) -> None:
    if not found.problems and not found.finished_runs:
        return
    with work.report.stage("import"):
        with transaction.atomic():
            now = ledger_files.database_now()
            # In one order everywhere, so that two workers cannot block each other.
            for run in sorted((r for _, r in found.finished_runs), key=lambda r: r.run_id):
                ledger_files.store_run(run, now)
            rows = ledger_files.record_unread([result for _, result in found.problems], now)
            work.slot.verify()
        for ticket, _ in found.finished_runs:
            deliveries.finish(ticket, Outcome.IGNORED)
        for ticket, result in found.problems:
            log_result(result)
            ledger_id = rows[result.identity]
            work.failed_ledger_ids.append(ledger_id)
            deliveries.finish(ticket, Outcome.FAILED, ledger_id)
