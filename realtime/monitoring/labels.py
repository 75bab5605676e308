"""What lists call a file or a row of core's: `HB 123 · Of bridges`, not an id."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from openstates.data.models import Bill, Event, Person, VoteEvent

from realtime.models import File

# Characters of a title.
_WIDTH = 80


def labels(files: Iterable[File]) -> dict[int, str]:
    """What to call each of these files, by its id in the ledger: its bill's identifier and title, a
    vote event's bill and motion, an event's or a person's name; else the name of the file.

    At most five statements, however many files.
    """
    rows = list(files)
    named = _of_bills_by_scrape_id(rows)
    known = row_labels(
        {core_id for row in rows for core_id in (row.core_id, row.bill_id)}
        | {bill.core_id for bill in named.values()}
    )
    return {row.id: _label(row, known, named) for row in rows}


def row_labels(core_ids: Collection[str]) -> dict[str, str]:
    """What to call these rows of core's, by their ids; those that are gone are left out.

    At most four statements.
    """
    found: dict[str, str] = {}
    for kind, of in _KINDS.items():
        some = [core_id for core_id in core_ids if core_id.startswith(f"ocd-{kind}/")]
        if some:
            found |= of(some)
    return found


def titled(identifier: str, title: str) -> str:
    """An identifier with the beginning of the title, if there is one."""
    return f"{identifier} · {_short(title)}" if title else identifier


def _of_bills_by_scrape_id(rows: Collection[File]) -> Mapping[tuple[str, str], File]:
    """The newest file of each bill that vote events without a bill of core's name."""
    named = {
        (row.jurisdiction_id, row.bill_scrape_id)
        for row in rows
        if row.bill_scrape_id and not row.bill_id and not row.bill_named
    }
    if not named:
        return {}
    files = File.objects.filter(
        jurisdiction_id__in=[jurisdiction_id for jurisdiction_id, _ in named],
        object_type="bill",
        scrape_id__in=[scrape_id for _, scrape_id in named],
    )
    return {(one.jurisdiction_id, one.scrape_id): one for one in files.order_by("id")}


def _label(row: File, known: Mapping[str, str], named: Mapping[tuple[str, str], File]) -> str:
    if row.core_id in known:
        return known[row.core_id]
    if row.object_type == "bill" and row.bill_named:
        return row.bill_named
    if row.object_type == "vote_event":
        bill = named.get((row.jurisdiction_id, row.bill_scrape_id))
        core_id = row.bill_id or (bill.core_id if bill else "")
        of = known.get(core_id) or row.bill_named or (bill.bill_named if bill else "")
        if of:
            return f"Vote on {of}"
    return row.key.rpartition("/")[2] or row.key


def _bills(core_ids: Collection[str]) -> dict[str, str]:
    rows = Bill.objects.filter(pk__in=core_ids).values_list("pk", "identifier", "title")
    return {core_id: titled(identifier, title) for core_id, identifier, title in rows}


def _vote_events(core_ids: Collection[str]) -> dict[str, str]:
    rows = VoteEvent.objects.filter(pk__in=core_ids).order_by()
    return {
        core_id: f"Vote on {identifier} · {_short(motion)}"
        if identifier
        else f"Vote · {_short(motion)}"
        for core_id, identifier, motion in rows.values_list("pk", "bill__identifier", "motion_text")
    }


def _events(core_ids: Collection[str]) -> dict[str, str]:
    rows = Event.objects.filter(pk__in=core_ids).values_list("pk", "name", "start_date")
    return {core_id: f"{_short(name)} · {date[:10]}" for core_id, name, date in rows}


def _people(core_ids: Collection[str]) -> dict[str, str]:
    return dict(Person.objects.filter(pk__in=core_ids).values_list("pk", "name"))


_KINDS: Mapping[str, Callable[[Any], dict[str, str]]] = {
    "bill": _bills,
    "vote": _vote_events,
    "event": _events,
    "person": _people,
}


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1].rstrip()}…"
