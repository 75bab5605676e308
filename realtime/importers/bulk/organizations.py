"""Which organization a pseudo id means: core's rules, with one query for a batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q
from openstates.data.models import Organization
from openstates.importers import organizations as core

from realtime.domain.text import is_storable
from realtime.importers.core import lookups
from realtime.importers.lookups import Committee

# Core normalizes names since 6.25.6. An older core compares them in ways of the database's own,
# which memory cannot repeat.
NORMALIZES = hasattr(core, "_normalize_name")
_NAMES = "ARRAY[]::text[]"
if NORMALIZES:
    _NAME = core._NORMALIZE_SQL_TEMPLATE.format(column="o.name")
    _OTHER_NAME = core._NORMALIZE_SQL_TEMPLATE.format(column="other_name ->> 'name'")
    _NAMES = f"""ARRAY(
        SELECT {_NAME}
        UNION ALL SELECT {_OTHER_NAME} FROM jsonb_array_elements(o.other_names) AS other_name
    )"""
_QUERY = f"""
SELECT o.id, o.classification, parent.classification, {_NAMES}
FROM opencivicdata_organization o
LEFT JOIN opencivicdata_organization parent ON parent.id = o.parent_id
WHERE o.jurisdiction_id = %s
"""


@dataclass(frozen=True)
class _Known:
    id: str
    classification: str
    parent_classification: str | None
    names: frozenset[str]


class _Memory:
    """The jurisdiction's organizations, as they were read last."""

    def __init__(self) -> None:
        self.known: list[_Known] = []
        self.stale = True


class _Manager:
    """Stands in for Django's manager: passes on what `limit_spec` found in memory."""

    def filter(self, *conditions: Q, **spec: Any) -> Any:
        found = spec.pop("_found", None)
        return found if found is not None else Organization.objects.filter(*conditions, **spec)


class _Model:
    """Stands in for the model, of which core uses `objects` and, in messages, `__name__`."""

    objects = _Manager()


_Model.__name__ = Organization.__name__


class Organizations(lookups.Organizations):
    """Core's organization importer, resolving from memory. Call `refresh` for each batch.

    Those made from an `other` share the rows read, but each has core's cache of pseudo ids for
    itself: core remembers a pseudo id that fits nothing only where its caller allows that.
    On a core that does not normalize names, each pseudo id with a name is a query of core's own.
    """

    model_class = _Model

    def __init__(self, jurisdiction_id: str, other: "Organizations | None" = None) -> None:
        super().__init__(jurisdiction_id)
        self._memory: _Memory = other._memory if other else _Memory()

    def kind(self, core_id: str) -> Committee | None:
        """What kind of organization this is; None when it was not read."""
        for known in self._memory.known:
            if known.id == core_id:
                return Committee(known.classification, known.parent_classification)
        return None

    def refresh(self) -> None:
        """Read the rows again for the next pseudo id that those in memory do not resolve."""
        self._memory.stale = True

    def limit_spec(self, spec: dict[str, Any]) -> Any:
        """Core's conditions for a query, or the rows that they find where memory can tell."""
        plain = spec.keys() <= {"name", "classification", "chamber"} and all(
            map(is_storable, spec.values())
        )
        by_name = bool(spec.get("name"))
        if not plain or spec.get("classification") == "party" or (by_name and not NORMALIZES):
            return super().limit_spec(spec)
        found = list(self._matching(**spec))
        if self._memory.stale and len(found) != 1:
            self._read()
            found = list(self._matching(**spec))
        return {"_found": found}

    def _matching(
        self, name: str = "", classification: str | None = None, chamber: str = ""
    ) -> Iterator[_Known]:
        normalized = core._normalize_name(name) if name else None
        for known in self._memory.known:
            if classification is not None and known.classification != classification:
                continue
            if normalized is not None and normalized not in known.names:
                continue
            # Core looks at the chamber only to tell committees of one name apart.
            if name and chamber and known.parent_classification != chamber:
                continue
            yield known

    def _read(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_QUERY, [self.jurisdiction_id])
            self._memory.known = [
                _Known(id, classification, parent, frozenset(names))
                for id, classification, parent, names in cursor.fetchall()
            ]
        self._memory.stale = False
