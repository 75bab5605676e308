"""The messages of one pass, acknowledged when all of their files are finished."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from realtime.consumer.parse_messages import unparsed
from realtime.consumer.sources import Inbox
from realtime.domain.in_flight import InFlightFile
from realtime.domain.messages import ReceivedMessage
from realtime.domain.results import Released
from realtime.domain.run_context import RunContext
from realtime.ledger import files as ledger_files


class OpenMessages:
    """Acknowledges a message once each of its files has an outcome that is committed.

    As a context manager: on leaving, also by an exception, files without an outcome are released,
    and the messages they came in are made to come again. Then every file has its outcome.
    """

    def __init__(
        self, context: RunContext, inbox: Inbox, messages: Sequence[ReceivedMessage]
    ) -> None:
        self._context = context
        self._inbox = inbox
        self._open = {m.message_id: m for m in messages}
        self._files: dict[str, list[InFlightFile]] = {m.message_id: [] for m in messages}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for message_id, message in self._open.items():
            files = self._files[message_id]
            if not files:
                files.append(unparsed(message))
            for file in files:
                if file.outcome is None:
                    file.finish(Released())
        if self._open:
            with self._context.timed("acknowledge"):
                self._inbox.release(self._open.values())

    @property
    def files(self) -> list[InFlightFile]:
        """The files of all messages."""
        return [file for files in self._files.values() for file in files]

    def expect(self, files: Iterable[InFlightFile]) -> None:
        """Acknowledge no message of these files before each has its outcome."""
        for file in files:
            if file.message:
                self._files[file.message.message_id].append(file)

    def acknowledge(self) -> list[InFlightFile]:
        """Acknowledge the messages whose files are all finished, and record which are gone; returns
        the files of those."""
        done = [m for message_id, m in self._open.items() if self._is_done(message_id)]
        if not done:
            return []
        with self._context.timed("acknowledge"):
            for message in done:
                del self._open[message.message_id]
            gone = self._inbox.acknowledge(done)
            files = [file for message_id in gone for file in self._files[message_id]]
            ledger_ids = [file.ledger_id for file in files if file.ledger_id is not None]
            if ledger_ids:
                ledger_files.acknowledged(ledger_ids, ledger_files.database_now())
        return files

    def files_of(self, message: ReceivedMessage) -> list[InFlightFile]:
        """The files of one message."""
        return self._files[message.message_id]

    def is_done(self, message: ReceivedMessage) -> bool:
        """Whether each of the message's files has its outcome."""
        return message.message_id not in self._open or self._is_done(message.message_id)

    def _is_done(self, message_id: str) -> bool:
        files = self._files[message_id]
        return bool(files) and all(file.outcome is not None for file in files)
