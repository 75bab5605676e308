"""What the set-based importers share: a batch is prepared, decided in memory, written as a set."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models.signals import post_save
from openstates.exceptions import UnresolvedIdError
from openstates.utils import utcnow

from realtime.importers import writing
from realtime.importers.batch import Batch, Record
from realtime.importers.compatibility import require_known_core
from realtime.importers.explain import interrupted
from realtime.importers.fingerprints import fingerprint
from realtime.importers.items import Done, Item
from realtime.importers.lookups import Lookups
from realtime.importers.tables import NeedsCore
from realtime.importers.trees import Branch, branches

# More at once would only cost memory, and time in the garbage collector.
BATCH_SIZE = 300
# What core takes off an object before it imports it.
_NOT_IMPORTED = ("_id", "jurisdiction", "scraped_at")


class _Alone(Exception):
    """The object at this place needs core's own code."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class _NotWritten(Exception):
    """The database refused the batch, so one of its objects at least."""


class BulkImporter(Lookups):
    """A drop-in for core's importers. Mix in before the importer of a type.

    `import_data`, `import_item` and `import_directory` do, return and raise what core's do, but
    keep one cache of people a chamber. `import_batch` is for callers that want an outcome for
    each object. One instance serves one thread.
    """

    # Core unlinks what points to an action that it replaces by an equal one; with this, such
    # links stay.
    keep_links = False
    not_imported: ClassVar[tuple[str, ...]] = _NOT_IMPORTED
    _trees: ClassVar[dict[type, tuple[Branch, ...]]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        require_known_core()
        super().__init__(*args, **kwargs)
        self._current: Item | None = None

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
        stream = self._prepare_imports(data_items)
        while chunk := [Item(*pair) for pair in islice(stream, BATCH_SIZE)]:
            self._import(chunk, allow_duplicates, isolate=False)
            for item in chunk:
                if isinstance(item.outcome, tuple):
                    row_id, what = item.outcome
                    record["records"][what].append(row_id)
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

    def import_batch(self, items: Sequence[Item]) -> list[Done | Exception]:
        """Import in the order given; the outcome of each is (row, core's word) or what it raised.

        An object that raises leaves nothing behind and costs no other one. What is found to be
        the same row is applied one over the other. Raises what speaks of the database and not of
        an object: a lost connection, a deadlock, a cancelled statement. Must run in a transaction.
        """
        for at in range(0, len(items), BATCH_SIZE):
            self._import(items[at : at + BATCH_SIZE], allow_duplicates=True, isolate=True)
        outcomes = [item.outcome for item in items]
        assert all(outcomes)
        return outcomes  # type: ignore[return-value]

    # -- what a subclass may override, for one object each --------------------------------------

    def prepared(self, item: Item) -> None:
        """Called when what `item` names has been resolved in its `data`; may change or raise."""

    def found(self, row_id: str, item: Item) -> None:
        """Called when `item` is known to be this existing row, before anything is compared."""

    # -- what each type has to say ----------------------------------------------------------------

    def key(self, data: dict[str, Any]) -> tuple[Any, ...]:
        """By what core's `get_object` would find the row of a prepared object."""
        raise NotImplementedError

    def keys(self, batch: Batch, record: Record) -> list[Any]:
        """All by which a row could be found."""
        raise NotImplementedError

    def load(self, batch: Batch, items: Sequence[Item]) -> None:
        """Read the rows that these prepared objects may be."""
        raise NotImplementedError

    def compute(self, batch: Batch, record: Record) -> None:
        """Set the computed fields of a row that is new or changed."""

    def wrote(self, batch: Batch, items: Sequence[Item]) -> None:
        """Called when a batch is in the database."""

    # -- preparing ------------------------------------------------------------------------------

    @classmethod
    def tree(cls) -> tuple[Branch, ...]:
        if cls not in cls._trees:
            cls._trees[cls] = branches(cls.related_models, cls.preserve_order)
        return cls._trees[cls]

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

    # -- importing ------------------------------------------------------------------------------

    def _import(self, items: Sequence[Item], allow_duplicates: bool, *, isolate: bool) -> None:
        """Give each item its outcome; with `isolate`, exceptions too, which are raised else."""
        self.preload(items)
        ready = []
        for item in items:
            try:
                self._prepare(item)
                ready.append(item)
            except UnresolvedIdError as exc:
                item.outcome = exc
            except Exception as exc:
                if not isolate:
                    self._settle(ready, allow_duplicates, isolate)
                    raise
                raise_if_interrupted(exc)
                item.outcome = exc
        self._settle(ready, allow_duplicates, isolate)

    def _prepare(self, item: Item) -> None:
        item.dropped = {name: item.data.pop(name, None) for name in self.not_imported}
        item.data = self.prepare_for_db(self.apply_transformers(item.data))
        self.prepared(item)
        key = self.key(item.data)
        plain = all(part is None or isinstance(part, str | UUID) for part in key)
        item.key = key if plain else None

    def _load(self, batch: Batch, items: Sequence[Item]) -> None:
        self.load(batch, items)
        for record in batch.records.values():
            batch.index(record, self.keys(batch, record))
        batch.load_related({r.id for item in items for r in batch.known(item.key)})

    def find(self, batch: Batch, item: Item) -> Record | None:
        """The row that core's `get_object` would find, as the batch has left it so far."""
        if item.key is None:
            raise NeedsCore
        return batch.only(item.key)

    def entered(self, batch: Batch, record: Record) -> None:
        """A row was added or changed: from here on it is found by what it is now."""
        batch.index(record, self.keys(batch, record))

    def _settle(self, items: Sequence[Item], allow_duplicates: bool, isolate: bool) -> None:
        waiting = [(items, False)]
        while waiting:
            some, alone = waiting.pop()
            try:
                if alone:
                    self._import_alone(some[0], allow_duplicates, isolate)
                elif some:
                    self._import_set(some, allow_duplicates, isolate)
            except _Alone as exc:
                at = exc.place
                waiting += [(some[at + 1 :], False), (some[at : at + 1], True), (some[:at], False)]
            except _NotWritten:
                half = len(some) // 2
                waiting.append((some[half:], half == 0))
                waiting.append((some[:half], False))

    def _import_set(self, items: Sequence[Item], allow_duplicates: bool, isolate: bool) -> None:
        batch = Batch(self.model_class, self.tree(), keep_links=self.keep_links)
        with transaction.atomic():
            try:
                self._load(batch, items)
            except (DatabaseError, ValueError) as exc:
                raise_if_interrupted(exc)
                raise _NotWritten from exc
            outcomes = self._decide(batch, items, allow_duplicates, isolate)
            try:
                batch.write(check=isolate)
            except (DatabaseError, ValueError, TypeError) as exc:
                raise_if_interrupted(exc)
                raise _NotWritten from exc
            self._signal(outcomes)
        for item, outcome in zip(items, outcomes, strict=True):
            item.outcome = outcome
            if item.json_id is not None and isinstance(outcome, tuple):
                self.json_to_db_id[item.json_id] = outcome[0]
        self.wrote(batch, items)

    def _decide(
        self, batch: Batch, items: Sequence[Item], allow_duplicates: bool, isolate: bool
    ) -> list[Done | Exception]:
        imported = set(self.json_to_db_id.values())
        outcomes: list[Done | Exception] = []
        for place, item in enumerate(items):
            try:
                record = self.find(batch, item)
                if record:
                    self.found(record.id, item)
            except Exception as exc:
                if not isolate or isinstance(exc, NeedsCore):
                    raise _Alone(place) from exc
                outcomes.append(exc)
                continue
            try:
                outcome = self._apply(batch, record, item, allow_duplicates, imported)
            except Exception as exc:
                # Half applied: it is left out of another attempt, and core says what is wrong.
                raise _Alone(place) from exc
            if item.json_id is not None:
                imported.add(outcome[0])
            outcomes.append(outcome)
        return outcomes

    def _apply(
        self,
        batch: Batch,
        record: Record | None,
        item: Item,
        allow_duplicates: bool,
        imported: set[str],
    ) -> Done:
        related = {name: item.data[name] for name in self.related_models}
        data = {name: value for name, value in item.data.items() if name not in related}
        if record is None:
            record = batch.insert(data, related)
            self.compute(batch, record)
            self.entered(batch, record)
            return record.id, "insert"
        if record.id in imported:
            if not allow_duplicates:
                raise NeedsCore
            self.warning(f"Ignored a DuplicateItemError for {record.id}")
        if not batch.update(record, data, related):
            return record.id, "noop"
        self.compute(batch, record)
        self.entered(batch, record)
        return record.id, "update"

    def _import_alone(self, item: Item, allow_duplicates: bool, isolate: bool) -> None:
        self._current = item
        try:
            if isolate:
                with transaction.atomic():
                    row_id, what = super().import_item(item.data, allow_duplicates)
                    writing.check_foreign_keys()
            else:
                row_id, what = super().import_item(item.data, allow_duplicates)
        except Exception as exc:
            if not isolate:
                raise
            raise_if_interrupted(exc)
            item.outcome = exc
            return
        finally:
            self._current = None
        item.outcome = row_id, what
        if item.json_id is not None:
            self.json_to_db_id[item.json_id] = row_id

    def get_object(self, data: dict[str, Any]) -> Any:
        return self.refused(super().get_object(data))

    def refused(self, row: Any) -> Any:
        """`row`, unless `found` raises: for what core is asked to import alone."""
        if self._current is not None:
            self.found(row.id, self._current)
        return row

    def _signal(self, outcomes: Sequence[Done | Exception]) -> None:
        if not post_save.has_listeners(self.model_class):
            return
        changed = [o for o in outcomes if isinstance(o, tuple) and o[1] != "noop"]
        rows = self.model_class.objects.in_bulk([row_id for row_id, _ in changed])
        for row_id, what in changed:
            post_save.send(sender=self.model_class, instance=rows[row_id], created=what == "insert")


def raise_if_interrupted(exc: Exception) -> None:
    if interrupted(exc):
        raise exc
