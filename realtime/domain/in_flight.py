"""The file that a run hands on from step to step, and the order in which files are imported."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import StoredFile
from realtime.domain.messages import ReceivedMessage, RunFinished
from realtime.domain.results import (
    Delivery,
    Failed,
    FetchedFile,
    FileIdentity,
    FileOutcome,
    Imported,
    Result,
    Waiting,
    describe,
)
from realtime.domain.scraped_object import IGNORED_TYPES, IMPORTED_TYPES, ScrapedObject, ScrapeOrder
from realtime.process import logs

logger = logging.getLogger(__name__)

# The type of a message that names no file, and of a file whose key does not say.
CONTROL, UNKNOWN = "control", "unknown"
# A file published later than this after it was scraped belongs to an old scrape. Its lag says
# nothing about imports, nor does that of a file that had failed and was sent again: they are
# counted as LATE and RETRIED, not measured.
LATE_AFTER = timedelta(hours=24)
LATE, RETRIED = "late", "retried"


@dataclass(frozen=True)
class ParkedRow:
    """The ledger's row of a parked file, and the version of the file that was parked. `meant`: an
    operator said that the breaker is to let it pass."""

    ledger_id: int
    version: str
    meant: bool = False


@dataclass(eq=False)
class InFlightFile:
    """One file on its way through a run. Each step adds what it found.

    It is made from a message, a parked row or a file on disk. `identity` and `delivery` are what
    these say, and once the file was read, what the store says. `message` is what to acknowledge,
    if anything; one that names no file but the end of a scrape run has `run_finished`. `abbr` is
    the folder of the key.

    Reading it sets `fetched`, or `error`: a PoisonMessage when the file can never be imported,
    Gone, or a RetryLater. Neither when it was not tried. `finish` sets the rest. `stored` is the
    object with its body, where it is to be archived from memory.

    `attempts` are earlier ones to import it alone that left no result. `timed_out` is the number of
    files of the smallest batch of this run that a statement's timeout has ended. `retried`: it had
    failed, and was sent again. `lag_seconds` is how long after it was scraped an object became
    visible; None when it did not, or when its lag is not measured: `unmeasured` is then LATE or
    RETRIED.
    """

    identity: FileIdentity
    delivery: Delivery
    message: ReceivedMessage | None = None
    run_finished: RunFinished | None = None
    parked: ParkedRow | None = None
    abbr: str = ""
    object_type: str = UNKNOWN
    jurisdiction_id: str = ""
    last_chance: bool = False
    attempts: int = 0
    timed_out: int = 0
    retried: bool = False
    fetched: FetchedFile | None = None
    stored: StoredFile | None = None
    error: RealtimeError | None = None
    outcome: FileOutcome | None = None
    ledger_id: int | None = None
    lag_seconds: float | None = None
    unmeasured: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it can still be imported by this run."""
        return self.outcome is None and self.error is None

    def ready(self) -> FetchedFile:
        """The file as it was read; it must have been, and not be finished."""
        assert self.fetched is not None
        return self.fetched

    def blame_message(self) -> None:
        """Let what is wrong be the message's alone: the file it names may be good."""
        assert self.message is not None
        self.identity = FileIdentity.of_message(self.message.message_id)

    def result(self, outcome: FileOutcome) -> Result:
        """What the ledger records when the file ends so."""
        return Result(self.identity, self.delivery, self.object_type, outcome, self.fetched)

    def finish(
        self,
        outcome: FileOutcome,
        ledger_id: int | None = None,
        committed_at: datetime | None = None,
    ) -> None:
        """Set the outcome, which is committed, log it, and let go of the content, but not of
        `stored`.

        `ledger_id` is the file's row in the ledger, if it has one. An object that was inserted or
        updated became visible at `committed_at`.
        """
        self.outcome, self.ledger_id = outcome, ledger_id
        self.lag_seconds, self.unmeasured = None, ""
        is_visible = isinstance(outcome, Imported) and outcome.change != "unchanged"
        if committed_at and self.fetched and is_visible:
            self._measure(self.fetched.content.scraped_at, committed_at)
        self.fetched = None
        self._log(outcome)

    def _measure(self, scraped_at: datetime, visible_at: datetime) -> None:
        # A member of a source was sent by nobody: it comes when it is read.
        came_at = self.delivery.queued_at if self.identity.bucket else visible_at
        if came_at - scraped_at > LATE_AFTER:
            self.unmeasured = LATE
        elif self.retried:
            self.unmeasured = RETRIED
        else:
            # The scraper's clock may be ahead.
            self.lag_seconds = max((visible_at - scraped_at).total_seconds(), 0.0)

    def let_go(self) -> None:
        """Let go of the content and the stored object: the file is not imported or archived
        now."""
        self.fetched = self.stored = None

    def _log(self, outcome: FileOutcome) -> None:
        fields = {
            "outcome": outcome.word,
            "key": self.identity.key,
            "object_type": self.object_type,
            "jurisdiction_id": self.jurisdiction_id,
            "run_id": self.delivery.run_id,
            "message_id": self.message and self.message.message_id,
        }
        match outcome:
            case Failed(problem):
                # The ledger has all of them, and the run's summary counts them.
                level = logging.WARNING if logs.is_among_first(problem.reason) else logging.DEBUG
                logger.log(level, "file failed", extra={**fields, **describe(problem)})
            case Waiting(waiting_for):
                logger.debug("file done", extra={**fields, "waiting_for": waiting_for})
            case _:
                logger.debug("file done", extra=fields)


def by_type(files: Iterable[InFlightFile]) -> list[InFlightFile]:
    """The files, type by type as their keys say, in the order of an import: what is referred to
    comes first. They need not have been read."""
    types = (*IMPORTED_TYPES, *IGNORED_TYPES, UNKNOWN, CONTROL)
    return sorted(files, key=lambda file: types.index(file.object_type))


def by_jurisdiction(files: Iterable[InFlightFile]) -> list[tuple[str, list[InFlightFile]]]:
    """The files of each jurisdiction, in import order; the largest group first, so that a run
    that ends early has done the most."""
    groups: dict[str, list[InFlightFile]] = defaultdict(list)
    for file in files:
        groups[file.jurisdiction_id].append(file)
    ordered = [(name, in_import_order(group)) for name, group in groups.items()]
    return sorted(ordered, key=lambda group: -len(group[1]))


def in_import_order(files: Sequence[InFlightFile]) -> list[InFlightFile]:
    """The files, sorted by `import_place`. All of them must have been read."""
    return sorted(files, key=lambda file: import_place(file.ready().content))


def import_place(content: ScrapedObject) -> tuple[int, ScrapeOrder]:
    """The sort key of an import: type by type as core does, so that what is referred to comes
    first; then scrape order."""
    return (IMPORTED_TYPES + IGNORED_TYPES).index(content.object_type), content.order
