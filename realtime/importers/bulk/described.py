"""Finds at once the rows that pseudo ids describe, where core asks for each."""

from collections.abc import Iterable
from typing import Any, ClassVar

from openstates.exceptions import UnresolvedIdError
from openstates.importers.base import BaseImporter

from realtime.domain.text import is_storable
from realtime.importers.pseudo_ids import spec_of


class Described(BaseImporter):  # type: ignore[misc]
    """Mix in before an importer whose rows belong to a legislative session."""

    # What a pseudo id may name for us to answer; the first it must. Core answers the rest.
    described_by: ClassVar[tuple[str, ...]] = ("identifier",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._described: dict[str, list[str]] = {}

    def preload_described(self, pseudo_ids: Iterable[Any]) -> None:
        """Look up what these describe, in one statement; forgets what was looked up before."""
        specs = dict(filter(None, map(self._spec, set(filter(is_storable, pseudo_ids)))))
        self._described = {pseudo_id: [] for pseudo_id in specs}
        if not specs:
            return
        first = self.described_by[0]
        by_first: dict[str, list[dict[str, Any]]] = {}
        for row in self.model_class.objects.filter(
            **{f"{first}__in": {spec[first] for spec in specs.values()}},
            legislative_session__jurisdiction_id=self.jurisdiction_id,
        ).values("id", *self.described_by):
            by_first.setdefault(row[first], []).append(row)
        for pseudo_id, spec in specs.items():
            rows = by_first.get(spec[first], ())
            self._described[pseudo_id] = [r["id"] for r in rows if spec.items() <= r.items()]

    def _spec(self, pseudo_id: str) -> tuple[str, dict[str, Any]] | None:
        spec = None if pseudo_id in self.pseudo_id_cache else spec_of(pseudo_id)
        if spec is None or not all(map(is_storable, spec.values())):
            return None
        named = self.described_by[0] in spec and spec.keys() <= set(self.described_by)
        return (pseudo_id, spec) if named else None

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        found = self._described.get(json_id) if json_id else None
        if found is not None and json_id not in self.pseudo_id_cache:
            problem = f"{len(found) or 'no'} {self.model_class.__name__} rows answer to {json_id}"
            if len(found) != 1:
                if not allow_no_match:
                    raise UnresolvedIdError(problem)
                self.error(problem)
            self.pseudo_id_cache[json_id] = found[0] if len(found) == 1 else None
        row: str | None = super().resolve_json_id(json_id, allow_no_match)
        return row
