"""Files, and what became of each: one value for each outcome."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import ClassVar, Literal, NamedTuple, Self

from realtime.domain.changes import NO_DIFFERENCE, Difference
from realtime.domain.errors import PoisonMessage, WaitingFor
from realtime.domain.flags import Flag
from realtime.domain.scraped_object import ScrapedObject, ScrapeOrder


@dataclass(frozen=True)
class FileIdentity:
    """One version of one S3 object: what the ledger is keyed by.

    The rest says how to get exactly that version again; empty for what was never read.
    """

    bucket: str
    key: str
    version: str
    etag: str = field(default="", compare=False)
    version_id: str = field(default="", compare=False)
    last_modified: datetime | None = field(default=None, compare=False)
    size: int = field(default=0, compare=False)

    @classmethod
    def of_message(cls, message_id: str) -> Self:
        """Stands for a message that names no file, or none that it may speak of."""
        return cls("", f"message:{message_id}", "")


@dataclass(frozen=True)
class Delivery:
    """How a file reached us, and what its message claims. Times are aware UTC; `message` is the
    body it came in.

    `jurisdiction_id` is empty when the message claims none.
    """

    queued_at: datetime
    message: str
    jurisdiction_id: str = ""
    file_archiving: bool = False
    run_id: uuid.UUID | None = None


@dataclass(frozen=True)
class FetchedFile:
    """A file that was read, ready for import.

    `last_chance` marks one that has been parked as long as it may be: a reference that still does
    not resolve fails it. `core_id` is the row that it was applied to before, when it is imported
    once more.
    """

    identity: FileIdentity
    jurisdiction_id: str
    content: ScrapedObject
    delivery: Delivery
    last_chance: bool = False
    core_id: str = ""


@dataclass(frozen=True)
class LookupKeys:
    """The keys with which core would match the row of a vote event or event.

    `keys` are these, the one that core tries first at the front. The last may say that there is no
    dedupe key. Those of a jurisdiction say which legislative sessions it names.

    `bill_id` is the row of a vote event's bill; `action`, `date` and `organization_id` name a vote
    event's action. `content` is a digest of its sources, counts and roll, empty when it has neither
    counts nor roll; for a bill one of its title and sources. For an event, `date` is its start, and
    `agenda` has core's ids of the bills that each identifier on its agenda may mean; None when it
    names vote events as well.
    """

    bill_id: str = ""
    keys: tuple[str, ...] = ()
    action: str = ""
    date: str = ""
    organization_id: str = ""
    content: str = ""
    agenda: Mapping[str, Sequence[str]] | None = None


# The importers' name for it.
NO_LOOKUP = LookupKeys()


class Claim(NamedTuple):
    """What files of one run say of the row that they are.

    `last` is the place of the last of them in the scrape order, `lookup` the key by which that one
    is looked up. `contents` and `keys` are those of all. A vote event with neither counts nor roll
    has no content, a bill no keys.
    """

    last: ScrapeOrder
    lookup: str
    contents: frozenset[str]
    keys: frozenset[str]

    @classmethod
    def of(cls, content: str, keys: Sequence[str], order: ScrapeOrder) -> Self:
        """The claim of one file, which is looked up by the first of its keys."""
        contents = frozenset(filter(None, [content]))
        return cls(order, keys[0] if keys else "", contents, frozenset(keys))

    def __or__(self, other: "Claim") -> "Claim":
        last, lookup, *_ = max(self, other, key=attrgetter("last"))
        return Claim(last, lookup, self.contents | other.contents, self.keys | other.keys)


class NamedAction(NamedTuple):
    """What one vote event file says: that the vote event of row `vote_event_id` is the action
    described so, `action` being empty when it names none."""

    vote_event_id: str
    bill_id: str
    action: str
    date: str
    organization_id: str


Change = Literal["inserted", "updated", "unchanged"]


@dataclass(frozen=True)
class Imported:
    """The file was applied to the row `core_id`. `bill_identifier` is a bill's, as core stores
    it; `flags` are what a person should look at, `difference` is what it changed."""

    core_id: str
    change: Change
    bill_identifier: str = ""
    lookup: LookupKeys = NO_LOOKUP
    flags: tuple[Flag, ...] = ()
    difference: Difference = NO_DIFFERENCE

    @property
    def word(self) -> str:
        """The outcome as the ledger, reports and logs name it; every outcome has one."""
        return self.change


@dataclass(frozen=True)
class Superseded:
    """A newer scrape was applied to the row `core_id` before (empty: a newer run has no such
    row). `difference` is what was taken from the file all the same."""

    core_id: str
    lookup: LookupKeys = NO_LOOKUP
    flags: tuple[Flag, ...] = ()
    difference: Difference = NO_DIFFERENCE
    word: ClassVar[str] = "superseded"


@dataclass(frozen=True)
class Waiting:
    """The file is parked until what it refers to arrives."""

    waiting_for: WaitingFor
    lookup: LookupKeys = NO_LOOKUP
    word: ClassVar[str] = "deferred"


@dataclass(frozen=True)
class Paused:
    """The file is parked until its jurisdiction, which is paused for `reason`, is resumed."""

    reason: str
    word: ClassVar[str] = "deferred"


@dataclass(frozen=True)
class Failed:
    """The file can never be imported. `traceback` is empty for an expected problem.

    `problem` loses its own traceback and causes: they would keep the content of its file, or of
    its whole batch, in memory for as long as the outcome is.
    """

    problem: PoisonMessage
    traceback: str = ""
    lookup: LookupKeys = NO_LOOKUP
    word: ClassVar[str] = "failed"

    def __post_init__(self) -> None:
        self.problem.__traceback__ = self.problem.__cause__ = self.problem.__context__ = None


@dataclass(frozen=True)
class Ignored:
    """There was nothing to import. `repeated`: the ledger has an outcome of the file already, so
    this one is not recorded."""

    repeated: bool = False
    word: ClassVar[str] = "ignored"


@dataclass(frozen=True)
class Released:
    """The file was not tried: its message comes again."""

    word: ClassVar[str] = "released"


FileOutcome = Imported | Superseded | Waiting | Paused | Failed | Ignored | Released


@dataclass(frozen=True)
class Result:
    """One file and its outcome, as the ledger records them. `file` is None when it was not
    read."""

    identity: FileIdentity
    delivery: Delivery
    object_type: str
    outcome: FileOutcome
    file: FetchedFile | None = None

    @classmethod
    def of(cls, file: FetchedFile, outcome: FileOutcome) -> Self:
        """The outcome of a file that was read."""
        return cls(file.identity, file.delivery, file.content.object_type, outcome, file)


def describe(problem: PoisonMessage) -> dict[str, str]:
    """What is wrong with a file, as the fields of a log line."""
    return {"reason": problem.reason, "field": problem.field, "detail": problem.detail}
