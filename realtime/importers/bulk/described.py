"""The rows that pseudo ids describe, looked up once a batch where core asks for each."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from realtime.domain.text import is_storable
from realtime.importers.pseudo_ids import spec_of
from realtime.importers.specs.spec import Spec


class Described:
    """Answers for the rows of one type, which belong to legislative sessions."""

    def __init__(self, spec: Spec, jurisdiction_id: str) -> None:
        self._spec = spec
        self._jurisdiction_id = jurisdiction_id
        self._found: dict[str, list[str]] = {}

    def load(self, pseudo_ids: Iterable[Any], known: Collection[str]) -> None:
        """Look up what these describe, but not the `known` ones, in one statement; forgets what
        was looked up before."""
        wanted = {one for one in pseudo_ids if is_storable(one) and one not in known}
        queries = {one: query for one in wanted if (query := self._query(one)) is not None}
        self._found = {pseudo_id: [] for pseudo_id in queries}
        if not queries:
            return
        names = self._spec.described_by
        by_first: dict[str, list[dict[str, Any]]] = {}
        for row in self._spec.model._default_manager.filter(
            **{f"{names[0]}__in": {query[names[0]] for query in queries.values()}},
            legislative_session__jurisdiction_id=self._jurisdiction_id,
        ).values("id", *names):
            by_first.setdefault(row[names[0]], []).append(row)
        for pseudo_id, query in queries.items():
            rows = by_first.get(query[names[0]], ())
            self._found[pseudo_id] = [r["id"] for r in rows if query.items() <= r.items()]

    def ids(self, pseudo_id: str) -> Sequence[str] | None:
        """The rows that a pseudo id describes; None when it was not looked up."""
        return self._found.get(pseudo_id)

    def _query(self, pseudo_id: str) -> dict[str, Any] | None:
        """What a pseudo id asks for, where that is what a batch can look up at once."""
        query, names = spec_of(pseudo_id), self._spec.described_by
        if query is None or not all(map(is_storable, query.values())):
            return None
        return query if names[0] in query and query.keys() <= set(names) else None
