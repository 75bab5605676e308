"""Files on their way through a run, and the order in which a jurisdiction's are imported."""

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from realtime.domain.errors import PoisonMessage, WaitingFor
from realtime.domain.scraped_object import IGNORED_TYPES, IMPORTED_TYPES, ScrapedObject, ScrapeOrder

logger = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class Delivery:
    """How a file reached us. Times are aware UTC; `message` is the body it came in.

    `jurisdiction_id` is the one the message claims, empty when it claims none.
    """

    queued_at: datetime
    message: str
    jurisdiction_id: str = ""
    file_archiving: bool = False
    run_id: uuid.UUID | None = None


@dataclass(frozen=True)
class FetchedFile:
    """A file that was read, ready for import.

    `last_chance` marks one that has been parked as long as it may be: what it still cannot find
    fails it. `core_id` is the row that it was applied to before, when it is imported once more.
    """

    identity: FileIdentity
    jurisdiction_id: str
    content: ScrapedObject
    delivery: Delivery
    last_chance: bool = False
    core_id: str = ""


@dataclass(frozen=True)
class About:
    """What the ledger keeps of a vote event or event, so that a later file can be told from it.

    `bill_id` is the row of a vote event's bill. `keys` are what core can find the row by, the one
    it does look by first; `action`, `date` and `organization_id` name a vote event's action.
    """

    bill_id: str = ""
    keys: tuple[str, ...] = ()
    action: str = ""
    date: str = ""
    organization_id: str = ""


class NamedAction(NamedTuple):
    """What one vote event file says: that the vote event of row `vote_event_id` is the action
    described so, `action` being empty when it names none."""

    vote_event_id: str
    bill_id: str
    action: str
    date: str
    organization_id: str


@dataclass(frozen=True)
class Result:
    """What became of a file. `file` is None when it could not even be read.

    `outcome` is one of the values of `realtime.models.Outcome`; `problem` says why for a failed
    one, `waiting_for` what a deferred one waits for; `bill_identifier` is a bill's, as core
    stores it.
    `repeated` says that the file had its outcome before, so that this is not recorded.
    """

    identity: FileIdentity
    outcome: str
    delivery: Delivery
    object_type: str
    file: FetchedFile | None = None
    core_id: str = ""
    bill_identifier: str = ""
    about: About = field(default_factory=About)
    problem: PoisonMessage | None = None
    traceback: str = ""
    waiting_for: WaitingFor | None = None
    repeated: bool = False


def by_jurisdiction(files: Iterable[FetchedFile]) -> list[tuple[str, list[FetchedFile]]]:
    """The files of each jurisdiction, in import order; the largest group first, so that a run
    that ends early has done the most."""
    groups: dict[str, list[FetchedFile]] = defaultdict(list)
    for file in files:
        groups[file.jurisdiction_id].append(file)
    ordered = [(name, in_import_order(group)) for name, group in groups.items()]
    return sorted(ordered, key=lambda group: -len(group[1]))


def in_import_order(files: Sequence[FetchedFile]) -> list[FetchedFile]:
    """The files by their `import_place`."""
    return sorted(files, key=lambda file: import_place(file.content))


def import_place(content: ScrapedObject) -> tuple[int, ScrapeOrder]:
    """By what files are sorted for an import: type by type as core does, what is named before what
    names it; then in scrape order."""
    return (IMPORTED_TYPES + IGNORED_TYPES).index(content.object_type), content.order


def log_result(result: Result) -> None:
    """One line for an outcome: failures at warning, with the reason, all else at debug."""
    file, problem = result.file, result.problem
    about = {
        "outcome": result.outcome,
        "key": result.identity.key,
        "object_type": result.object_type,
        "jurisdiction_id": file.jurisdiction_id if file else result.delivery.jurisdiction_id,
        "run_id": result.delivery.run_id,
    }
    if problem:
        logger.warning("file failed", extra={**about, **describe(problem)})
    else:
        logger.debug("file done", extra={**about, "waiting_for": result.waiting_for})


def describe(problem: PoisonMessage) -> dict[str, str]:
    """What is wrong with a file, as the fields of a log line."""
    return {"reason": problem.reason, "field": problem.field, "detail": problem.detail}
