"""Reads the files of a pass from the store, and says what keeps it from doing so."""

import logging
from collections import defaultdict
from collections.abc import Sequence

from realtime.domain.errors import (
    ConfigurationError,
    PoisonMessage,
    RealtimeError,
    RetryLater,
    Unavailable,
)
from realtime.domain.in_flight import InFlightFile
from realtime.domain.interfaces import Gone
from realtime.domain.results import Ignored
from realtime.domain.run_context import RunContext
from realtime.files.fetch import fetch
from realtime.ledger import files as ledger_files

logger = logging.getLogger(__name__)


def fetch_files(context: RunContext, files: Sequence[InFlightFile]) -> Unavailable | None:
    """Read the files, as many as may be held at once; the others are left as they are. Returns what
    keeps every one of them from being read, if anything does.

    A missing file that the ledger knows is `ignored`, since it was imported and moved; any other
    missing one, and one that was sent again after a failure, can never be imported.
    """
    with context.timed("fetch"):
        fetch(files, context.store, context.config, context.must_stop, context.kept)
    outage = _outage(files)
    missing = [file for file in files if isinstance(file.error, Gone)]
    keys = [file.identity.key for file in missing]
    # Asked after the read failed: an archived file's row was committed before it was moved.
    known = ledger_files.known_keys(context.store.bucket, keys) if keys else set()
    retried = ledger_files.under_retry(context.store.bucket, known) if known else {}
    for file in missing:
        gone = PoisonMessage("gone", str(file.error), "file_path")
        if file.identity.key in retried:
            file.identity = retried[file.identity.key]
            file.error = gone if _is_gone(context, file) else RetryLater("it was put back just now")
        elif file.identity.key in known:
            file.finish(Ignored())
        else:
            file.error = gone
    return outage


def _is_gone(context: RunContext, file: InFlightFile) -> bool:
    """Whether there is nothing under the key of a file that was not there when it was read."""
    try:
        context.store.head(file.identity.key)
    except Gone:
        return True
    except RealtimeError:
        pass  # its message comes again
    return False


def unavailable(files: Sequence[InFlightFile]) -> Unavailable | None:
    """The first error that concerns the store, and so every file."""
    for file in files:
        if isinstance(file.error, Unavailable | ConfigurationError):
            return Unavailable(str(file.error))
    return None


def _outage(files: Sequence[InFlightFile]) -> Unavailable | None:
    """What keeps every file from being read; what keeps only some is logged, one line a cause."""
    if outage := unavailable(files):
        return outage
    answered = [f for f in files if f.fetched or isinstance(f.error, PoisonMessage | Gone)]
    by_cause: defaultdict[str, list[RealtimeError]] = defaultdict(list)
    for file in files:
        if file.error and not isinstance(file.error, PoisonMessage | Gone):
            by_cause[str(file.error).replace(file.identity.key, "")].append(file.error)
    for errors in by_cause.values():
        if not answered:
            return Unavailable(f"no file can be read: {errors[0]}")
        logger.warning(
            "files released",
            extra={"action": "released", "files": len(errors), "cause": errors[0]},
        )
    return None
