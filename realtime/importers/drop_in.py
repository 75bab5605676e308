"""Drop-in for core's importers: they do, return and raise what core's do, but as sets.

No file that comes in pieces passes through these; they share the specifications and the executor
with what does, so that core's own tests, run on them, speak for both.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from openstates.data.models import VoteEvent
from openstates.importers import JurisdictionImporter as CoreJurisdictionImporter
from openstates.utils import utcnow

from realtime.importers.bulk import deleting, sql_statements
from realtime.importers.bulk.executor import BATCH_SIZE, SetExecutor
from realtime.importers.bulk.known_cores import require_known_core
from realtime.importers.bulk.lookups import BatchLookups
from realtime.importers.core.hooked import Hooked
from realtime.importers.core.importers import Bills, Events, VoteEvents
from realtime.importers.fingerprints import fingerprint
from realtime.importers.items import Applied, Item
from realtime.importers.linking import link_all_related_bills
from realtime.importers.rules import Rules
from realtime.importers.whole_scrape import TyingActions


class _DropIn(Hooked):
    """Constructed as core's, of the jurisdiction's id, the importers that it asks, `do_postimport`.

    Keeps one cache of people for each chamber. One instance serves one thread. Raises UnknownCore
    on a core whose importers these do not repeat.
    """

    def __init__(self, jurisdiction_id: str, *args: Any, **kwargs: Any) -> None:
        require_known_core()
        shared = (one.in_sets for one in args if isinstance(one, _DropIn))
        lookups = next((one for one in shared if one.jurisdiction_id == jurisdiction_id), None)
        self.in_sets: BatchLookups = lookups or BatchLookups(jurisdiction_id)
        rules = self.rules_of_type()
        super().__init__(jurisdiction_id, *args, lookups=self.in_sets, rules=rules, **kwargs)
        self._executor = SetExecutor(self, self.in_sets, stops=True)

    def rules_of_type(self) -> Rules:
        return Rules()

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
            self._executor.import_items(chunk, allow_duplicates=allow_duplicates)
            for item in chunk:
                if isinstance(item.outcome, Applied):
                    record["records"][item.outcome.what].append(item.outcome.core_id)
                    record[item.outcome.what] += 1
        if self.json_to_db_id and self.do_postimport:
            self.postimport()
        record["end"] = utcnow()
        return {self._type: record}

    def _prepare_imports(
        self, dicts: Iterable[dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        seen: dict[int, str] = {}
        for data in dicts:
            json_id = data.pop("_id")
            if self._type == "vote_event":
                data.pop("bill_identifier", None)
            content = fingerprint(data)
            if content in seen:
                self.duplicates[json_id] = seen[content]
            else:
                seen[content] = json_id
                yield json_id, data

    def import_item(
        self, data: dict[str, Any], allow_duplicates: bool = False
    ) -> tuple[str | None, str]:
        """As core's."""
        item = Item(None, data)
        self._executor.import_items([item], allow_duplicates=allow_duplicates)
        if isinstance(item.outcome, Applied):
            return item.outcome.core_id, item.outcome.what
        return None, "noop"


class JurisdictionImporter(CoreJurisdictionImporter):  # type: ignore[misc]
    """Core's own: a scrape has one jurisdiction, whose sessions core merges one by one."""


class BillImporter(_DropIn, Bills):
    """A drop-in for core's `BillImporter`."""

    def postimport(self) -> None:
        """Resolve the jurisdiction's related bills, as core does, in one statement."""
        link_all_related_bills(self.jurisdiction_id)


class VoteEventImporter(_DropIn, VoteEvents):
    """A drop-in for core's `VoteEventImporter`, but a `dedupe_key` is one of its bill."""

    rules: TyingActions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rules.importer = self

    def rules_of_type(self) -> Rules:
        return TyingActions()

    def postimport(self) -> None:
        """Delete the vote events of the bills seen that were not seen themselves, as core does."""
        self.vote_events_to_delete.difference_update(self.json_to_db_id.values())
        if self.vote_events_to_delete:
            stale = list(self.vote_events_to_delete)
            sql_statements.execute(deleting.delete(VoteEvent, stale))


class EventImporter(_DropIn, Events):
    """A drop-in for core's `EventImporter`."""


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
