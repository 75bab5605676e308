"""The protocols of an object store and a queue, and the values they return.

`backends/stores.py` names the stores; `backends/sqs.py` is the queue, `devstack/memory.py` both in
memory. `tests/contracts/` runs one suite over every implementation. Exceptions other than Gone and
Exists are in `errors.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from realtime.domain.errors import RealtimeError
from realtime.domain.messages import ReceivedMessage

# Calls that a store is asked at once.
THREADS = 16
# Of a store: a run reads files while it archives others.
CONNECTIONS = 2 * THREADS


class Gone(RealtimeError):
    """The object, or that version of it, does not exist."""


class Exists(RealtimeError):
    """An object exists under the key, which must not be overwritten."""


@dataclass(frozen=True)
class ObjectVersion:
    """One version of one object: the identity of a file.

    `version_id` is empty in a bucket without versioning, and for what was uploaded while a bucket
    had none. There the ETag and the upload time identify an upload, so that content which is
    uploaded again after a change counts as new. Hashable.
    """

    key: str
    etag: str
    version_id: str
    last_modified: datetime | None
    size: int
    metadata: Mapping[str, str] = field(hash=False)

    @property
    def version(self) -> str:
        """Identifies this upload among all uploads under the same key."""
        return (
            self.version_id
            or f"{self.etag}@{self.last_modified and self.last_modified.isoformat()}"
        )


@dataclass(frozen=True)
class Listed:
    """What a listing says of the current upload under a key: no version id, no metadata.

    `etag` and `last_modified` are those of its ObjectVersion. `size` is what the upload takes in
    the store, in bytes; in a folder that is more than its body.
    """

    key: str
    etag: str
    last_modified: datetime
    size: int


@dataclass(frozen=True)
class StoredFile:
    """A version and its content; `body` is None when it exceeds the `max_bytes` of the call."""

    object: ObjectVersion
    body: bytes | None


class Uploads(Protocol):
    """The part of a Store that a scraper needs."""

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        """Write an object, and return the ETag that the store gives it. It is durable when this
        returns.

        With `overwrite` false raises Exists, and writes nothing, when an object exists under
        `key`; a store that ignores conditions overwrites it. After an answer that was lost, that
        object may be the one that this very call has written.
        """


class Store(Uploads, Protocol):
    """One bucket. Thread-safe. Keys are full, prefix included.

    Every call raises Gone when the object is missing, ConfigurationError when the bucket is
    missing, Unavailable when the store does not answer or refuses our credentials, and RetryLater
    for any other error.
    """

    @property
    def bucket(self) -> str:
        """The bucket's name, as in messages."""

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        """Read an object, or one version of it; without its body when it exceeds `max_bytes`."""

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        """The current version under `key`, or the one with `version_id`; no body is read."""

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Copy exactly the version `source` to `key`. The copy is verified when this returns.

        The copy keeps the metadata of `source` unless `metadata` is given. Raises Gone when that
        version no longer exists and, with `overwrite` false, when an object exists under `key`,
        if the store can check that.
        """

    def delete(self, version: ObjectVersion) -> bool:
        """Delete that version and no other; False when another upload has replaced it."""

    def delete_all(self, versions: Iterable[ObjectVersion]) -> set[ObjectVersion]:
        """Delete these versions and no others, many in a request; returns those that no longer
        exist.

        Those are the versions deleted now, those that were missing, and, without versioning, those
        that another upload has replaced: `delete` would do nothing about them either. The others
        still exist: the store refused them, which is logged; the caller may try them again. When
        this raises, any of the versions may have been deleted.
        """

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin with `prefix`, in the order of their keys.

        Each is as it was at some time during the call. An object that is there all the time is
        listed once."""

    def folders(self, prefix: str) -> Sequence[str]:
        """What the keys that begin with `prefix` and have a slash after it begin with, up to and
        with that slash: `wy/` for `wy/bill.json` and an empty prefix. In order, without reading
        the list of the objects themselves."""


@runtime_checkable
class Renames(Protocol):
    """A Store that moves an object in one step, so that none has to be copied to be archived."""

    def rename_all(self, moves: Mapping[ObjectVersion, str]) -> dict[ObjectVersion, RealtimeError]:
        """Move exactly these versions, each to its key. What is at that key is replaced.

        Returns why the others were not moved: Gone when a version no longer exists. What was moved
        is durable when this returns. When this raises, any of them may have been moved."""


class Sends(Protocol):
    """The part of a Queue that a scraper needs."""

    def send(self, bodies: Sequence[str]) -> list[int]:
        """Send at most ten messages in one call; returns the indexes of those refused."""


class Queue(Sends, Protocol):
    """One queue with at-least-once delivery in any order. Thread-safe.

    Every call raises ConfigurationError when the queue does not exist. When it cannot be reached,
    `receive` and `send` raise Unavailable; `delete` and `change_visibility` return fewer ids.
    """

    def receive(self, limit: int, visibility_timeout: int) -> list[ReceivedMessage]:
        """Receive up to `limit` messages and hide them for `visibility_timeout` seconds; empty when
        none are visible."""

    def delete(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        """Acknowledge messages; returns the ids whose deletion the queue confirmed."""

    def change_visibility(
        self, messages: Iterable[ReceivedMessage], seconds: Callable[[], int]
    ) -> set[str]:
        """Hide each message for `seconds()` from now (0: visible again at once); returns the ids
        that the queue confirmed."""
