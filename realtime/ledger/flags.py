"""Flags in the ledger: raised and resolved by imports in sets, resolved by people one by one."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from realtime.domain.flags import Flag, Kind
from realtime.domain.results import Imported, Result, Superseded
from realtime.domain.text import sanitized
from realtime.ledger.files import database_now
from realtime.models import RaisedFlag

# Kinds that speak of one row: a later file of the row that does not raise it has put it right.
OWN_KINDS: tuple[Kind, ...] = (
    "odd-identifier",
    "roll-unlike-counts",
    "ambiguous",
    "clock-ahead",
    "person-missing",
)
# What an outdated file says of itself is of no concern.
_OF_OUTDATED: tuple[Kind, ...] = ("collision", "clock-ahead")
# What kinds of related rows a flag says were lost; empty when it speaks of none.
LOST = """coalesce((SELECT string_agg(name, ', ' ORDER BY name)
                    FROM jsonb_object_keys(realtime_flag.detail -> 'before') AS name), '')"""
# An index holds the subject.
_WIDTH = 500
BY_IMPORT = "import"

# What several files say of one subject is one flag: of a row that loses rows again and again, what
# it had first stays.
_RAISE = """
    INSERT INTO realtime_flag AS flag
      (jurisdiction_id, kind, subject, object_type, core_id, bill_identifier, session, file_id, key,
       other_file_id, other_key, detail, count, first_seen, last_seen, resolved_by, resolution)
    SELECT %(jurisdiction)s, one.kind, one.subject, one.object_type, one.core_id,
           coalesce(bill.identifier, ''), coalesce(session.identifier, ''), one.file_id,
           coalesce(file.key, ''), other.id, coalesce(other.key, ''), one.detail, one.count,
           %(now)s, %(now)s, '', ''
    FROM jsonb_to_recordset(%(flags)s) AS one
      (kind text, subject text, object_type text, core_id text, file_id bigint, other text,
       detail jsonb, count bigint)
    LEFT JOIN realtime_file AS file ON file.id = one.file_id
    LEFT JOIN LATERAL (
      SELECT id, key FROM realtime_file AS named
      WHERE one.other <> '' AND named.jurisdiction_id = %(jurisdiction)s
        AND named.object_type = one.object_type AND named.scrape_id = one.other
      ORDER BY id DESC LIMIT 1) AS other ON true
    LEFT JOIN opencivicdata_voteevent AS vote ON vote.id = one.core_id
    LEFT JOIN opencivicdata_bill AS bill ON bill.id = coalesce(vote.bill_id, one.core_id)
    LEFT JOIN opencivicdata_legislativesession AS session
      ON session.id = coalesce(bill.legislative_session_id, vote.legislative_session_id)
    ON CONFLICT (jurisdiction_id, kind, subject) WHERE resolved_at IS NULL DO UPDATE SET
      object_type = excluded.object_type, core_id = excluded.core_id,
      bill_identifier = excluded.bill_identifier, session = excluded.session,
      file_id = coalesce(excluded.file_id, flag.file_id),
      key = coalesce(nullif(excluded.key, ''), flag.key),
      other_file_id = coalesce(excluded.other_file_id, flag.other_file_id),
      other_key = coalesce(nullif(excluded.other_key, ''), flag.other_key),
      detail = excluded.detail || CASE
        WHEN flag.detail -> 'before' IS NULL OR excluded.detail -> 'before' IS NULL THEN '{}'
        ELSE jsonb_build_object(
          'before', (excluded.detail -> 'before') || (flag.detail -> 'before'),
          'after', (flag.detail -> 'after') || (excluded.detail -> 'after')) END,
      count = flag.count + CASE WHEN %(again)s THEN 0 ELSE excluded.count END,
      last_seen = excluded.last_seen
"""
_RESOLVE = """
    UPDATE realtime_flag AS flag
    SET resolved_at = %(now)s, resolved_by = %(by)s, resolution = 'a later file put it right'
    WHERE flag.resolved_at IS NULL AND flag.jurisdiction_id = %(jurisdiction)s AND (
      (flag.kind = ANY(%(own)s) AND flag.subject = ANY(%(rows)s)
        AND flag.kind || ' ' || flag.subject <> ALL(%(raised)s))
      OR (flag.kind = 'unmatched' AND flag.subject = ANY(%(matched)s))
      OR (flag.kind = 'shrunk' AND %(counts)s::jsonb ? flag.subject AND NOT EXISTS (
        SELECT 1 FROM jsonb_each_text(flag.detail -> 'before') AS had (kind, count)
        WHERE had.count::int
            > coalesce((%(counts)s::jsonb -> flag.subject ->> had.kind)::int, 0))))
"""
# Of several of one subject the newest. One that an import opens at the same time makes this fail.
_REOPEN = """
    UPDATE realtime_flag SET resolved_at = NULL, resolved_by = '', resolution = ''
    WHERE id IN (
      SELECT DISTINCT ON (jurisdiction_id, kind, subject) id FROM realtime_flag AS flag
      WHERE id = ANY(%(ids)s) AND resolved_at IS NOT NULL
        AND (%(at)s::timestamptz IS NULL OR resolved_at = %(at)s AND resolved_by = %(by)s)
        AND NOT EXISTS (
        SELECT 1 FROM realtime_flag AS anew
        WHERE anew.jurisdiction_id = flag.jurisdiction_id AND anew.kind = flag.kind
          AND anew.subject = flag.subject AND anew.resolved_at IS NULL)
      ORDER BY jurisdiction_id, kind, subject, id DESC)
    RETURNING id
"""


@dataclass(frozen=True)
class Names:
    """The names of a batch: those that resolved, and a flag for each that did not, with how many
    of its files have it and the last of these."""

    matched: Collection[str] = ()
    unmatched: Sequence[tuple[Flag, int, Result]] = ()


class _Raised:
    """The flags of a batch, one for each kind and subject, as its last files leave them."""

    def __init__(self) -> None:
        self._flags: dict[tuple[str, str], tuple[Flag, int, int | None]] = {}
        self.rows = set[str]()
        self.counts: dict[str, Mapping[str, int]] = {}

    def add(self, flag: Flag, file_id: int | None, count: int = 1) -> None:
        if not flag.subject:
            return
        # As it is stored: two that are alike there are one.
        key = flag.kind, _bounded(flag.subject)
        if key in self._flags:
            before, counted, _ = self._flags[key]
            flag, count = _merged(before, flag), count + counted
        self._flags[key] = flag, count, file_id

    def applied(self, outcome: Imported) -> None:
        """A file was applied to a row, which has put right what it does not raise itself."""
        self.rows.add(outcome.core_id)
        raised = {flag.kind for flag in outcome.flags}
        for kind in OWN_KINDS:
            if kind not in raised:
                self._flags.pop((kind, outcome.core_id), None)
        if outcome.change != "updated":
            return
        self.counts[outcome.core_id] = outcome.difference.after
        before, *_ = self._flags.get(("shrunk", outcome.core_id), (None,))
        if before is not None and "shrunk" not in raised:
            had: Mapping[str, int] = before.detail["before"]
            if all(outcome.difference.after.get(kind, 0) >= n for kind, n in had.items()):
                del self._flags["shrunk", outcome.core_id]

    def __iter__(self) -> Iterator[tuple[str, tuple[Flag, int, int | None]]]:
        """Each flag with its subject as it is stored."""
        return ((subject, one) for (_, subject), one in self._flags.items())

    @property
    def keys(self) -> list[str]:
        return [f"{kind} {subject}" for kind, subject in self._flags]


def _merged(before: Flag, flag: Flag) -> Flag:
    if "before" not in before.detail or "before" not in flag.detail:
        return flag
    had = {**flag.detail["before"], **before.detail["before"]}
    has = {**before.detail["after"], **flag.detail["after"]}
    return replace(flag, detail={**flag.detail, "before": had, "after": has})


def record(
    jurisdiction_id: str,
    results: Sequence[tuple[Result, int | None]],
    names: Names,
    now: datetime,
    *,
    again: bool = False,
) -> Counter[str]:
    """Raise and resolve flags by what became of a batch's files, each with its id in the ledger.

    At most two statements, in the caller's transaction; the rows of the files must be written.
    `again`: files that were counted when they were imported first. Returns how many of each kind
    were raised.
    """
    raised, file_ids = _Raised(), {}
    for result, file_id in results:
        file_ids[id(result)] = file_id
        match result.outcome:
            case Imported() as outcome:
                raised.applied(outcome)
                for flag in outcome.flags:
                    raised.add(flag, file_id)
            case Superseded(flags=flags):
                for flag in flags:
                    if flag.kind in _OF_OUTDATED:
                        raised.add(flag, file_id)
    for flag, count, last in names.unmatched:
        core_id = last.outcome.core_id if isinstance(last.outcome, Imported) else ""
        raised.add(replace(flag, core_id=core_id), file_ids.get(id(last)), count)
    if raised.rows or names.matched:
        _resolve(jurisdiction_id, raised, names, now)
    _raise(jurisdiction_id, raised, now, again)
    return Counter(flag.kind for _, (flag, *_rest) in raised)


def _resolve(jurisdiction_id: str, raised: _Raised, names: Names, now: datetime) -> None:
    unmatched = {flag.subject for flag, *_ in names.unmatched}
    with connection.cursor() as cursor:
        cursor.execute(
            _RESOLVE,
            {
                "now": now,
                "by": BY_IMPORT,
                "jurisdiction": jurisdiction_id,
                "own": list(OWN_KINDS),
                "rows": list(raised.rows),
                "raised": raised.keys,
                "matched": [_bounded(name) for name in names.matched if name not in unmatched],
                "counts": json.dumps(raised.counts),
            },
        )


def _raise(jurisdiction_id: str, raised: _Raised, now: datetime, again: bool) -> None:
    rows = [
        {
            "kind": flag.kind,
            "subject": subject,
            "object_type": flag.object_type,
            "core_id": flag.core_id,
            "file_id": file_id,
            "other": sanitized(flag.other_scrape_id),
            "detail": _storable(flag.detail),
            "count": count,
        }
        for subject, (flag, count, file_id) in raised
    ]
    if rows:
        params: dict[str, Any] = {"jurisdiction": jurisdiction_id, "now": now, "again": again}
        with connection.cursor() as cursor:
            cursor.execute(_RAISE, {**params, "flags": json.dumps(rows)})


def raise_flags(jurisdiction_id: str, flags: Iterable[Flag], now: datetime) -> None:
    """Raise flags that no file of a batch raises, such as those of a finalization. In the caller's
    transaction."""
    raised = _Raised()
    for flag in flags:
        raised.add(flag, None)
    _raise(jurisdiction_id, raised, now, False)


def resolve_deleted(core_ids: Collection[str], now: datetime) -> None:
    """Resolve the flags of rows that are deleted now."""
    if core_ids:
        _open().filter(subject__in=core_ids).update(
            resolved_at=now, resolved_by=BY_IMPORT, resolution="the row was deleted"
        )


@transaction.atomic
def resolve(
    ids: Collection[int],
    by: str,
    note: str,
    at: datetime | None = None,
    group: "FlagGroup | None" = None,
) -> list[int]:
    """Resolve flags as a person: `by` says who, `note` why, `at` when (None: now). Returns which
    were open, and in the `group`.

    What raises such a flag again opens a new one.
    """
    flags = (group.flags() if group else _open()).filter(id__in=ids)
    found = list(flags.select_for_update().order_by("id").values_list("id", flat=True))
    RaisedFlag.objects.filter(id__in=found).update(
        resolved_at=at or database_now(), resolved_by=sanitized(by), resolution=sanitized(note)
    )
    return found


def reopen(ids: Collection[int], at: datetime | None = None, by: str = "") -> list[int]:
    """Open flags again; returns which were resolved, and had not been raised anew since. With `at`,
    only those that `by` resolved then."""
    with connection.cursor() as cursor:
        cursor.execute(_REOPEN, {"ids": list(ids), "at": at, "by": by})
        return [id for (id,) in cursor.fetchall()]


def open_flags(jurisdiction_id: str = "", kind: str = "") -> "QuerySet[RaisedFlag]":
    """The open flags, the newest first; empty arguments mean any."""
    flags = _open()
    if jurisdiction_id:
        flags = flags.filter(jurisdiction_id=jurisdiction_id)
    if kind:
        flags = flags.filter(kind=kind)
    return flags.order_by("-last_seen", "-id")


@dataclass(frozen=True)
class FlagGroup:
    """Open flags of one kind, and of one jurisdiction and type and with one list of what was lost,
    where those are not None."""

    kind: str
    jurisdiction_id: str | None = None
    object_type: str | None = None
    lost: str | None = None

    def flags(self) -> "QuerySet[RaisedFlag]":
        """The flags that are in the group now."""
        flags = _open().filter(kind=self.kind)
        if self.jurisdiction_id is not None:
            flags = flags.filter(jurisdiction_id=self.jurisdiction_id)
        if self.object_type is not None:
            flags = flags.filter(object_type=self.object_type)
        if self.lost is not None:
            flags = flags.extra(where=[f"{LOST} = %s"], params=[self.lost])
        return flags


def _open() -> "QuerySet[RaisedFlag]":
    return RaisedFlag.objects.filter(resolved_at=None)


def _bounded(subject: str) -> str:
    return sanitized(subject)[:_WIDTH]


def _storable(detail: Any) -> Any:
    """What PostgreSQL can hold of a detail."""
    if isinstance(detail, str):
        return sanitized(detail)
    if isinstance(detail, Mapping):
        return {sanitized(str(name)): _storable(value) for name, value in detail.items()}
    if isinstance(detail, list | tuple | set | frozenset):
        return [_storable(value) for value in detail]
    return detail
