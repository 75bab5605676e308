"""Which people a name means: the rules of core's `BaseImporter.resolve_person`, with one query for
all names of a batch."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connection

from realtime.domain.text import is_storable
from realtime.importers.pseudo_ids import spec_of
from realtime.models import ListedPerson

CHAMBERS = ("upper", "lower", "legislature")
# Everyone who ever sat in the jurisdiction, then who of them bears one of the names.
_QUERY = """
WITH wanted AS (
    SELECT name, UPPER(name) AS upper FROM UNNEST(%s::text[]) AS name
), seat AS (
    SELECT m.person_id, m.start_date, m.end_date, o.classification, o.id AS organization_id
    FROM opencivicdata_membership m JOIN opencivicdata_organization o ON o.id = m.organization_id
    WHERE o.jurisdiction_id = %s AND m.person_id IS NOT NULL
), person AS (
    SELECT p.id, p.name, p.family_name, COALESCE(p.current_role, 'null') <> 'null' AS active
    FROM opencivicdata_person p WHERE p.id IN (SELECT person_id FROM seat)
), called AS (
    SELECT id, UPPER(name::text) AS upper FROM person
    UNION SELECT id, UPPER(family_name::text) FROM person
    UNION SELECT n.person_id, UPPER(n.name::text)
    FROM opencivicdata_personname n WHERE n.person_id IN (SELECT id FROM person)
)
SELECT wanted.name, person.id, person.active, seat.classification, seat.start_date, seat.end_date,
       seat.organization_id
FROM wanted
JOIN called USING (upper)
JOIN person ON person.id = called.id
JOIN seat ON seat.person_id = person.id
"""


class Name(NamedTuple):
    """The name, and the chamber if any, in a pseudo id; `says_chamber` even when that is null."""

    name: str
    chamber: str | None
    says_chamber: bool


class Persons:
    """The jurisdiction's members, past ones too, by the names that were loaded."""

    def __init__(self, jurisdiction_id: str) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._seats: dict[str, list[Any]] = {}
        self._names: dict[str, Name | None] = {}

    def load(self, pseudo_ids: Iterable[Any]) -> None:
        """Read who has the names in these pseudo ids, one statement for all not read before."""
        described = {self.described(one) for one in set(filter(is_storable, pseudo_ids))}
        names = {d.name for d in described if d and is_storable(d.name)} - self._seats.keys()
        if not names:
            return
        self._seats.update((name, []) for name in names)
        with connection.cursor() as cursor:
            cursor.execute(_QUERY, [sorted(names), self._jurisdiction_id])
            for name, *seat in cursor.fetchall():
                self._seats[name].append(seat)

    def described(self, pseudo_id: str) -> Name | None:
        """The name in a pseudo id; None when it has more than a name and a chamber."""
        if pseudo_id not in self._names:
            self._names[pseudo_id] = _parse(pseudo_id)
        return self._names[pseudo_id]

    @cached_property
    def undecided(self) -> frozenset[tuple[str, str]]:
        """People whom a run has brought and, with each, one whom their file lists, where the end of
        the run is yet to decide whether the two are one. Read once; of all jurisdictions, since
        people may have seats in several."""
        new = ListedPerson.objects.filter(is_new=True)
        return frozenset(new.values_list("person_id", "listed_id"))

    def find(
        self, name: str, start: Any, end: Any, chamber: str | None, organization_id: str = ""
    ) -> tuple[set[str], set[str]] | None:
        """The ids of the people called so, and of those of them in office; None when the name was
        not loaded.

        `start` and `end` are the session's dates: who left before it or came after it is left out.
        With an `organization_id`, only its members count; else those of the `chamber`, or of any.
        Of two of whom a new one lists the other, it is the other as long as that is undecided: so
        a name means who it meant before, and what refers to them follows if they are merged.
        """
        seats = self._seats.get(name)
        if seats is None:
            return None
        chambers = (chamber,) if chamber else CHAMBERS
        meant = [
            (person, active)
            for person, active, classification, since, until, organization in seats
            if (organization == organization_id if organization_id else classification in chambers)
            and (not start or until == "" or until > start)
            and (not end or since == "" or since < end)
        ]
        people = {person for person, _ in meant}
        if len(people) > 1:
            listing = {one for one, listed in self.undecided if {one, listed} <= people}
            people = (people - listing) or people
        return people, people & {person for person, active in meant if active}


def _parse(pseudo_id: str) -> Name | None:
    spec = spec_of(pseudo_id)
    if spec is None or not isinstance(spec.get("name"), str):
        return None
    says_chamber = "chamber" in spec
    name, chamber = spec.pop("name"), spec.pop("chamber", None)
    if spec or not (chamber is None or isinstance(chamber, str)):
        return None
    return Name(re.sub(r"\s+", " ", name).strip(), chamber, says_chamber)
