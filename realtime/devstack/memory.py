"""A store and a queue in memory, for experiments and tests."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from realtime.domain.interfaces import Exists, Gone, Listed, ObjectVersion, StoredFile
from realtime.domain.messages import ReceivedMessage

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryStore:
    """A versioned bucket: a version stays until it is deleted. Thread-safe."""

    def __init__(self, bucket: str = "memory", clock: Clock = _now) -> None:
        self.bucket = bucket
        self._clock = clock
        self._lock = threading.Lock()
        self._versions: dict[str, list[StoredFile]] = {}

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        """Write an object; returns its ETag. Raises Exists when `overwrite` is false and `key`
        exists."""
        version = ObjectVersion(
            key=key,
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            version_id=uuid.uuid4().hex,
            last_modified=self._clock(),
            size=len(body),
            metadata=dict(metadata),
        )
        with self._lock:
            kept = self._versions.setdefault(key, [])
            if kept and not overwrite:
                raise Exists(f"{self.bucket}/{key} exists already")
            kept.append(StoredFile(version, body))
        return version.etag

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        """Read an object, or one version of it. `body` is None when it exceeds `max_bytes`."""
        stored = self._find(key, version_id)
        return stored if stored.object.size <= max_bytes else replace(stored, body=None)

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        """The newest version under `key`, or the given one, without its content."""
        return self._find(key, version_id).object

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Copy this version to `key`, with its own metadata or `metadata`. Raises Gone when
        `overwrite` is false and `key` exists."""
        stored = self._find(source.key, source.version_id)
        if not overwrite and any(found.key == key for found in self.list(key)):
            raise Gone(f"{self.bucket}/{key} exists already")
        assert stored.body is not None
        self.put(key, stored.body, stored.object.metadata if metadata is None else metadata)

    def delete(self, version: ObjectVersion) -> bool:
        """Delete this version only; returns whether it existed."""
        with self._lock:
            kept = self._versions.get(version.key, [])
            left = [one for one in kept if one.object.version_id != version.version_id]
            self._versions[version.key] = left
            return len(left) < len(kept)

    def delete_all(self, versions: Iterable[ObjectVersion]) -> set[ObjectVersion]:
        """Delete these versions only; returns all of them: none exists any longer."""
        gone = set(versions)
        for version in gone:
            self.delete(version)
        return gone

    def list(self, prefix: str) -> Iterator[Listed]:
        """The newest versions of the keys that begin with `prefix`, sorted."""
        with self._lock:
            found = [kept[-1].object for kept in self._versions.values() if kept]
        for one in sorted(found, key=lambda version: version.key):
            if one.key.startswith(prefix):
                assert one.last_modified is not None
                yield Listed(one.key, one.etag, one.last_modified, one.size)

    def folders(self, prefix: str) -> Sequence[str]:
        """What keys that begin with `prefix` begin with, up to the next slash, sorted."""
        rests = (found.key.removeprefix(prefix).partition("/") for found in self.list(prefix))
        return sorted({f"{prefix}{name}/" for name, slash, _ in rests if slash})

    def _find(self, key: str, version_id: str) -> StoredFile:
        with self._lock:
            kept = self._versions.get(key, [])
            found = [one for one in kept if version_id in ("", one.object.version_id)]
        if not found:
            raise Gone(f"{self.bucket}/{key} does not exist")
        return found[-1]


@dataclass
class _Waiting:
    message: ReceivedMessage
    visible_at: datetime


class MemoryQueue:
    """A queue that redelivers messages until they are deleted. Thread-safe."""

    def __init__(self, clock: Clock = _now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: dict[str, _Waiting] = {}

    def send(self, bodies: Sequence[str]) -> list[int]:
        """Send message bodies. Returns the indexes of refused ones: always none."""
        now = self._clock()
        with self._lock:
            for body in bodies:
                message = ReceivedMessage(uuid.uuid4().hex, "", body, now, 0)
                self._messages[message.message_id] = _Waiting(message, now)
        return []

    def receive(self, limit: int, visibility_timeout: int) -> list[ReceivedMessage]:
        """Up to `limit` visible messages; hides them for `visibility_timeout` seconds."""
        now = self._clock()
        with self._lock:
            ready = [one for one in self._messages.values() if one.visible_at <= now][:limit]
            for one in ready:
                one.visible_at = now + timedelta(seconds=visibility_timeout)
                one.message = replace(
                    one.message,
                    receipt_handle=uuid.uuid4().hex,
                    receive_count=one.message.receive_count + 1,
                )
            return [one.message for one in ready]

    def delete(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        """Delete messages, even if they were received again meanwhile, as SQS does. Returns the ids
        of those that existed."""
        with self._lock:
            return {m.message_id for m in messages if self._messages.pop(m.message_id, None)}

    def change_visibility(
        self, messages: Iterable[ReceivedMessage], seconds: Callable[[], int]
    ) -> set[str]:
        """Hide each message for `seconds()` from now. Returns the ids of those that exist."""
        now = self._clock()
        with self._lock:
            kept = [
                self._messages[m.message_id] for m in messages if m.message_id in self._messages
            ]
            for one in kept:
                one.visible_at = now + timedelta(seconds=seconds())
            return {one.message.message_id for one in kept}
