"""Objects below a prefix of a store, or some of them."""

import tempfile
from collections.abc import Iterator, Sequence
from os.path import commonprefix
from typing import BinaryIO

from realtime.domain.errors import PoisonMessage
from realtime.domain.interfaces import Gone, Listed, Store
from realtime.sources.file_names import describe, require_inside, told
from realtime.sources.source import Body, Broken, Skipped
from realtime.sources.tree import TreeFile

# Bytes of JSON lines or of an archive that are held in memory while they are fetched.
MOST_FETCHED = 100 * 10**6


class StoreTree:
    """The objects below `prefix` (empty, or ending in a slash), or only those with these `names`,
    keys without the prefix."""

    parallel = True

    def __init__(
        self, store: Store, prefix: str, names: Sequence[str | Broken] | None = None
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._names = names

    def files(self) -> Iterator[TreeFile | Broken | Skipped]:
        if self._names is None:
            for listed in self._store.list(self._prefix):
                yield from self._listed(listed)
            return
        wanted: dict[str, None] = {}
        for name in self._names:
            if isinstance(name, Broken):
                yield name
            elif (problem := _outside(name)) is not None:
                yield Broken(told(name), problem)
            else:
                wanted[name] = None
        if not wanted:
            return
        # One listing tells of a thousand what a request for each would.
        common = commonprefix(list(wanted))  # noqa: RUF071 (of texts, not of paths)
        for listed in self._store.list(self._prefix + common):
            name = listed.key.removeprefix(self._prefix)
            if name in wanted:
                del wanted[name]
                yield from self._listed(listed)
        for name in wanted:
            yield Broken(name, PoisonMessage("gone", "there is no such object"))

    def _listed(self, listed: Listed) -> Iterator[TreeFile | Broken | Skipped]:
        name = listed.key.removeprefix(self._prefix)
        # Listings and objects give the time in different precision.
        version = f"{listed.etag}@{int(listed.last_modified.timestamp())}"
        if (problem := _outside(name)) is None:
            yield TreeFile(name, version, listed.size, listed.last_modified)
        elif describe(name):
            yield Broken(told(name), problem)
        else:
            yield Skipped(told(name))

    def read(self, name: str, max_bytes: int) -> Body:
        try:
            stored = self._store.get(self._prefix + name, max_bytes)
        except Gone as exc:
            raise PoisonMessage("gone", str(exc)) from exc
        found = stored.object
        if stored.body is None:
            raise PoisonMessage(
                "too-large",
                f"{found.size} bytes are more than REALTIME_MAX_FILE_BYTES ({max_bytes})",
            )
        assert found.last_modified is not None, "every store says when an object was written"
        return Body.stored(stored.body, found.last_modified, found.metadata)

    def open(self, file: TreeFile) -> BinaryIO:
        try:
            stored = self._store.get(self._prefix + file.name, MOST_FETCHED)
        except Gone as exc:
            raise PoisonMessage("gone", str(exc)) from exc
        if stored.body is None:
            raise PoisonMessage(
                "too-large",
                f"of {file.size} bytes no more than {MOST_FETCHED} are fetched from a store: copy"
                " it to a disk and name it there",
            )
        opened: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
        opened.write(stored.body)
        opened.seek(0)
        return opened


def _outside(name: str) -> PoisonMessage | None:
    try:
        require_inside(name)
    except PoisonMessage as problem:
        return problem
    return None
