"""Files in the store's root that the ledger has no outcome for: how many, and since when."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from realtime.domain.config import Config
from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Listed, Store
from realtime.files.root import folders, is_ours
from realtime.ledger import files as ledger_files

# A message beside a queue is late after so long.
LATE = timedelta(minutes=15)
# Seconds for the listing, and uploads listed at most.
LIMIT = 8.0
AT_MOST = 20_000
_LOOKUP = 1000


@dataclass
class Root:
    """What was listed of the root. `problem` says why it is not known, `is_complete` whether that
    is all."""

    uploads: list[Listed] = field(default_factory=list)
    is_complete: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Unannounced:
    """Beside a queue: files that are older than LATE, so that their message may be lost. Without
    one: all that wait. At least so many, unless `is_complete`. `oldest_seconds` is the age of the
    oldest; None when there is none. `files` is None when it is not known; `problem` says why."""

    files: int | None = None
    oldest_seconds: float | None = None
    is_complete: bool = False
    problem: str = ""


# Where nobody looked.
UNKNOWN = Unannounced()


def look(config: Config, make_store: Callable[[], Store], limit: float = LIMIT) -> Root:
    """List the root, within `limit` seconds. Never raises."""
    root = Root()
    # A daemon thread: a hanging name lookup must not keep the process from exiting.
    looking = threading.Thread(
        target=lambda: _look(config, make_store, root, time.monotonic() + limit),
        name="status-root",
        daemon=True,
    )
    looking.start()
    looking.join(limit)
    if looking.is_alive() and not root.uploads:
        return Root(problem=f"the store did not answer within {limit:g} seconds")
    return Root(list(root.uploads), root.is_complete, root.problem)


def late_before(config: Config) -> datetime:
    """A file that was uploaded before this, and has no outcome, is counted."""
    return datetime.now(UTC) - (LATE if config.queue_url else timedelta())


def _look(config: Config, make_store: Callable[[], Store], root: Root, until: float) -> None:
    before = late_before(config)
    try:
        store, bucket = make_store(), config.bucket
        for folder in folders(store, bucket):
            for one in store.list(folder):
                if time.monotonic() > until or len(root.uploads) >= AT_MOST:
                    return
                if is_ours(bucket, one.key) and one.last_modified < before:
                    root.uploads.append(one)
        root.is_complete = True
    except RealtimeError as exc:
        root.problem = " ".join(str(exc).split())


def unannounced(root: Root, config: Config) -> Unannounced:
    """Those of the uploads in the root that the ledger has no outcome for. Raises Django's database
    errors."""
    if root.problem:
        return Unannounced(problem=root.problem)
    bucket, found = config.bucket.name, list[Listed]()
    for at in range(0, len(root.uploads), _LOOKUP):
        found += ledger_files.without_outcome(bucket, root.uploads[at : at + _LOOKUP])
    oldest = min((one.last_modified for one in found), default=None)
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest else None
    return Unannounced(len(found), age and max(age, 0.0), root.is_complete)
