"""Events, imported as a set."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models.signals import post_save, pre_save
from openstates import settings
from openstates.data.models import Bill, EventLocation
from openstates.importers import EventImporter as CoreEventImporter

from realtime.backends.postgres.interruptions import raise_if_interrupted
from realtime.domain.text import is_storable
from realtime.importers.bulk import writing
from realtime.importers.bulk.batch import Batch, Record
from realtime.importers.bulk.described import Described
from realtime.importers.bulk.importer import BulkImporter
from realtime.importers.bulk.items import Item
from realtime.importers.bulk.tables import table
from realtime.importers.pseudo_ids import spec_of

Place = tuple[str, str]


class EventImporter(BulkImporter, CoreEventImporter):  # type: ignore[misc]
    """A drop-in for core's `EventImporter`."""

    preserve_order = CoreEventImporter.preserve_order

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places: dict[Place, list[EventLocation]] = {}
        self._bills: dict[Any, list[str]] = {}

    # -- what events refer to ---------------------------------------------------------------------

    def people_named(self, data: dict[str, Any]) -> Iterator[Any]:
        for participant in data["participants"]:
            yield participant.get("person_id")
            yield participant.get("legislator_id")
        for entity in _entities(data):
            yield entity.get("person_id")

    def preload(self, items: Sequence[Item]) -> None:
        super().preload(items)
        places, votes, bills = set(), set(), set[Any]()
        for item in items:
            try:
                places.add(_place(item.data["location"]))
                for entity in _entities(item.data):
                    votes.add(entity.get("vote_event_id"))
                    bills.add((entity.get("bill_id"), item.data["start_date"]))
            except (AttributeError, KeyError, TypeError):
                continue  # preparing it will say what is wrong
        self._preload_places({place for place in places if all(map(is_storable, place))})
        if isinstance(self.vote_event_importer, Described):
            self.vote_event_importer.preload_described(votes)
        self._preload_bills({pair for pair in bills if all(map(is_storable, pair))})

    def _preload_places(self, places: set[Place]) -> None:
        self._places = {}
        if not places:
            return
        for row in EventLocation.objects.filter(
            jurisdiction_id=self.jurisdiction_id, name__in={name for name, _ in places}
        ):
            self._places.setdefault((row.name, row.url), []).append(row)
        self._add_places(places - self._places.keys())

    def _add_places(self, places: set[Place]) -> None:
        """Create locations at once; what the database would refuse is left to `get_location`."""
        locations = table(EventLocation)
        widths = [locations.column[name].field.max_length for name in ("name", "url")]
        fitting = [p for p in sorted(places) if all(map(_fits, p, widths))]
        if not fitting or any(s.has_listeners(EventLocation) for s in (pre_save, post_save)):
            return
        rows = [
            EventLocation(name=name, url=url, jurisdiction_id=self.jurisdiction_id)
            for name, url in fitting
        ]
        try:
            with transaction.atomic():
                names = [column.name for column in locations.columns]
                writing.copy(locations, [tuple(getattr(r, n) for n in names) for r in rows])
        except DatabaseError as exc:
            raise_if_interrupted(exc)
            return
        self._places.update(zip(fitting, ([row] for row in rows), strict=True))

    def get_location(self, location_data: dict[str, Any]) -> Any:
        place = _place(location_data)
        if not all(map(is_storable, place)):
            return super().get_location(location_data)
        known = self._places.get(place)
        if not known or len(known) > 1:
            known = self._places[place] = [super().get_location(location_data)]
        return known[0]

    def _preload_bills(self, named: set[tuple[str, str]]) -> None:
        wanted = set(filter(None, (self._bill_meant(*pair) for pair in named)))
        self._bills = {pair: [] for pair in wanted}
        if not wanted:
            return
        for core_id, *pair in Bill.objects.filter(
            legislative_session__in={session for session, _ in wanted},
            identifier__in={identifier for _, identifier in wanted},
        ).values_list("id", "legislative_session_id", "identifier"):
            self._bills.setdefault(tuple(pair), []).append(core_id)

    def _bill_meant(self, pseudo_id: str, date: str) -> tuple[Any, str] | None:
        spec = spec_of(pseudo_id)
        try:
            identifier = spec["identifier"] if spec else ""
            return self._session_on(date), self._bill_identifier(identifier)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def _bill_identifier(self, identifier: str) -> str:
        transform = settings.IMPORT_TRANSFORMERS.get("bill", {}).get("identifier")
        return str(transform(identifier)) if transform else identifier

    def _session_on(self, date: str) -> Any:
        """The only session that was on, else the newest; None without any."""
        day = datetime.fromisoformat(date).strftime("%Y-%m-%d")
        sessions = list(self.get_all_sessions())
        on = [
            one.id
            for one in sessions
            if one.start_date <= day and (not one.end_date or day <= one.end_date)
        ]
        return on[0] if len(on) == 1 else sessions[0].id if sessions else None

    def resolve_bill(self, bill_id: str, *, date: str) -> str | None:
        if is_storable(bill_id) and is_storable(date):
            found = self._bills.get((self._session_on(date), self._bill_identifier(bill_id)))
            if found is not None:
                if len(set(found)) == 1:
                    return found[0]
                self.error(f"could not resolve bill id {bill_id}, {date}, {len(found)} matches")
                return None
        row: str | None = super().resolve_bill(bill_id, date=date)
        return row

    # -- rows -------------------------------------------------------------------------------------

    def key(self, data: dict[str, Any]) -> tuple[Any, ...]:
        if data.get("dedupe_key"):
            return "dedupe_key", data["dedupe_key"]
        return (
            "name",
            data["name"],
            data["description"],
            data["start_date"],
            data["end_date"],
        )

    def keys(self, batch: Batch, record: Record) -> list[Any]:
        keys = [self.key({**record.values, "dedupe_key": None})]
        if record.values["dedupe_key"]:
            keys.append(self.key(record.values))
        return keys

    def load(self, batch: Batch, items: Sequence[Item]) -> None:
        keys = [item.key for item in items if item.key]
        if dedupe_keys := [k[1] for k in keys if k[0] == "dedupe_key" and is_storable(k[1])]:
            batch.read(
                "t.jurisdiction_id = %s AND t.dedupe_key = ANY(%s)",
                [self.jurisdiction_id, dedupe_keys],
            )
        if named := [k for k in keys if k[0] == "name" and all(map(is_storable, k))]:
            batch.read(
                "t.jurisdiction_id = %s AND t.start_date = ANY(%s) AND t.name = ANY(%s)",
                [self.jurisdiction_id, [k[3] for k in named], [k[1] for k in named]],
            )


def _entities(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for agenda_item in data["agenda"]:
        yield from agenda_item["related_entities"]


def _place(location: dict[str, Any]) -> Place:
    return location["name"], location.get("url", "")


def _fits(value: str, width: int) -> bool:
    return len(value) <= width
