"""What this project asks of the place where files live, and of the queue.

S3 and SQS are one implementation of each (`s3.py`, `sqs.py`), memory another
(`devstack/memory.py`). `tests/contracts/` holds what every implementation must do; what else it
may raise is in `errors.py`. docs/decisions/other-clouds.md says what a third would take.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from realtime.domain.errors import RealtimeError
from realtime.domain.messages import ReceivedMessage


class Gone(RealtimeError):
    """There is no object under this key, or no longer that version of it."""


@dataclass(frozen=True)
class ObjectVersion:
    """One version of one object: the identity of a file.

    `version_id` is empty in a bucket without versioning; there the ETag and the time of the
    upload tell uploads apart, so that content which returns after a change is a version again.
    """

    key: str
    etag: str
    version_id: str
    last_modified: datetime | None
    size: int
    metadata: Mapping[str, str]

    @property
    def version(self) -> str:
        """A name of this version that no other upload under the same key has."""
        return (
            self.version_id
            or f"{self.etag}@{self.last_modified and self.last_modified.isoformat()}"
        )


@dataclass(frozen=True)
class StoredFile:
    """A version and its content; `body` is None when that is larger than was asked for."""

    object: ObjectVersion
    body: bytes | None


class Uploads(Protocol):
    """As much of a Store as a scraper needs."""

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Write an object; when this returns it is stored."""


class Store(Uploads, Protocol):
    """One bucket. Safe to use from several threads at once; keys are full, prefix included.

    Every call raises Gone when the object is missing, ConfigurationError when the bucket is, and
    RetryLater (Unavailable when nothing answers, or nothing is allowed) for anything else.
    """

    @property
    def bucket(self) -> str:
        """The bucket's name, as messages give it."""

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        """Read an object, or that version of it; of one larger than `max_bytes` only the head."""

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        """What is under `key` now, or that version of it."""

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Copy exactly that version to `key`; when this returns it is proven.

        The copy has the original's metadata, or `metadata`. Raises Gone when that version is no
        longer there, and, with `overwrite` false, when something is under `key` already, as far
        as the store can tell.
        """

    def delete(self, version: ObjectVersion) -> bool:
        """Delete that version and no other; False when another upload has taken its place."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below `prefix`, in order."""


class Sends(Protocol):
    """As much of a Queue as a scraper needs."""

    def send(self, bodies: Sequence[str]) -> list[int]:
        """Send at most ten message bodies in one call; returns the indexes that were refused."""


class Queue(Sends, Protocol):
    """One queue, which delivers each message at least once, in any order. Thread-safe.

    A call raises ConfigurationError when there is no such queue, Unavailable when it cannot be
    reached.
    """

    def receive(self, limit: int, visibility_timeout: int) -> list[ReceivedMessage]:
        """Up to `limit` messages, hidden from others for `visibility_timeout` seconds; empty when
        there are none. `receive_count` and `sent_at` say how often and since when."""

    def delete(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        """These are done with; returns the ids of those that are gone for good."""

    def change_visibility(
        self, messages: Iterable[ReceivedMessage], seconds: Callable[[], int]
    ) -> set[str]:
        """Hide each message for `seconds()` from now on (0: it comes again at once); returns the
        ids for which that was done."""
