"""Takes files from the store's root itself, where no message says that they came.

Without a queue the root is the queue. Beside one, the sweep finds files whose message was lost.
"""

import hashlib
import json
import logging
import random
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Self
from urllib.parse import quote_plus

from realtime.backends.postgres import locks
from realtime.consumer.sources import RELEASE_SECONDS
from realtime.domain.config import Config
from realtime.domain.errors import RealtimeError, RetryLater, Unavailable
from realtime.domain.interfaces import Gone, Listed, Store, StoredFile
from realtime.domain.messages import ReceivedMessage
from realtime.domain.scraped_object import is_run_end
from realtime.files.archive import archive_run_ends
from realtime.files.root import folders, is_ours
from realtime.ledger import files as ledger_files
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)

# Before the oldest uploads of a folder are taken, it is listed for so many seconds at most, and for
# so many uploads at least. Of more than that, those whose keys come first are taken first, but for
# jurisdictions: other files would wait for their sessions.
LISTING_SECONDS, LISTED = 4.0, 1000
_FIRST = "jurisdiction_"
# Uploads that are looked up in the ledger at once.
_LOOKUP = 1000
# Folders that are listed at once.
_THREADS = 8
# Seconds after which a folder is tried again that another worker has locked, or that cannot be
# listed.
_BUSY_SECONDS, _CLOSED_SECONDS = (1.0, 3.0), (30.0, 60.0)


@dataclass
class _Folder:
    """What a listing found in one folder: uploads that wait, oldest first, and those not listed
    yet."""

    name: str
    waiting: deque[Listed]
    rest: Iterator[Listed]

    def load(self) -> bool:
        """List more, when nothing that was listed is left; whether that may be all."""
        until, found = time.monotonic() + LISTING_SECONDS, list[Listed]()
        while not self.waiting and (some := list(islice(self.rest, LISTED))):
            found += some
            if time.monotonic() > until:
                break
        self.waiting.extend(sorted(found, key=_age))
        return time.monotonic() <= until


class Sweep:
    """Lists the root for files that the ledger may have no outcome for; needs no database.

    As long as it lives it remembers which uploads have one, and which were released a moment ago:
    they are not found again. `older_than`: only files that were uploaded so long ago.
    """

    def __init__(self, store: Store, config: Config, older_than: timedelta = timedelta()) -> None:
        self.store = store
        self.config = config
        self._older_than = older_than
        self._found: list[_Folder] = []
        # By folder: digests of the uploads that have an outcome.
        self._settled: dict[str, set[int]] = {}
        # Until when, by this process's monotonic clock, uploads and folders are left alone.
        self._held_back: dict[Listed | str, float] = {}
        self._foreign: dict[str, int] = {}
        # Why folders could not be listed, at the last look.
        self._closed: list[RetryLater] = []

    @property
    def has_found(self) -> bool:
        """Whether something may be left of the last listing."""
        return bool(self._found)

    def look(self) -> bool:
        """List the root anew; whether there may be something to take.

        A folder that cannot be listed is left alone for a while. Raises as Store does, also when
        that is so of each.
        """
        now = time.monotonic()
        self._closed = []
        self._held_back = {what: until for what, until in self._held_back.items() if until > now}
        names = folders(self.store, self.config.bucket)
        self._settled = {name: self._settled.get(name, set()) for name in names}
        with Threads(_THREADS, "sweep-list") as threads:
            free = [name for name in names if name not in self._held_back]
            self._found = [one for one in threads.map(self._folder, free) if one.waiting]
        if free and len(self._closed) == len(free):
            raise self._closed[0]
        return self.has_found

    def folders(self) -> Iterator[_Folder]:
        """The folders in which something was found, that with the oldest upload first; each once
        after a `look`."""
        while self._found:
            oldest = min(self._found, key=lambda folder: _age(folder.waiting[0]))
            self._found.remove(oldest)
            yield oldest

    def put_back(self, folder: _Folder) -> None:
        """There may be more in this folder."""
        folder.load()
        if folder.waiting:
            self._found.append(folder)

    def settle(self, folder: str, uploads: Iterable[Listed]) -> None:
        """These have an outcome."""
        self._settled.setdefault(folder, set()).update(map(hash, uploads))

    def hold_back(self, what: Iterable[Listed | str], seconds: tuple[float, float]) -> None:
        """Leave these uploads, or folders, alone for a time between those."""
        for one in what:
            self._held_back[one] = time.monotonic() + random.uniform(*seconds)

    def _folder(self, name: str) -> _Folder:
        folder = _Folder(name, deque(), self._listed(name))
        try:
            if not folder.load():
                folder.waiting.extendleft(self._listed(name, _FIRST))
        except Unavailable:
            raise
        except RetryLater as exc:
            # The folders beside it are not kept waiting.
            self._closed.append(exc)
            self.hold_back([name], _CLOSED_SECONDS)
            about = {"action": "closed", "folder": name, "cause": exc}
            logger.warning("folder cannot be listed, left alone for now", extra=about)
        return folder

    def _listed(self, folder: str, start: str = "") -> Iterator[Listed]:
        """The uploads in the folder, of those whose names have that `start`, that may be taken
        now."""
        settled, present, foreign = self._settled[folder], set[int](), 0
        until = datetime.now(UTC) - self._older_than
        for one in self.store.list(folder + start):
            digest = hash(one)
            present.add(digest)
            if digest in settled:
                continue
            if not is_ours(self.config.bucket, one.key):
                foreign += 1
            elif one not in self._held_back and (not self._older_than or one.last_modified < until):
                yield one
        if start:
            return
        settled &= present
        if foreign != self._foreign.get(folder, 0):
            self._foreign[folder] = foreign
            about = {"action": "foreign", "folder": folder, "files": foreign}
            logger.warning("files that are no scraped files are left alone", extra=about)


class SweepInbox:
    """What a sweep finds, as messages: an Inbox whose messages are the uploads themselves.

    A folder's files are only taken while a session lock on it is held, on the connection of this
    run: no other sweep reads what this one has in hand. `acknowledge` archives the end of a run;
    other files are left to be archived. What is released is found again, by another run or later.
    """

    way = "sweep"

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._store = sweep.store
        self._bucket = sweep.config.bucket
        self._max_bytes = sweep.config.max_file_bytes
        self._taken: dict[str, tuple[str, Listed]] = {}
        self._ends: dict[str, StoredFile] = {}
        self._open: defaultdict[str, set[str]] = defaultdict(set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The locks end with the connection of the run."""

    def receive(self, limit: int) -> list[ReceivedMessage]:
        """Take up to `limit` uploads, the oldest first; the root is listed when nothing is left of
        the last listing. Empty when there is nothing that this worker may take now."""
        for folder in list(self._open):
            self._close(folder)
        return self._receive(limit) or (self._receive(limit) if self._sweep.look() else [])

    def _receive(self, limit: int) -> list[ReceivedMessage]:
        messages: list[ReceivedMessage] = []
        for folder in self._sweep.folders():
            if not locks.try_lock_folder(folder.name):
                self._sweep.hold_back([folder.name], _BUSY_SECONDS)
                continue
            self._open[folder.name] = set()
            messages += self._take(folder, limit - len(messages))
            if not self._open[folder.name]:
                self._close(folder.name)
            if len(messages) == limit:
                break
        return messages

    def _take(self, folder: _Folder, limit: int) -> list[ReceivedMessage]:
        messages: list[ReceivedMessage] = []
        while len(messages) < limit and folder.waiting:
            some = [folder.waiting.popleft() for _ in range(min(_LOOKUP, len(folder.waiting)))]
            new = ledger_files.without_outcome(self._bucket.name, some)
            self._sweep.settle(folder.name, set(some).difference(new))
            room = limit - len(messages)
            messages += self._messages(folder.name, new[:room])
            folder.waiting.extendleft(reversed(new[room:]))
            folder.load()
        self._sweep.put_back(folder)
        return messages

    def _messages(self, folder: str, uploads: Iterable[Listed]) -> Iterator[ReceivedMessage]:
        for one in uploads:
            text = f"{one.key}\n{one.etag}\n{one.last_modified.isoformat()}"
            # The same for each sweep that finds it: what is known of it is known by this.
            message_id = f"swept-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
            if message_id in self._taken:
                continue
            body = notification(self._bucket.name, one.key)
            if is_run_end(self._bucket.strip(one.key) or ""):
                try:
                    end = self._store.get(one.key, self._max_bytes)
                except Gone:
                    continue
                body = (end.body or b"").decode(errors="replace")
                self._ends[message_id] = end
            self._taken[message_id] = folder, one
            self._open[folder].add(message_id)
            yield ReceivedMessage(message_id, "", body, one.last_modified, receive_count=0)

    def acknowledge(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        done = {message.message_id for message in messages}
        ends = [self._ends.pop(one) for one in done & self._ends.keys()]
        try:
            archive_run_ends(self._store, self._sweep.config, ends)
        except RealtimeError as exc:
            about = {"action": "acknowledge", "files": len(ends), "cause": exc}
            logger.warning("ends of runs not archived: they are read again", extra=about)
        for message_id in done:
            folder, upload = self._taken.pop(message_id)
            self._sweep.settle(folder, [upload])
            self._open[folder].discard(message_id)
        for folder in [name for name, left in self._open.items() if not left]:
            self._close(folder)
        return done

    def release(self, messages: Iterable[ReceivedMessage]) -> None:
        for message in messages:
            _, upload = self._taken.pop(message.message_id)
            self._sweep.hold_back([upload], RELEASE_SECONDS)

    def _close(self, folder: str) -> None:
        del self._open[folder]
        locks.unlock_folder(folder)


def _age(upload: Listed) -> tuple[datetime, str]:
    return upload.last_modified, upload.key


def notification(bucket: str, key: str) -> str:
    """What S3 would tell of an upload: it claims nothing that the file does not say itself."""
    about = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": about}
    return json.dumps({"Records": [record]})
