"""Finds files that went to another row than an import in scrape order would have chosen.

Core looks a vote event up by its dedupe key, else its identifier, else its motion, and an event by
its dedupe key, else its name and times. A row has all of these keys. When files of one object are
looked up by different keys, the order of their imports decides which of them share a row. So it
does when some of them have neither counts nor roll (`alike` of the vote event's rules). A vote
event may also have been imported to the wrong bill.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db import connection

from realtime.domain.results import Claim
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.specs.event import EventSpec
from realtime.importers.specs.lookup_keys import keys_after
from realtime.importers.specs.vote_event import VoteEventSpec, alike
from realtime.models import File, Outcome, ScrapeRun

_SPECS = {spec.object_type: spec for spec in (VoteEventSpec, EventSpec)}

# Whether the run has a bill whose files are looked up by several kinds of key, files that share
# their first key but went to several rows, or a row with files of several contents or bills. Only
# then are the files compared one by one.
_AMBIGUOUS = """
    SELECT 1 FROM (
      SELECT bill_id, identity->'keys'->>0 AS key, row_id, identity->>'content' AS content
      FROM realtime_file
      WHERE run_id = %s AND object_type = %s AND identity IS NOT NULL
    ) AS file
    GROUP BY GROUPING SETS ((bill_id), (key), (row_id))
    HAVING (grouping(bill_id) = 0 AND count(DISTINCT split_part(key, ':', 1)) > 1)
        OR (grouping(key) = 0 AND count(DISTINCT row_id) FILTER (WHERE row_id <> '') > 1)
        OR (grouping(row_id) = 0 AND row_id <> ''
            AND (count(DISTINCT content) > 1 OR count(DISTINCT bill_id) > 1))
    LIMIT 1
"""


class MatchedFile(NamedTuple):
    """A file of a run: its id in the ledger, core's id of the row it went to (empty if none), the
    keys by which core finds that row, and its content. Core looks the file up by the first key."""

    ledger_id: int
    core_id: str
    keys: tuple[str, ...]
    content: str = ""


def misplaced(run: ScrapeRun, object_type: str) -> list[list[int]]:
    """Groups of files, by ledger id, that must be imported anew; each is in scrape order."""
    with connection.cursor() as cursor:
        cursor.execute(_AMBIGUOUS, [run.run_id, object_type])
        if cursor.fetchone() is None:
            return []
    files = File.objects.filter(
        run_id=run.run_id,
        object_type=object_type,
        jurisdiction_id=run.jurisdiction_id,
        identity__isnull=False,
    )
    # Superseded files without a row were never applied to one.
    files = files.exclude(outcome=Outcome.SUPERSEDED, core_id="")
    files = files.order_by("order_ticks", "scrape_id", "order_stamp")
    matched = (
        MatchedFile(ledger_id, core_id, tuple(identity["keys"]), identity.get("content", ""))
        for ledger_id, core_id, identity in files.values_list("id", "core_id", "identity")
        if identity
    )
    competes = _SPECS[object_type].competes
    return [
        [file.ledger_id for file in group]
        for group in _sharing(matched)
        if not _same_partition(group, in_order(group, competes))
    ]


def in_order(files: Iterable[MatchedFile], competes: bool) -> list[int | None]:
    """For each file the number of the row that it would find or make, importing in this order.

    Where several rows match, core raises, which is None; but files that may compete (`competes`)
    are told apart by their keys and contents.
    """
    keys_of: list[list[str]] = []
    claims: dict[int, Claim] = {}
    found_by: dict[str, set[int]] = defaultdict(set)
    rows: list[int | None] = []
    for place, file in enumerate(files):
        matches = found_by[file.keys[0]]
        claim = Claim.of(file.content, file.keys, ScrapeOrder(place, "", 0))
        if competes:
            found = alike(claim, {row: claims[row] for row in matches})
        elif len(matches) > 1:
            rows.append(None)
            continue
        else:
            found = next(iter(matches), None)
        row = len(keys_of) if found is None else found
        claims[row] = claims[row] | claim if row in claims else claim
        if row == len(keys_of):
            keys_of.append([])
        for key in keys_of[row]:
            found_by[key].discard(row)
        keys_of[row] = keys_after(file.keys, keys_of[row])
        for key in keys_of[row]:
            found_by[key].add(row)
        rows.append(row)
    return rows


def _sharing(files: Iterable[MatchedFile]) -> Iterator[list[MatchedFile]]:
    """Groups of files that share keys or rows, directly or through others; each in the order
    given."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = key = leader[leader[key]]
        return key

    all_files = list(files)
    for file in all_files:
        for key in (*keys_after(file.keys[1:], ()), *filter(None, [file.core_id])):
            leader[find(key)] = find(file.keys[0])
    groups: dict[str, list[MatchedFile]] = defaultdict(list)
    for file in all_files:
        groups[find(file.keys[0])].append(file)
    yield from groups.values()


def _same_partition(files: Sequence[MatchedFile], rows: Sequence[int | None]) -> bool:
    """Whether files went to the same row exactly where `rows` has the same number."""
    core_ids: dict[int, str] = {}
    for file, row in zip(files, rows, strict=True):
        if row is None:
            if file.core_id:
                return False
        elif core_ids.setdefault(row, file.core_id) != file.core_id or not file.core_id:
            return False
    return len(set(core_ids.values())) == len(core_ids)
