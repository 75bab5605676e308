"""Failures and flags in groups of those that are alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models.functions import Left

from realtime.domain import likeness
from realtime.ledger.failures import Group
from realtime.ledger.flags import LOST, FlagGroup
from realtime.models import File, RaisedFlag

# Groups that are listed at most; characters of a detail that a list shows.
AT_MOST = 200
_TOLD = 600
# Large columns that no list shows.
_LARGE: tuple[str, ...] = ("traceback", "message", "identity")
_UNSHOWN: tuple[str, ...] = (*_LARGE, "detail")

# An index-only scan, unless a reason is asked for: field and detail are those of one file of each
# group.
_FAILURES = """
    WITH counted AS (
      SELECT alike, jurisdiction_id, count(*) AS files, min(imported_at) AS first,
             max(imported_at) AS last, max(id) AS example
      FROM realtime_file
      WHERE outcome = 'failed' AND discarded_at IS NULL
        AND (%(jurisdiction)s::text IS NULL OR jurisdiction_id = %(jurisdiction)s)
        AND (%(reason)s::text IS NULL OR reason = %(reason)s)
      GROUP BY 1, 2
    ), grouped AS (
      SELECT alike, sum(files)::bigint AS files, min(first) AS first, max(last) AS last,
             max(example) AS example, json_object_agg(jurisdiction_id, files) AS jurisdictions
      FROM counted GROUP BY 1
    )
    SELECT grouped.alike, grouped.files, first, last, example, jurisdictions, reason, field,
           left(detail, %(told)s)
    FROM grouped JOIN realtime_file AS file ON file.id = grouped.example
    ORDER BY grouped.files DESC, last DESC LIMIT %(limit)s
"""
_OF_GROUP = """
    SELECT jurisdiction_id, count(*), min(imported_at), max(imported_at), max(id)
    FROM realtime_file
    WHERE outcome = 'failed' AND discarded_at IS NULL
      AND (alike = %(alike)s OR %(alike)s::text IS NULL AND alike IS NULL)
      AND (%(jurisdiction)s::text IS NULL OR jurisdiction_id = %(jurisdiction)s)
    GROUP BY 1
"""
_FLAGS = f"""
    SELECT kind, object_type, lost, sum(flags)::bigint AS flags, min(first), max(last),
           max(example), json_object_agg(jurisdiction_id, flags)
    FROM (
      SELECT kind, object_type, jurisdiction_id, count(*) AS flags, min(first_seen) AS first,
             max(last_seen) AS last, max(id) AS example,
             {LOST} AS lost
      FROM realtime_flag
      WHERE resolved_at IS NULL AND (%(kind)s = '' OR kind = %(kind)s)
        AND (%(jurisdiction)s = '' OR jurisdiction_id = %(jurisdiction)s)
      GROUP BY kind, object_type, jurisdiction_id, lost
    ) AS counted
    GROUP BY 1, 2, 3 ORDER BY flags DESC, 1, 2, 3 LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Failures:
    """Failed files that are alike, without discarded ones.

    `alike` is None for those of which that is not known. `field` and `pattern` say what is wrong,
    without what varies. `first` and `last`: when the first and the last of them failed. `example`
    is the id of the newest; `jurisdictions` has the number of files of each, the most first.
    """

    alike: str | None
    files: int
    first: datetime
    last: datetime
    example: int
    jurisdictions: Mapping[str, int]
    reason: str
    field: str
    pattern: str


@dataclass(frozen=True)
class Flags:
    """Open flags of one kind and type; of what shrank, those that lost the same.

    `first` and `last`: when the first was raised, and one was raised last. `example` is the id of
    the newest; `jurisdictions` has the number of flags of each, the most first.
    """

    kind: str
    object_type: str
    lost: str
    flags: int
    first: datetime
    last: datetime
    example: int
    jurisdictions: Mapping[str, int]


def failures(jurisdiction_id: str | None = None, reason: str | None = None) -> list[Failures]:
    """The groups of failures, the largest first; None: of any jurisdiction, of any reason."""
    params = {"jurisdiction": jurisdiction_id, "reason": reason, "limit": AT_MOST, "told": _TOLD}
    with connection.cursor() as cursor:
        cursor.execute(_FAILURES, params)
        rows = cursor.fetchall()
    return [
        Failures(
            alike, files, first, last, example, _most_first(where), why, *_told(alike, field, told)
        )
        for alike, files, first, last, example, where, why, field, told in rows
    ]


def failure_group(group: Group) -> Failures | None:
    """What is alike of a group; None when no file is in it any more."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_GROUP, {"alike": group.alike, "jurisdiction": group.jurisdiction_id})
        rows = cursor.fetchall()
    if not rows:
        return None
    example = File.objects.defer(*_LARGE).get(id=max(row[4] for row in rows))
    return Failures(
        group.alike,
        sum(row[1] for row in rows),
        min(row[2] for row in rows),
        max(row[3] for row in rows),
        example.id,
        _most_first({row[0]: row[1] for row in rows}),
        example.reason,
        *_told(group.alike, example.field, example.detail),
    )


def flag_groups(jurisdiction_id: str = "", kind: str = "") -> list[Flags]:
    """The groups of open flags, the largest first; empty: of any jurisdiction, of any kind."""
    params: dict[str, Any] = {"jurisdiction": jurisdiction_id, "kind": kind, "limit": AT_MOST}
    with connection.cursor() as cursor:
        cursor.execute(_FLAGS, params)
        rows = cursor.fetchall()
    return [
        Flags(kind, object_type, lost, flags, first, last, example, _most_first(where))
        for kind, object_type, lost, flags, first, last, example, where in rows
    ]


def files_of(group: Group, start: int, limit: int) -> Sequence[File]:
    """Files of a group, those that failed last first, from offset `start` on; each with the
    beginning of its detail as `told`."""
    found = group.files().order_by("-imported_at", "-id").values_list("id", flat=True)
    files = File.objects.filter(id__in=list(found[start : start + limit]))
    files = files.annotate(told=Left("detail", _TOLD)).order_by("-imported_at", "-id")
    return list(files.defer(*_UNSHOWN))


def flags_of(group: FlagGroup, start: int, limit: int) -> Sequence[RaisedFlag]:
    """Open flags of a group, the newest first, from offset `start` on."""
    return list(group.flags().order_by("-last_seen", "-id")[start : start + limit])


def _told(alike: str | None, field: str, detail: str) -> tuple[str, str]:
    """What a group says of its field and detail, by those of one of its files."""
    if alike is None:
        return "", ""
    return likeness.field_pattern(field), likeness.pattern(detail)


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
