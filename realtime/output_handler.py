"""Core's SCRAPE_OUTPUT_HANDLER plug-in: publishes each object as it is scraped.

    SCRAPE_OUTPUT_HANDLER=realtime.output_handler os-update --scrape wy bills

needs `S3_REALTIME_BASE`, `SQS_QUEUE_URL` if there is a queue, and the credentials of both, but no
Django settings and no database. Core's own files are not written. Core does not tell a plug-in that
a scrape has ended, so these files belong to no scrape run; use `os-update-realtime` for one. Pass
`--scrape`: without it core goes on to import the files on disk, of which there are none.
"""

import atexit
import json
import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openstates.utils import JSONEncoderPlus

from realtime.backends.queues import queue_of
from realtime.backends.stores import store_of
from realtime.domain import config
from realtime.domain.errors import PoisonMessage, RealtimeError
from realtime.domain.scraped_object import parse_key
from realtime.producer.leftovers import Leftovers
from realtime.producer.producer import SPOOL_FOLDER, File, Jurisdiction, Producer

VARIABLE = "SCRAPE_OUTPUT_HANDLER"
# Seconds to go on publishing when the process exits.
GRACE_AT_EXIT = 60.0

logger = logging.getLogger(__name__)


class Session:
    """The producer that all handlers of a process share, so that their files share one run or none.

    `file_archiving_enabled` asks for archiving even when the scraper does not. `leftovers` are the
    files that earlier scrapes have not published.
    """

    def __init__(
        self, producer: Producer, leftovers: Leftovers, file_archiving_enabled: bool = False
    ) -> None:
        self.producer = producer
        self.leftovers = leftovers
        self.file_archiving_enabled = file_archiving_enabled


_session: Session | None = None
_session_lock = threading.Lock()


class Handler:
    """Core creates one for each scraper and legislative session, and passes it each object."""

    def __init__(self, scraper: Any) -> None:
        """Raises ConfigurationError when a setting is missing or wrong."""
        self._scraper = scraper
        self._session = _shared_session()
        self._jurisdiction = jurisdiction_of(scraper.jurisdiction, scraper.datadir)
        self._session.leftovers.publish(self._jurisdiction)

    def handle(self, obj: Any) -> None:
        """Publish a scraped object; waits while too many files are in flight.

        When this returns, the object is on disk or announced: a process killed later loses nothing.

        In a strict scrape, an object that violates core's schema is not published, and core's
        ScrapeValueError is raised. Otherwise core warns of it after this returns.
        """
        scraped_at = datetime.now(UTC)
        # Core validates only after this call, when the object would be published already.
        if self._scraper.strict_validation:
            obj.validate()
        body = json.dumps(obj.as_dict(), cls=JSONEncoderPlus).encode()
        self._session.producer.publish(
            self._jurisdiction,
            File(obj._type, obj._id, body, scraped_at),
            file_archiving_enabled=(
                self._session.file_archiving_enabled or self._scraper.file_archiving_enabled
            ),
        )


@contextmanager
def publishing(file_archiving_enabled: bool) -> Iterator[Session]:
    """Publish every scrape of this process within the block through one session.

    The block itself must close the session's producer. Raises ConfigurationError before it begins.
    """
    global _session
    before = os.environ.get(VARIABLE)
    session = Session(*_publishers(uuid.uuid4()), file_archiving_enabled)
    with _session_lock:
        _session = session
    os.environ[VARIABLE] = __name__
    try:
        yield session
    finally:
        with _session_lock:
            _session = None
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def jurisdiction_of(state: Any, datadir: str) -> Jurisdiction:
    """The jurisdiction of core's `state`, scraped into `datadir`.

    Core names that folder after the scraper's module, whose last part is the abbreviation. When it
    is no valid abbreviation, core's metadata gives one.
    """
    abbr = os.path.basename(os.path.normpath(datadir)).rpartition(".")[2]
    try:
        parse_key(f"{abbr}/bill_x.json")
    except PoisonMessage:
        abbr = str(state.metadata.abbr).lower()
    return Jurisdiction(abbr, state.jurisdiction_id, state.name)


def _shared_session() -> Session:
    global _session
    with _session_lock:
        if _session is None:
            # No run id: a run whose end is never sent would stay open.
            _session = Session(*_publishers(run_id=None))
            atexit.register(_close_at_exit, _session)
            _exit_on_sigterm()
        return _session


def _publishers(run_id: uuid.UUID | None) -> tuple[Producer, Leftovers]:
    # Core logs everything to the terminal: the clients' lines for each request would drown it.
    for name in ("boto3", "botocore", "google", "s3transfer", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    settings = config.load(os.environ)
    bucket = settings.bucket
    if run_id:
        logger.info(
            "%s: publishing as this run", run_id, extra={"action": "run-started", "run_id": run_id}
        )
    # The producer has its own retries: a client's would only delay them.
    store = store_of(bucket, attempts=1)
    queue = queue_of(settings, store, attempts=1)
    spool = Path(SPOOL_FOLDER).absolute()
    return (
        Producer(store, queue, bucket, spool, run_id),
        Leftovers(store, queue, bucket, spool),
    )


def _exit_on_sigterm() -> None:
    # By default SIGTERM ends the process without running atexit handlers.
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _close_at_exit(session: Session) -> None:
    try:
        session.producer.close(GRACE_AT_EXIT)
        session.leftovers.wait(GRACE_AT_EXIT)
    except RealtimeError as exc:
        print(f"error: {exc}", file=sys.stderr)
