"""How prepared objects become rows: decided in memory and written as a set, or each alone."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import DatabaseError, transaction
from django.db.models.signals import post_save, pre_save

from realtime.backends.postgres.interruptions import raise_if_interrupted
from realtime.importers.bulk import writing
from realtime.importers.bulk.batch import Batch, Record
from realtime.importers.bulk.items import Done, Item
from realtime.importers.bulk.lookups import Lookups
from realtime.importers.bulk.related_rows import Branch, branches
from realtime.importers.bulk.tables import Hidden, NeedsCore


class _Alone(Exception):
    """The object at this place needs core's own code."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class _Apart(Exception):
    """The objects before this place must be written before it is looked at."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class _NotWritten(Exception):
    """The database refused the batch, so one of its objects at least."""


class Flushing(Lookups):
    """Gives prepared items their outcomes. Mix in before the importer of a type."""

    # Core unlinks what points to an action that it replaces by an equal one; with this, such
    # links stay.
    keep_links = False
    _trees: ClassVar[dict[type, tuple[Branch, ...]]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._current: Item | None = None

    # -- what a subclass may override, for one object each --------------------------------------

    def found(self, core_id: str, item: Item) -> None:
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

    def one_by_one(self) -> bool:
        """Whether core must import every object alone."""
        # Who listens before a row is saved may change it.
        return bool(pre_save.has_listeners(self.model_class))

    def compute(self, batch: Batch, record: Record) -> None:
        """Set the computed fields of a row that is new or changed."""

    def wrote(self, batch: Batch, items: Sequence[Item]) -> None:
        """Called when a batch is in the database."""

    @classmethod
    def tree(cls) -> tuple[Branch, ...]:
        if cls not in cls._trees:
            cls._trees[cls] = branches(cls.related_models, cls.preserve_order)
        return cls._trees[cls]

    # -- settling -------------------------------------------------------------------------------

    def _load(self, batch: Batch, items: Sequence[Item]) -> None:
        self.load(batch, items)
        for record in batch.records.values():
            batch.index(record, self.keys(batch, record))
        batch.load_related({r.id for item in items for r in self.candidates(batch, item)})

    def candidates(self, batch: Batch, item: Item) -> list[Record]:
        """The rows that were read and that the object may turn out to be."""
        return batch.known(item.key)

    def find(self, batch: Batch, item: Item) -> Record | None:
        """The row that core's `get_object` would find, as the batch has left it so far."""
        if item.key is None:
            raise NeedsCore
        return batch.only(item.key)

    def entered(self, batch: Batch, record: Record) -> None:
        """A row was added or changed: from here on it is found by what it is now."""
        batch.index(record, self.keys(batch, record))

    def _flush(self, items: Sequence[Item], allow_duplicates: bool, isolate: bool) -> None:
        waiting = [(items, False)]
        if self.one_by_one():
            waiting = [([item], True) for item in reversed(items)]
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
            except _Apart as exc:
                waiting += [(some[exc.place :], False), (some[: exc.place], False)]
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
                batch.write()
            except (DatabaseError, RecursionError, TypeError, ValueError) as exc:
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
                raise_if_interrupted(exc)
                if not isolate or isinstance(exc, NeedsCore):
                    raise _Alone(place) from exc
                outcomes.append(exc)
                continue
            try:
                outcome = self._apply(batch, record, item, allow_duplicates, imported)
            except Hidden as exc:
                raise _Apart(place) from exc
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
                    core_id, what = super().import_item(item.data, allow_duplicates)
                    writing.check_foreign_keys()
            else:
                core_id, what = super().import_item(item.data, allow_duplicates)
        except Exception as exc:
            if not isolate:
                raise
            raise_if_interrupted(exc)
            item.outcome = exc
            return
        finally:
            self._current = None
        item.outcome = core_id, what
        if item.json_id is not None:
            self.json_to_db_id[item.json_id] = core_id

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
        changed = {
            place: outcome
            for place, outcome in enumerate(outcomes)
            if isinstance(outcome, tuple) and outcome[1] != "noop"
        }
        rows = self.model_class.objects.in_bulk([core_id for core_id, _ in changed.values()])
        for place, (core_id, what) in changed.items():
            row = rows[core_id]
            try:
                post_save.send(sender=self.model_class, instance=row, created=what == "insert")
            except Exception as exc:
                raise_if_interrupted(exc)
                # Those before it are written anew, and heard of again.
                raise _Alone(place) from exc
