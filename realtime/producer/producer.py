"""The producer: stores each scraped object as a file in S3 and sends its message."""

import json
import logging
import re
import secrets
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, RealtimeError, RetryLater
from realtime.domain.interfaces import Sends, Uploads
from realtime.domain.messages import ScraperReport
from realtime.domain.scraped_object import (
    ARCHIVING_METADATA,
    RUN_ID_METADATA,
    SCRAPED_AT_METADATA,
    parse_key,
)
from realtime.producer.backoff import Retrying, RetryPolicy
from realtime.producer.outbox import Outbox, Outgoing
from realtime.producer.spool import Spool

logger = logging.getLogger(__name__)

SPOOL_FOLDER = "_realtime_spool"
# The most files that an error message names.
_MAX_NAMED = 10
_UNFIT_FOR_KEYS = re.compile(r"[^A-Za-z0-9_.:-]+")


class NotPublished(RealtimeError):
    """Some files were not published; they are kept in `folder`, the spool, if there is one.

    `keys` names them. `lost` counts those that could not be written to the spool either.
    """

    def __init__(self, keys: list[str], folder: Path | None, reason: str, lost: int = 0) -> None:
        names = ", ".join(key.rpartition("/")[2] for key in keys[:_MAX_NAMED])
        more = f" and {len(keys) - _MAX_NAMED} more" if len(keys) > _MAX_NAMED else ""
        files = "file" if len(keys) == 1 else "files"
        what = f"{len(keys)} {files} ({names}{more})" if keys else "the end of the run"
        where = f", kept in {folder} for publish_realtime" if folder else ""
        text = f"not published: {what}{where}: {reason}"
        super().__init__(f"{text}; {lost} could not be kept and are lost" if lost else text)
        self.keys = keys
        self.folder = folder
        self.lost = lost


@dataclass(frozen=True)
class Jurisdiction:
    """A jurisdiction: its abbreviation in keys (`usa` for Congress), core's id and name."""

    abbr: str
    id: str
    name: str


@dataclass(frozen=True)
class File:
    """One scraped object: `body` is its JSON, `scraped_at` is aware UTC."""

    object_type: str
    scrape_id: str
    body: bytes
    scraped_at: datetime


class Producer:
    """Publishes the files of one run; without `run_id`, files of no run. Thread-safe.

    A message is sent only after its file is stored. Failures are retried with growing waits, and
    files that still cannot be published are named by NotPublished at the end. A key is never used
    twice.

    With `spool`, nothing scraped is lost: each file is on disk before `publish` returns, and stays
    there until its message is sent, even if the process is killed. Files that exist on disk anyway
    need none.
    """

    def __init__(
        self,
        store: Uploads,
        queue: Sends,
        base: Bucket,
        spool: Path | None,
        run_id: uuid.UUID | None = None,
        *,
        retry_policy: RetryPolicy | None = None,
        capacity: int = 100,
        uploaders: int = 8,
        batch_age: float = 1.0,
    ) -> None:
        """Raises ConfigurationError when the spool cannot be written."""
        self.run_id = run_id
        self._queue = queue
        self._base = base
        name = str(run_id) if run_id else f"no-run-{secrets.token_hex(4)}"
        self._spool = Spool(spool / name) if spool else None
        self._retry_policy = retry_policy or RetryPolicy()
        self._lock = threading.Lock()
        self._keys: set[str] = set()
        self._handed_over: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._unsent: list[str] = []
        self._lost = 0
        self._not_kept = False
        self._reason = ""
        self._misconfigured: ConfigurationError | None = None
        self._outbox = Outbox(
            store,
            queue,
            sent=self._note_sent,
            unsent=self._note_unsent,
            retry_policy=self._retry_policy,
            capacity=capacity,
            uploaders=uploaders,
            batch_age=batch_age,
        )

    @property
    def counts(self) -> dict[str, int]:
        """The number of files published so far, by type."""
        with self._lock:
            return dict(self._sent)

    def publish(
        self,
        jurisdiction: Jurisdiction,
        file: File,
        *,
        file_archiving_enabled: bool,
        fresh_id: bool = True,
    ) -> str:
        """Publish a file in the background and return its key; waits while the outbox is full.

        `fresh_id` says that no earlier file has this `scrape_id`: a UUIDv1 then names the key as it
        is; otherwise a random suffix is added. On a full disk the file is published from memory,
        with a warning. Raises ConfigurationError, after spooling the file, when the bucket or queue
        does not exist and no file has been published.
        """
        key = self._new_key(jurisdiction, file, fresh_id)
        metadata = {
            SCRAPED_AT_METADATA: file.scraped_at.astimezone(UTC).isoformat(timespec="microseconds")
        }
        message: dict[str, Any] = {
            "file_path": key,
            "bucket": self._base.name,
            "jurisdiction_id": jurisdiction.id,
            "jurisdiction_name": jurisdiction.name,
            "file_archiving_enabled": file_archiving_enabled,
        }
        if file_archiving_enabled:
            metadata[ARCHIVING_METADATA] = "true"
        if self.run_id:
            metadata[RUN_ID_METADATA] = message["run_id"] = str(self.run_id)
        outgoing = Outgoing(key, file.body, metadata, json.dumps(message))
        self._keep(outgoing)
        if self._misconfigured and not self.counts:
            self._note_unsent(outgoing, self._misconfigured)
            raise self._misconfigured
        self._outbox.put(outgoing)
        return key

    def close(self, timeout: float | None = None) -> None:
        """Publish the files taken, for at most `timeout` seconds; the rest stays in the spool.

        Raises NotPublished when a file was not published. Sends no end of the run.
        """
        self._outbox.close(timeout)
        if self._spool:
            self._spool.close()
        with self._lock:
            if self._unsent:
                raise NotPublished(self._unsent, self._folder, self._reason, self._lost)

    def finish(
        self,
        jurisdiction: Jurisdiction,
        started_at: datetime,
        finished_at: datetime | None = None,
        scrapers: Mapping[str, ScraperReport] | None = None,
    ) -> None:
        """Wait for all files, then send the message that ends the run.

        It is sent only when every file was published. Otherwise it stays in the spool beside the
        files, and NotPublished is raised. `finished_at` defaults to the current time.
        """
        end = self._end(jurisdiction, started_at, finished_at or datetime.now(UTC), scrapers or {})
        # Before the wait: if the process is killed during it, whoever sends the files ends the run.
        self._keep_end(end)
        self._outbox.close()
        if self._spool and self._lost:
            self._spool.remove_end()
        if not self._unsent:
            try:
                send_end(self._queue, end, self._retry_policy)
            except RealtimeError as exc:
                self.close()
                raise NotPublished([], self._folder, str(exc)) from exc
            if self._spool:
                self._spool.remove_end()
        self.close()

    def _new_key(self, jurisdiction: Jurisdiction, file: File, fresh_id: bool) -> str:
        scrape_id = file.scrape_id.removeprefix("ocd-person/")
        if file.object_type == "jurisdiction" and fresh_id:
            scrape_id = str(uuid.uuid1())
        stem = f"{self._base.prefix}{jurisdiction.abbr}/{file.object_type}_"
        name = stem + _UNFIT_FOR_KEYS.sub("-", scrape_id)
        with self._lock:
            key = f"{name}.json" if fresh_id and _is_uuid1(scrape_id) else ""
            while not key or key in self._keys:
                key = f"{name}_{secrets.token_hex(4)}.json"
            self._keys.add(key)
            self._handed_over[file.object_type] += 1
        return key

    def _end(
        self,
        jurisdiction: Jurisdiction,
        started_at: datetime,
        finished_at: datetime,
        scrapers: Mapping[str, ScraperReport],
    ) -> str:
        return json.dumps(
            {
                "run_id": str(self.run_id),
                "bucket": self._base.name,
                "jurisdiction_id": jurisdiction.id,
                "jurisdiction_name": jurisdiction.name,
                "run_finished": {
                    "started_at": started_at.isoformat(),
                    "finished_at": finished_at.isoformat(),
                    "objects": dict(self._handed_over),
                    "scrapers": {
                        name: {
                            "args": scraper.args,
                            "started_at": scraper.started_at.isoformat(),
                            "finished_at": scraper.finished_at.isoformat(),
                            "objects": dict(scraper.objects),
                        }
                        for name, scraper in scrapers.items()
                    },
                },
            }
        )

    @property
    def _folder(self) -> Path | None:
        return self._spool.folder if self._spool else None

    def _keep(self, outgoing: Outgoing) -> None:
        if not self._spool:
            return
        try:
            self._spool.keep(outgoing)
        except OSError as exc:
            # One warning only: the disk stays full for a while.
            logger.log(
                logging.DEBUG if self._not_kept else logging.WARNING,
                "%s cannot be kept in %s: %s; it is published from memory",
                outgoing.key,
                self._spool.folder,
                exc,
                extra={"action": "not-kept"},
            )
            self._not_kept = True

    def _note_sent(self, outgoing: Outgoing) -> None:
        logger.debug("%s published", outgoing.key, extra={"action": "published"})
        object_type = parse_key(self._base.strip(outgoing.key) or "").object_type
        with self._lock:
            self._sent[object_type] += 1
        if self._spool:
            self._spool.remove(outgoing)

    def _note_unsent(self, outgoing: Outgoing, reason: Exception) -> None:
        # Again: it may be stored by now, and the disk have room.
        self._keep(outgoing)
        lost = self._spool is not None and not self._spool.holds(outgoing)
        # One warning only: an outage may concern thousands, and NotPublished counts them.
        logger.log(
            logging.ERROR if lost else logging.DEBUG if self._unsent else logging.WARNING,
            "%s not published, %s: %s",
            outgoing.key,
            "lost" if lost else f"kept in {self._folder}" if self._folder else "left where it is",
            reason,
            extra={"action": "lost" if lost else "kept"},
        )
        with self._lock:
            self._lost += lost
            self._unsent.append(outgoing.key)
            self._reason = str(reason)
            if isinstance(reason, ConfigurationError):
                self._misconfigured = reason

    def _keep_end(self, message: str) -> None:
        if not self._spool:
            return
        try:
            self._spool.keep_end(message)
        except OSError as exc:
            logger.warning(
                "%s: the end of the run cannot be kept in %s: %s",
                self.run_id,
                self._spool.folder,
                exc,
                extra={"action": "not-kept", "run_id": self.run_id},
            )


def send_end(queue: Sends, message: str, retry_policy: RetryPolicy) -> None:
    """Send the message that ends a run. Raises RealtimeError when the retries fail."""

    def attempt() -> None:
        if queue.send([message]):
            raise RetryLater("the queue refused the message")

    Retrying(retry_policy, threading.Event())("the end of the run", attempt)


def _is_uuid1(text: str) -> bool:
    try:
        return uuid.UUID(text).version == 1
    except ValueError:
        return False
