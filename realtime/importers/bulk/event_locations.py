"""Event locations, read and created once a batch."""

from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, transaction
from openstates.data.models import EventLocation

from realtime.backends.postgres.interruptions import raise_if_interrupted
from realtime.domain.text import is_storable
from realtime.importers.bulk import copy_rows
from realtime.importers.bulk.tables import table

Place = tuple[str, str]


class Locations:
    """The jurisdiction's locations that were asked for, by name and url."""

    def __init__(self, jurisdiction_id: str) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._found: dict[Place, list[EventLocation]] = {}

    def load(self, places: Iterable[tuple[Any, Any]]) -> None:
        """Read these, and create those that are missing; forgets what was read before."""
        wanted = {place for place in places if all(map(is_storable, place))}
        self._found = {}
        if not wanted:
            return
        for row in EventLocation.objects.filter(
            jurisdiction_id=self._jurisdiction_id, name__in={name for name, _ in wanted}
        ):
            self._found.setdefault((row.name, row.url), []).append(row)
        self._add(wanted - self._found.keys())

    def get(self, described: dict[str, Any]) -> EventLocation | None:
        """The only location described so; None where core must see to it."""
        place = described["name"], described.get("url", "")
        if not all(map(is_storable, place)):
            return None
        found = self._found.get(place, ())
        return found[0] if len(found) == 1 else None

    def _add(self, places: set[Place]) -> None:
        """Create locations; those that the database would refuse are left to core."""
        locations = table(EventLocation)
        widths = [locations.column[name].field.max_length for name in ("name", "url")]
        fitting = [
            place
            for place in sorted(places)
            if all(len(text) <= width for text, width in zip(place, widths, strict=True))
        ]
        if not fitting:
            return
        rows = [
            EventLocation(name=name, url=url, jurisdiction_id=self._jurisdiction_id)
            for name, url in fitting
        ]
        names = [column.name for column in locations.columns]
        try:
            with transaction.atomic():
                copy_rows.copy(locations, [tuple(getattr(r, n) for n in names) for r in rows])
        except DatabaseError as exc:
            raise_if_interrupted(exc)
            return
        self._found.update(zip(fitting, ([row] for row in rows), strict=True))
