"""What the set-based importers share: the ways in, and how objects are prepared."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from openstates.exceptions import UnresolvedIdError
from openstates.utils import utcnow
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS

from realtime.backends.postgres.interruptions import chain, raise_if_interrupted
from realtime.importers.bulk.compatibility import require_known_core
from realtime.importers.bulk.fingerprints import fingerprint
from realtime.importers.bulk.flushing import Flushing
from realtime.importers.bulk.items import Done, Item

# More at once would only cost memory, and time in the garbage collector.
BATCH_SIZE = 300
# What core takes off an object before it imports it.
_NOT_IMPORTED = ("_id", "jurisdiction", "scraped_at")


class Spoiled(Exception):
    """A query that an object asked for has spoiled the transaction for those beside it."""


class BulkImporter(Flushing):
    """A drop-in for core's importers. Mix in before the importer of a type.

    `import_data`, `import_item` and `import_directory` do, return and raise what core's do, but
    keep one cache of people a chamber. `import_batch` is for callers that want an outcome for
    each object. One instance serves one thread.
    """

    not_imported: ClassVar[tuple[str, ...]] = _NOT_IMPORTED

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        require_known_core()
        super().__init__(*args, **kwargs)
        self._carefully = False

    # -- what callers use ---------------------------------------------------------------------

    def import_data(
        self, data_items: Iterable[dict[str, Any]], allow_duplicates: bool = False
    ) -> dict[str, dict[str, Any]]:
        """As core's. When it raises, the objects before the bad one are in."""
        record: dict[str, Any] = {
            **dict.fromkeys(("insert", "update", "noop"), 0),
            "start": utcnow(),
            "records": {"insert": [], "update": [], "noop": []},
        }
        for chunk in _chunks(self._prepare_imports(data_items)):
            self._import(chunk, allow_duplicates, isolate=False)
            for item in chunk:
                if isinstance(item.outcome, tuple):
                    core_id, what = item.outcome
                    record["records"][what].append(core_id)
                    record[what] += 1
        if self.json_to_db_id and self.do_postimport:
            self.postimport()
        record["end"] = utcnow()
        return {self._type: record}

    def import_item(
        self, data: dict[str, Any], allow_duplicates: bool = False
    ) -> tuple[str | None, str]:
        """As core's."""
        item = Item(None, data)
        self._import([item], allow_duplicates, isolate=False)
        return item.outcome if isinstance(item.outcome, tuple) else (None, "noop")

    def import_batch(
        self, items: Sequence[Item], *, carefully: bool = False
    ) -> list[Done | Exception]:
        """Import in the order given; the outcome of each is (row, core's word) or what it raised.

        An object that raises leaves nothing behind and costs no other one. What is found to be
        the same row is applied one over the other. Raises what speaks of the database and not of
        an object: a lost connection, a deadlock, a cancelled statement. Must run in a transaction.

        Raises Spoiled when what an object names makes a query that the database refuses: roll back
        to a savepoint, and try again `carefully`, with fresh items. That costs two statements more
        for each.
        """
        self._carefully = carefully
        for at in range(0, len(items), BATCH_SIZE):
            self._import(items[at : at + BATCH_SIZE], allow_duplicates=True, isolate=True)
        outcomes = [item.outcome for item in items]
        assert all(outcomes)
        return outcomes  # type: ignore[return-value]

    # -- what a subclass may override, for one object each --------------------------------------

    def prepared(self, item: Item) -> None:
        """Called when what `item` names has been resolved in its `data`; may change or raise."""

    # -- preparing ------------------------------------------------------------------------------

    def _prepare_imports(
        self, dicts: Iterable[dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        seen: dict[int, str] = {}
        for data in dicts:
            json_id = data.pop("_id")
            for name in self.not_imported[len(_NOT_IMPORTED) :]:
                data.pop(name, None)
            content = fingerprint(data)
            if content in seen:
                self.duplicates[json_id] = seen[content]
            else:
                seen[content] = json_id
                yield json_id, data

    def apply_transformers(self, data: Any, transformers: Any = None) -> Any:
        if self._current is not None:
            return data
        return super().apply_transformers(data, transformers)

    def prepare_for_db(self, data: dict[str, Any]) -> dict[str, Any]:
        # What core is asked to import alone has been prepared.
        return data if self._current is not None else self.resolve(data)

    def resolve(self, data: dict[str, Any]) -> dict[str, Any]:
        """Core's own `prepare_for_db`, by default."""
        resolved: dict[str, Any] = super().prepare_for_db(data)
        return resolved

    def _import(self, items: Sequence[Item], allow_duplicates: bool, *, isolate: bool) -> None:
        """Give each item its outcome; with `isolate`, exceptions too, which are raised else."""
        with _uncollected():
            self._import_all(items, allow_duplicates, isolate=isolate)

    def _import_all(self, items: Sequence[Item], allow_duplicates: bool, *, isolate: bool) -> None:
        self.preload(items)
        ready = []
        for item in items:
            try:
                with transaction.atomic() if self._carefully else nullcontext():
                    self._prepare(item)
                ready.append(item)
            except UnresolvedIdError as exc:
                item.outcome = exc
            except Exception as exc:
                if not isolate:
                    if _database_answers():
                        self._flush(ready, allow_duplicates, isolate)
                    raise
                raise_if_interrupted(exc)
                if not self._carefully and any(isinstance(e, DatabaseError) for e in chain(exc)):
                    raise Spoiled from exc
                item.outcome = exc
        self._flush(ready, allow_duplicates, isolate)

    def _prepare(self, item: Item) -> None:
        item.dropped = {name: item.data.pop(name, None) for name in self.not_imported}
        item.data = self.prepare_for_db(self.apply_transformers(item.data))
        self.prepared(item)
        key = self.key(item.data)
        plain = all(part is None or isinstance(part, str | UUID) for part in key)
        item.key = key if plain else None


@contextmanager
def _uncollected() -> Iterator[None]:
    """A batch makes many objects and hardly any garbage: to look for that over and over among
    them takes up to a sixth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _chunks(pairs: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[list[Item]]:
    """All as items, so many at once; when reading them raises, first those before."""
    chunk: list[Item] = []
    try:
        for pair in pairs:
            chunk.append(Item(*pair))
            if len(chunk) == BATCH_SIZE:
                yield chunk
                chunk = []
    except Exception:
        yield chunk
        raise
    yield chunk


def _database_answers() -> bool:
    """Whether the transaction, if there is one, has not been spoiled by what was asked last."""
    raw = connection.connection
    return raw is None or (
        not connection.needs_rollback
        and raw.get_transaction_status() in (TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS)
    )
