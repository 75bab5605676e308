"""Imports objects of one type as sets: decided in memory, written with a statement a table."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_save, pre_save
from openstates.exceptions import UnresolvedIdError
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS

from realtime.backends.postgres.interruptions import chain, raise_if_interrupted
from realtime.domain.changes import Difference
from realtime.importers.bulk import sql_statements
from realtime.importers.bulk.batch import Batch, Record
from realtime.importers.bulk.branches import branches
from realtime.importers.bulk.computed import compute
from realtime.importers.bulk.lookups import BatchLookups
from realtime.importers.bulk.matching import Matching
from realtime.importers.bulk.tables import NeedsCore
from realtime.importers.core.hooked import Hooked
from realtime.importers.items import Applied, Item, Outcome, Refused

# More at once would only cost memory, and time in the garbage collector.
BATCH_SIZE = 300


@dataclass(frozen=True)
class _Part:
    """Objects to import together, or one for core to import alone."""

    items: Sequence[Item]
    alone: bool = False


class SetExecutor:
    """Gives objects their outcomes, in the order given. One instance serves one thread.

    An object that is refused leaves nothing behind and costs no other one. With `stops`, the first
    one's error is raised instead, with the objects before it in, as core's `import_data` does.
    Objects that are found to be the same row are applied one over the other, unless
    `allow_duplicates` says otherwise.

    Raises what speaks of the database and not of an object: a lost connection, a deadlock, a
    cancelled statement. Must run in a transaction, but for `stops`.
    """

    def __init__(self, importer: Hooked, lookups: BatchLookups, *, stops: bool = False) -> None:
        self._importer = importer
        self._spec = importer.spec
        self._rules = importer.rules
        self._lookups = lookups
        self._tree = branches(importer.related_models, importer.preserve_order)
        self._stops = stops
        self._allow_duplicates = True

    def import_items(
        self, items: Sequence[Item], *, carefully: bool = False, allow_duplicates: bool = True
    ) -> bool:
        """Give each item its outcome.

        False when one's reference made a query that aborted the transaction: roll back to a
        savepoint, and try again `carefully`, with fresh items; that costs two statements more for
        each.
        """
        self._allow_duplicates = allow_duplicates
        for at in range(0, len(items), BATCH_SIZE):
            with _uncollected():
                if not self._import(items[at : at + BATCH_SIZE], carefully):
                    return False
        return True

    def _import(self, items: Sequence[Item], carefully: bool) -> bool:
        self._lookups.preload(self._importer, items)
        ready = []
        for item in items:
            try:
                with transaction.atomic() if carefully else nullcontext():
                    self._importer.resolve(item)
                    item.key = self._spec.key(item.data)
                ready.append(item)
            except UnresolvedIdError as exc:
                item.outcome = Refused(exc)
            except Exception as exc:
                if self._stops:
                    if _database_answers():
                        self._write(ready)
                    raise
                raise_if_interrupted(exc)
                if not carefully and any(isinstance(one, DatabaseError) for one in chain(exc)):
                    return False
                item.outcome = Refused(exc)
        self._write(ready)
        return True

    # -- resolved objects -----------------------------------------------------------------------

    def _write(self, items: Sequence[Item]) -> None:
        parts = [_Part(items)]
        if pre_save.has_listeners(self._spec.model):
            # Who listens before a row is saved may change it.
            parts = [_Part([item], alone=True) for item in reversed(items)]
        while parts:
            part = parts.pop()
            if part.alone:
                self._import_alone(part.items[0])
            elif part.items:
                parts += self._import_set(part.items)

    def _import_set(self, items: Sequence[Item]) -> list[_Part]:
        """Import all or none; returns what is left to import, the last part first."""
        batch = Batch(self._spec.model, self._tree, keep_links=self._rules.keep_links)
        try:
            return self._import_batch(batch, items)
        finally:
            # Each refers to its batch: Python would not look for such circles for a while, and the
            # contents of hundreds of large files stay in memory until it does.
            batch.records.clear()

    def _import_batch(self, batch: Batch, items: Sequence[Item]) -> list[_Part]:
        matching = Matching(self._spec, self._rules, batch)
        try:
            with transaction.atomic():
                matching.load(items)
                batch.load_related({r.id for item in items for r in matching.candidates(item)})
                self._rules.loaded(items, batch.records)
                outcomes = self._decide(batch, matching, items)
                if len(outcomes) < len(items):
                    return _around(items, len(outcomes))
                batch.write()
                refused = self._signal(outcomes)
                if refused is not None:
                    # Those before it are written anew, and heard of again.
                    transaction.set_rollback(True)
        except (DatabaseError, RecursionError, TypeError, ValueError) as exc:
            raise_if_interrupted(exc)
            half = len(items) // 2
            return [_Part(items[half:], alone=half == 0), _Part(items[:half])]
        if refused is not None:
            return _around(items, refused)
        for item, outcome in zip(items, outcomes, strict=True):
            self._give(item, outcome)
        self._rules.wrote()
        return []

    def _decide(self, batch: Batch, matching: Matching, items: Sequence[Item]) -> list[Outcome]:
        """Apply objects to the batch in memory; stops before one that core must import alone."""
        imported = set(self._importer.json_to_db_id.values())
        outcomes: list[Outcome] = []
        for item in items:
            try:
                self._rules.deciding(item)
                record = matching.row(item)
                if record is None:
                    self._rules.not_found(item)
                elif not record.new:  # else a row of this batch, which is in scrape order
                    self._rules.found(item, record)
            except NeedsCore:
                return outcomes
            except Exception as exc:
                raise_if_interrupted(exc)
                if self._stops:
                    return outcomes
                outcomes.append(Refused(exc))
                continue
            try:
                outcome, changed = self._apply(batch, record, item, imported)
                if outcome.what != "noop":
                    compute(self._spec.object_type, batch, changed)
                    matching.changed(changed)
                    self._rules.entered(changed.id, changed.values)
                self._rules.applied(item, outcome.core_id, new=outcome.what == "insert")
            except Exception:
                # Half applied: it is left out of another attempt, and core says what is wrong.
                return outcomes
            if item.json_id is not None:
                imported.add(outcome.core_id)
            outcomes.append(outcome)
        return outcomes

    def _apply(
        self, batch: Batch, record: Record | None, item: Item, imported: set[str]
    ) -> tuple[Applied, Record]:
        related = {name: item.data[name] for name in self._importer.related_models}
        data = {name: value for name, value in item.data.items() if name not in related}
        if record is None:
            record = batch.insert(data, related)
            counts = {name: len(items) for name, items in related.items()}
            return Applied(record.id, "insert", Difference.of(set(), {}, counts)), record
        if record.id in imported:
            if not self._allow_duplicates:
                raise NeedsCore
            self._importer.warning(f"Ignored a DuplicateItemError for {record.id}")
        difference = batch.update(record, data, related)
        what = "update" if difference.fields else "noop"
        return Applied(record.id, what, difference), record

    def _signal(self, outcomes: Sequence[Outcome]) -> int | None:
        """Send the `post_save` that core sends for each object; returns the place of the first
        that a listener refuses."""
        model = self._spec.model
        if not post_save.has_listeners(model):
            return None
        changed = {
            place: outcome
            for place, outcome in enumerate(outcomes)
            if isinstance(outcome, Applied) and outcome.what != "noop"
        }
        rows = model._default_manager.in_bulk([one.core_id for one in changed.values()])
        for place, outcome in changed.items():
            try:
                post_save.send(
                    sender=model, instance=rows[outcome.core_id], created=outcome.what == "insert"
                )
            except Exception as exc:
                raise_if_interrupted(exc)
                return place
        return None

    def _import_alone(self, item: Item) -> None:
        try:
            with nullcontext() if self._stops else transaction.atomic():
                self._rules.loaded([item], None)
                outcome = self._importer.import_alone(item, self._allow_duplicates)
                if not self._stops:
                    sql_statements.check_foreign_keys()
        except Exception as exc:
            if self._stops:
                raise
            raise_if_interrupted(exc)
            item.outcome = Refused(exc)
            return
        self._give(item, outcome)
        self._rules.wrote()

    def _give(self, item: Item, outcome: Outcome) -> None:
        item.outcome = outcome
        if item.json_id is not None and isinstance(outcome, Applied):
            self._importer.json_to_db_id[item.json_id] = outcome.core_id


def _around(items: Sequence[Item], place: int) -> list[_Part]:
    """What is left when the object at `place` must be imported alone, the last part first."""
    return [
        _Part(items[place + 1 :]),
        _Part(items[place : place + 1], alone=True),
        _Part(items[:place]),
    ]


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


def _database_answers() -> bool:
    """Whether the transaction, if there is one, has not been aborted by the last statement."""
    raw = connection.connection
    return raw is None or (
        not connection.needs_rollback
        and raw.get_transaction_status() in (TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS)
    )
