"""Everything that is known of one bill: its files, what each changed, its votes, what is stuck."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.db.models import Count, Q
from openstates.data.models import Bill, VoteEvent

from realtime.domain.flags import KINDS
from realtime.models import STUCK, File, LoggedChange, RaisedFlag
from realtime.monitoring.change_events import differences
from realtime.monitoring.labels import labels
from realtime.monitoring.search.bill_search import BillFound

# The most that is shown of each kind, the newest.
AT_MOST = 200
# Large columns that no list shows.
_LARGE = ("traceback", "message", "identity")
_SCRAPE_ORDER = ("order_ticks", "scrape_id", "order_stamp", "id")


@dataclass(frozen=True)
class FileOfBill:
    """A file of the bill or of a vote on it, and what it changed (what, and in words what
    differs)."""

    file: File
    label: str
    changes: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Vote:
    """A vote event that is in, with the newest file of it that was applied (None: none is known)
    and how many of its voters match nobody."""

    row: Any
    file: File | None
    unmatched: int


@dataclass(frozen=True)
class DeletedVote:
    """A vote event that was deleted: by the finalization of a run, or by the import of a file. And
    the newest file of it, if the ledger still has one."""

    change: LoggedChange
    file: File | None
    label: str


@dataclass(frozen=True)
class BillRecord:
    """What is known of one bill. `row` is core's, or None.

    `files` are in scrape order, `stuck` those of them that are parked or failed. `more`: older
    files are left out.
    """

    found: BillFound
    row: Any
    files: Sequence[FileOfBill]
    stuck: Sequence[FileOfBill]
    votes: Sequence[Vote]
    deleted: Sequence[DeletedVote]
    flags: Sequence[RaisedFlag]
    more: bool


def of_core_id(core_id: str) -> BillRecord | None:
    """The record of the bill with this id in core's table, or of one that had it; None for an id
    that neither core nor the ledger knows."""
    row = (
        Bill.objects.select_related("legislative_session", "from_organization")
        .filter(pk=core_id)
        .first()
    )
    if row is not None:
        session = row.legislative_session
        place = (session.jurisdiction_id, session.identifier, row.identifier)
        return _record(BillFound(*place, core_id=core_id, title=row.title), row)
    files = File.objects.filter(core_id=core_id, object_type="bill").exclude(core_id="")
    last = files.order_by("-id").first()
    if last is None:
        return None
    place = (last.jurisdiction_id, last.session, last.bill_identifier or last.bill_named or "")
    return _record(BillFound(*place, core_id=core_id), None)


def of_name(jurisdiction_id: str, session: str, identifier: str) -> BillRecord | None:
    """The record of the bill that has this identifier, as core stores it; None when nothing of it
    is known."""
    rows = Bill.objects.filter(
        legislative_session__jurisdiction_id=jurisdiction_id,
        legislative_session__identifier=session,
        identifier=identifier,
    )
    core_id = rows.order_by("-updated_at").values_list("pk", flat=True).first()
    if core_id is not None:
        return of_core_id(core_id)
    record = _record(BillFound(jurisdiction_id, session, identifier), None)
    return record if record.files or record.deleted else None


def _record(found: BillFound, row: Any) -> BillRecord:
    files, more = _files(found)
    votes = _vote_events(found.core_id) if row else []
    gone = list(_deletions(found))
    core_ids = {found.core_id, *(vote.pk for vote in votes), *(one.core_id for one in gone)} - {""}
    changed = _changes(core_ids)
    of_gone = list(
        File.objects.filter(core_id__in=[one.core_id for one in gone]).exclude(core_id="")
        if gone
        else []
    )
    called = labels([*files, *of_gone])
    listed = [FileOfBill(file, called[file.id], changed.get(file.id, ())) for file in files]
    newest = {file.core_id: file for file in files}
    newest_gone = {file.core_id: file for file in sorted(of_gone, key=attrgetter(*_SCRAPE_ORDER))}
    return BillRecord(
        found,
        row,
        listed,
        [one for one in listed if one.file.outcome in ("failed", "deferred")],
        [Vote(vote, newest.get(vote.pk), vote.unmatched) for vote in votes],
        [_deleted(one, newest_gone.get(one.core_id), called) for one in gone],
        _flags(found.jurisdiction_id, core_ids),
        more,
    )


def _files(found: BillFound) -> tuple[list[File], bool]:
    """The newest files of the bill and of votes on it, in scrape order; whether there are older."""
    own = File.objects.none()
    if found.core_id:
        own = File.objects.filter(core_id=found.core_id).exclude(core_id="")
    chosen = {file.id: file for file in _newest(own)}
    if found.core_id:
        of_votes = File.objects.filter(bill_id=found.core_id).exclude(bill_id="")
        chosen |= {file.id: file for file in _newest(of_votes)}
    place = Q(jurisdiction_id=found.jurisdiction_id)
    naming = File.objects.filter(
        STUCK, place, session__in=[found.session, ""], bill_named=found.identifier
    )
    chosen |= {file.id: file for file in _newest(naming)}
    scrape_ids = {file.scrape_id for file in chosen.values() if file.object_type == "bill"} - {""}
    if scrape_ids:
        waiting = File.objects.filter(
            STUCK, place, bill_scrape_id__gt="", bill_scrape_id__in=scrape_ids
        )
        chosen |= {file.id: file for file in _newest(waiting)}
    files = sorted(chosen.values(), key=attrgetter(*_SCRAPE_ORDER))
    return files[-AT_MOST:], len(files) > AT_MOST


def _newest(files: Any) -> list[File]:
    in_order = files.order_by(*(f"-{name}" for name in _SCRAPE_ORDER))
    return list(in_order.defer(*_LARGE)[: AT_MOST + 1])


def _vote_events(bill_id: str) -> list[Any]:
    rows = VoteEvent.objects.filter(bill_id=bill_id).select_related("organization", "bill_action")
    rows = rows.annotate(unmatched=Count("votes", filter=Q(votes__voter=None)))
    return list(rows.prefetch_related("counts").order_by("start_date", "order")[:AT_MOST])


def _deletions(found: BillFound) -> Any:
    return LoggedChange.objects.filter(
        change="deleted",
        bill_identifier__gt="",
        bill_identifier=found.identifier,
        session=found.session,
        jurisdiction_id=found.jurisdiction_id,
        object_type="vote_event",
    ).order_by("-id")[:AT_MOST]


def _deleted(change: LoggedChange, file: File | None, called: Mapping[int, str]) -> DeletedVote:
    return DeletedVote(change, file, called[file.id] if file else change.core_id)


def _changes(core_ids: Collection[str]) -> dict[int, Sequence[tuple[str, str]]]:
    """What changed in these rows, by the file that did it, in commit order."""
    found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    log = LoggedChange.objects.filter(core_id__in=core_ids, file_id__isnull=False)
    for change in reversed(log.order_by("-xid", "-id")[: 5 * AT_MOST]):
        if change.file_id is not None:
            found[change.file_id].append((change.change, ", ".join(_told(change))))
    return dict(found)


def _told(change: LoggedChange) -> list[str]:
    if change.change == "inserted":
        return [f"{kind.replace('_', ' ')} {count}" for kind, count in sorted(change.after.items())]
    return differences(change)


def _flags(jurisdiction_id: str, core_ids: Collection[str]) -> list[RaisedFlag]:
    flags = RaisedFlag.objects.filter(
        jurisdiction_id=jurisdiction_id, kind__in=KINDS, subject__in=core_ids, resolved_at=None
    )
    return list(flags.order_by("-last_seen", "-id")[:AT_MOST])
