"""A source's members as if they were in a bucket, for a finalization that reads some again."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from realtime.domain.errors import PoisonMessage
from realtime.domain.interfaces import Gone, Listed, ObjectVersion, Store, StoredFile
from realtime.sources.source import Member, Source, Volume


def key_of(source: Source, name: str) -> str:
    """The ledger's key of a member; its bucket is empty, since no bucket of ours has it."""
    return f"{source.url}/{name}"


class SourceStore:
    """A Store that can be read only: a source stays as it is. Thread-safe.

    One volume at a time is open, with an index of its members. What is not of the source is read
    from the store that `others` gives, if there is one: older runs, which are closed before one
    that is a source.
    """

    bucket = ""

    def __init__(self, source: Source, others: Callable[[], Store] | None = None) -> None:
        self._source = source
        self._others = others
        self._lock = threading.Lock()
        self._volumes: list[Volume] = []
        self._volume: Volume | None = None
        self._members: dict[str, Member] = {}

    def close(self) -> None:
        """Let go of files and memory."""
        if self._volume:
            self._volume.close()
        self._volume, self._volumes, self._members = None, [], {}

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        if not key.startswith(key_of(self._source, "")) and self._others:
            return self._others().get(key, max_bytes, version_id)
        name = key.removeprefix(key_of(self._source, ""))
        with self._lock:
            volume, member = self._find(name)
            if not volume.parallel:
                return _read(volume, member, key, max_bytes, version_id)
        return _read(volume, member, key, max_bytes, version_id)

    def _find(self, name: str) -> tuple[Volume, Member]:
        if self._volume and name in self._members:
            return self._volume, self._members[name]
        self._volumes = self._volumes or list(self._source.volumes())
        for volume in self._volumes:
            if volume is self._volume or not name.startswith(volume.name and f"{volume.name}#"):
                continue
            if self._volume:
                self._volume.close()
            self._volume = volume
            self._members = {e.name: e for e in volume.entries() if isinstance(e, Member)}
            if name in self._members:
                return volume, self._members[name]
        raise Gone(f"{self._source.url} has no {name} any more")

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        raise Gone(key)

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        raise Gone(key)

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        raise Gone(key)

    def delete(self, version: ObjectVersion) -> bool:
        raise Gone(version.key)

    def delete_all(self, versions: Iterable[ObjectVersion]) -> set[ObjectVersion]:
        raise Gone(", ".join(version.key for version in versions))

    def list(self, prefix: str) -> Iterator[Listed]:
        raise Gone(prefix)

    def folders(self, prefix: str) -> Sequence[str]:
        raise Gone(prefix)


def _read(volume: Volume, member: Member, key: str, max_bytes: int, version_id: str) -> StoredFile:
    try:
        body = volume.read(member, max_bytes)
    except PoisonMessage as exc:
        raise Gone(f"{key}: {exc}") from exc
    # What a run has read may have been replaced since; its identity says which run it was.
    is_same = version_id.partition(" ")[0] == member.version
    found = ObjectVersion(key, "", version_id if is_same else member.version, None, 0, {})
    return StoredFile(found, body.content)
