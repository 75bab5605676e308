"""Which files did not go to the row that core, importing in scrape order, would have found.

Core finds a vote event by its dedupe key, else by its identifier, else by its motion, and an event
by its dedupe key, else by its name and times. Rows found one way can be found another way too, so
that which files are one row depends on the order they come in, where the files of one object are
looked up in several ways. And a vote event may have been taken to be of another bill than it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db import connection

from realtime.models import File, Outcome, ScrapeRun

# Files of one object that are looked up in several ways, or in one way and are several rows.
_SUSPICIOUS = """
    SELECT 1 FROM (
      SELECT bill_id, identity->'keys'->>0 AS key, row_id FROM realtime_file
      WHERE run_id = %s AND object_type = %s AND identity IS NOT NULL
    ) AS file
    GROUP BY GROUPING SETS ((bill_id), (key))
    HAVING (grouping(key) = 1 AND count(DISTINCT split_part(key, ':', 1)) > 1)
        OR (grouping(key) = 0 AND count(DISTINCT row_id) FILTER (WHERE row_id <> '') > 1)
    LIMIT 1
"""


class Seen(NamedTuple):
    """A file of a run: its row in the ledger, the row of core's table it went to (empty if none),
    and what core can find that by, the way it does look first."""

    file_id: int
    core_id: str
    keys: tuple[str, ...]


def misplaced(run: ScrapeRun, object_type: str) -> list[list[int]]:
    """Groups of files, each in scrape order, that must be imported anew in that order."""
    with connection.cursor() as cursor:
        cursor.execute(_SUSPICIOUS, [run.run_id, object_type])
        if cursor.fetchone() is None:
            return []
    files = File.objects.filter(
        run_id=run.run_id,
        object_type=object_type,
        jurisdiction_id=run.jurisdiction_id,
        identity__isnull=False,
    )
    # What a newer run leaves no place for has no row at all.
    files = files.exclude(outcome=Outcome.SUPERSEDED, core_id="")
    files = files.order_by("order_ticks", "scrape_id", "order_stamp")
    seen = (
        Seen(file_id, core_id, tuple(identity["keys"]))
        for file_id, core_id, identity in files.values_list("id", "core_id", "identity")
        if identity
    )
    return [
        [one.file_id for one in group]
        for group in _related(seen)
        if not _same_partition(group, in_order(group))
    ]


def in_order(files: Iterable[Seen]) -> list[int | None]:
    """For each file the number of the row that core would find or make for it, in this order;
    None where several rows would fit, which core refuses."""
    keys_of: list[tuple[str, ...]] = []
    found_by: dict[str, set[int]] = defaultdict(set)
    rows: list[int | None] = []
    for file in files:
        fitting = found_by[file.keys[0]]
        if len(fitting) > 1:
            rows.append(None)
            continue
        row = next(iter(fitting)) if fitting else len(keys_of)
        if row == len(keys_of):
            keys_of.append(())
        for key in keys_of[row]:
            found_by[key].discard(row)
        keys_of[row] = file.keys
        for key in file.keys:
            found_by[key].add(row)
        rows.append(row)
    return rows


def _related(files: Iterable[Seen]) -> Iterator[list[Seen]]:
    """Groups of files that share keys, directly or through others; each in the order given."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = key = leader[leader[key]]
        return key

    known = list(files)
    for file in known:
        for key in file.keys[1:]:
            leader[find(key)] = find(file.keys[0])
    groups: dict[str, list[Seen]] = defaultdict(list)
    for file in known:
        groups[find(file.keys[0])].append(file)
    yield from groups.values()


def _same_partition(files: Sequence[Seen], rows: Sequence[int | None]) -> bool:
    there: dict[int, str] = {}
    for file, row in zip(files, rows, strict=True):
        if row is None:
            if file.core_id:
                return False
        elif there.setdefault(row, file.core_id) != file.core_id or not file.core_id:
            return False
    return len(set(there.values())) == len(there)
