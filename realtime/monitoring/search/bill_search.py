"""Bills by identifier, by words of their title, and those that only files name."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import connection
from openstates.data.models import Bill

from realtime.models import STUCK, File, LoggedChange
from realtime.monitoring.search.terms import Terms

# Core has no index that begins with the identifier. The one it has is asked once for each session
# and each organization that has bills at all; these are found by skipping through the same index.
_CALLED = """
    WITH RECURSIVE source (id) AS (
      (SELECT from_organization_id FROM opencivicdata_bill
       WHERE from_organization_id IS NOT NULL ORDER BY from_organization_id LIMIT 1)
      UNION ALL
      SELECT (SELECT bill.from_organization_id FROM opencivicdata_bill AS bill
              WHERE bill.from_organization_id > source.id
              ORDER BY bill.from_organization_id LIMIT 1)
      FROM source WHERE source.id IS NOT NULL
    ), place AS (
      SELECT session.id AS session_id, source.id AS organization_id,
             session.jurisdiction_id, session.identifier AS session, session.start_date
      FROM source JOIN opencivicdata_organization AS organization ON organization.id = source.id
      JOIN opencivicdata_legislativesession AS session
        ON session.jurisdiction_id = organization.jurisdiction_id
      WHERE %(jurisdiction)s = '' OR session.jurisdiction_id = %(jurisdiction)s
    )
    SELECT found.*, place.jurisdiction_id, place.session, place.start_date
    FROM place CROSS JOIN LATERAL (
      SELECT bill.id, bill.identifier FROM opencivicdata_bill AS bill
      WHERE bill.from_organization_id = place.organization_id
        AND bill.legislative_session_id = place.session_id
        AND bill.identifier = ANY(%(identifiers)s)
      LIMIT 5) AS found
    UNION
    SELECT found.*, session.jurisdiction_id, session.identifier, session.start_date
    FROM opencivicdata_legislativesession AS session CROSS JOIN LATERAL (
      SELECT bill.id, bill.identifier FROM opencivicdata_bill AS bill
      WHERE bill.from_organization_id IS NULL AND bill.legislative_session_id = session.id
        AND bill.identifier = ANY(%(identifiers)s)
      LIMIT 5) AS found
    WHERE %(jurisdiction)s = '' OR session.jurisdiction_id = %(jurisdiction)s
"""
# The index gives what matches in no order. Of words that many titles have, the newest bills are
# looked at one by one instead: left to itself, PostgreSQL takes every beginning of a word that it
# does not know for frequent, and looks at all of them so.
_MANY, _NEWEST = 2_000, 20_000
_TITLED = """
    WITH found AS MATERIALIZED (
      SELECT core_id, updated_at FROM realtime_bill_title
      WHERE words @@ %(query)s::tsquery LIMIT %(many)s)
    SELECT core_id, (SELECT count(*) FROM found) FROM found
    ORDER BY updated_at DESC LIMIT %(limit)s
"""
_TITLED_LATELY = """
    SELECT core_id FROM (
      SELECT core_id, words FROM realtime_bill_title ORDER BY updated_at DESC LIMIT %(newest)s
    ) AS newest
    WHERE words @@ %(query)s::tsquery LIMIT %(limit)s
"""


@dataclass(frozen=True)
class BillFound:
    """A bill. `core_id` and `title` are empty for one that only files which are not in name."""

    jurisdiction_id: str
    session: str
    identifier: str
    core_id: str = ""
    title: str = ""


def by_identifier(terms: Terms, limit: int) -> list[BillFound]:
    """The bills that the terms name, in any session, those of the newest sessions first; then those
    that only parked and failed files, or votes deleted, name."""
    rows: list[tuple[str, str, str, str, str]] = []
    with connection.cursor() as cursor:
        for place, named in groupby(sorted(terms.bills), key=itemgetter(0)):
            identifiers = [identifier for _, identifier in named]
            cursor.execute(_CALLED, {"jurisdiction": place, "identifiers": identifiers})
            rows += cursor.fetchall()
    newest = sorted(rows, key=itemgetter(4), reverse=True)
    listed = by_core_ids([core_id for core_id, *_ in newest][:limit])
    known = {(place, session, identifier) for _, identifier, place, session, _ in rows}
    for one in _named_by_files(terms.bills, limit):
        if (one.jurisdiction_id, one.session, one.identifier) not in known:
            listed.append(one)
    return listed[:limit]


def by_core_ids(core_ids: Sequence[str]) -> list[BillFound]:
    """The bills of core's with these ids, in this order."""
    by_id = {bill.pk: _of_core(bill) for bill in _described(core_ids)}
    return [by_id[core_id] for core_id in dict.fromkeys(core_ids) if core_id in by_id]


def by_title(terms: Terms, limit: int) -> list[BillFound]:
    """The bills whose titles have all of the words, those that changed last first; those of a
    jurisdiction that the terms name before all others."""
    found = [
        core_id
        for place, words in sorted(terms.words, key=lambda one: not one[0])
        for core_id in _titled(f"'@{place}' & {words}" if place else words, limit)
    ]
    return by_core_ids(found)[:limit]


def _titled(query: str, limit: int) -> list[str]:
    """The bills whose titles this query matches, the newest first. Of more than 2,000, the newest
    among the 20,000 that changed last come first, then any."""
    params: dict[str, Any] = {"query": query, "limit": limit, "many": _MANY, "newest": _NEWEST}
    with connection.cursor() as cursor:
        cursor.execute(_TITLED, params)
        rows = cursor.fetchall()
        some = [core_id for core_id, _ in rows]
        if not rows or rows[0][1] < _MANY:
            return some
        cursor.execute(_TITLED_LATELY, params)
        return [*(core_id for (core_id,) in cursor.fetchall()), *some]


def _described(core_ids: Collection[str]) -> list[Any]:
    bills = Bill.objects.filter(pk__in=core_ids) if core_ids else Bill.objects.none()
    return list(
        bills.select_related("legislative_session").only(
            "identifier",
            "title",
            "legislative_session__identifier",
            "legislative_session__start_date",
            "legislative_session__jurisdiction_id",
        )
    )


def _of_core(bill: Any) -> BillFound:
    session = bill.legislative_session
    return BillFound(
        session.jurisdiction_id, session.identifier, bill.identifier, bill.pk, bill.title
    )


def _named_by_files(named: Sequence[tuple[str, str]], limit: int) -> Iterator[BillFound]:
    """What parked and failed files, and the deletions of vote events, say of such bills."""
    identifiers = {identifier for _, identifier in named}
    if not identifiers:
        return
    # What is left of a bill of core's that is gone is its change log.
    deleted = LoggedChange.objects.filter(
        change="deleted", bill_identifier__gt="", bill_identifier__in=identifiers
    ).values_list("jurisdiction_id", "session", "bill_identifier")
    stuck = File.objects.filter(STUCK, bill_named__in=identifiers).values_list(
        "jurisdiction_id", "session", "bill_named"
    )
    for jurisdiction_id, session, identifier in dict.fromkeys(
        [*stuck.order_by("-id")[: 5 * limit], *deleted.order_by("-id")[: 5 * limit]]
    ):
        meant = {(jurisdiction_id, identifier), ("", identifier)}
        if meant & set(named):
            yield BillFound(jurisdiction_id, session, identifier or "")
