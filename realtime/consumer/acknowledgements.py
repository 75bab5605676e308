"""The messages of one pass, and the account of every file they brought."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

from realtime.consumer.sources import Inbox
from realtime.domain.messages import ReceivedMessage
from realtime.ledger import files as ledger_files
from realtime.models import Outcome
from realtime.monitoring.report import UNKNOWN, Report

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket:
    """One file that a message brought. It gets one outcome, which is counted and logged once.

    The rest is what is known of it so far.
    """

    message: ReceivedMessage
    object_type: str = UNKNOWN
    key: str = ""
    jurisdiction_id: str = ""
    run_id: UUID | None = None
    outcome: str = ""
    ledger_id: int | None = None


class Deliveries:
    """Acknowledges a message once each of its files has an outcome that is committed.

    As a context manager: on leaving, also by an exception, files without an outcome are counted
    as released, and the messages they came in are made to come again.
    """

    def __init__(self, inbox: Inbox, report: Report, messages: Sequence[ReceivedMessage]) -> None:
        self._inbox = inbox
        self._report = report
        self._open = {m.message_id: m for m in messages}
        self._tickets: dict[str, list[Ticket]] = {m.message_id: [] for m in messages}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for message_id, message in self._open.items():
            for ticket in self._tickets[message_id] or [self.ticket(message)]:
                if not ticket.outcome:
                    self.finish(ticket, Outcome.RELEASED)
        if self._open:
            with self._report.stage("acknowledge"):
                self._inbox.release(self._open.values())

    def ticket(self, message: ReceivedMessage) -> Ticket:
        """Expect an outcome for one more file of the message."""
        ticket = Ticket(message)
        self._tickets[message.message_id].append(ticket)
        return ticket

    def finish(self, ticket: Ticket, outcome: str, ledger_id: int | None = None) -> None:
        """Count the file; `ledger_id` is its committed row in the ledger, if it has one, and then
        its outcome has been logged."""
        ticket.outcome, ticket.ledger_id = outcome, ledger_id
        self._report.count(ticket.object_type, outcome, jurisdiction_id=ticket.jurisdiction_id)
        if ledger_id is None:
            logger.debug(
                "file done",
                extra={
                    "outcome": outcome,
                    "key": ticket.key,
                    "object_type": ticket.object_type,
                    "jurisdiction_id": ticket.jurisdiction_id,
                    "run_id": ticket.run_id,
                    "message_id": ticket.message.message_id,
                },
            )

    def acknowledge(self) -> None:
        """Acknowledge the messages that are done with, and write down which are gone."""
        done = [m for i, m in self._open.items() if self._is_done(self._tickets[i])]
        if not done:
            return
        with self._report.stage("acknowledge"):
            for message in done:
                del self._open[message.message_id]
            gone = self._inbox.acknowledge(done)
            rows = list(self._rows(gone))
            if rows:
                ledger_files.acknowledged(rows, ledger_files.database_now())

    def _is_done(self, tickets: Sequence[Ticket]) -> bool:
        return bool(tickets) and all(t.outcome not in ("", Outcome.RELEASED) for t in tickets)

    def _rows(self, message_ids: Iterable[str]) -> Iterable[int]:
        for message_id in message_ids:
            yield from (t.ledger_id for t in self._tickets[message_id] if t.ledger_id is not None)
