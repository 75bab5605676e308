"""The long lists: a jurisdiction's files and scrape runs, and what is parked or not archived."""

from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.domain.scraped_object import OBJECT_TYPES
from realtime.ledger.files import database_now
from realtime.models import Outcome
from realtime.monitoring.labels import labels
from realtime.monitoring.status import file_lists, run_states
from realtime.monitoring.status.file_lists import UNARCHIVED, Which
from realtime.monitoring.status.lead_time import lead_times
from realtime.monitoring.status.paging import cursor, row_id
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import known, names
from realtime.page.access import operators_only
from realtime.page.progress import last_sent, progress

_FILES, _RUNS, _PARKED = 25, 20, 100

# No row has the outcome `released`.
_RECORDED = [one for one in Outcome if one is not Outcome.RELEASED]
# What the page of files can be limited to, in the words of its links.
_OUTCOMES = [
    ("", "all"),
    *((one.value, "parked" if one is Outcome.DEFERRED else one.value) for one in _RECORDED),
    (UNARCHIVED, "not yet archived"),
]
_TYPES = [("", "all types"), *((name, name) for name in OBJECT_TYPES)]


@operators_only
def files(request: HttpRequest) -> HttpResponse:
    """List a jurisdiction's files, newest first.

    `?jurisdiction=` is its id. `?outcome=`, `?type=`, `?reason=` and `?run=` (the id of a scrape
    run) limit them; `?older=` and `?newer=` say where the page begins or ends.
    """
    chosen = {
        name: request.GET.get(name, "").replace("\0", "")
        for name in ("jurisdiction", "outcome", "type", "reason", "run")
    }
    which = Which(
        chosen["jurisdiction"],
        chosen["outcome"],
        chosen["type"],
        chosen["reason"],
        _run_id(chosen["run"]),
    )
    at = cursor(request.GET.get("older", ""), request.GET.get("newer", ""), row_id)
    with read_only_transaction():
        known.check(which.jurisdiction_id)
        now = database_now()
        page = file_lists.listed(which, at, _FILES)
        called = labels(page.rows)

    def query(**changed: str) -> str:
        return urlencode({name: value for name, value in {**chosen, **changed}.items() if value})

    context = {
        "now": now,
        "jurisdiction_id": which.jurisdiction_id,
        "name": names.name_of(which.jurisdiction_id),
        "which": which,
        "page": page,
        "labels": called,
        "moved": at is not None,
        "query": query(),
        "outcomes": [(one, word, query(outcome=one, reason="")) for one, word in _OUTCOMES],
        "types": [(one, word, query(type=one)) for one, word in _TYPES],
        "without_reason": query(reason=""),
        "without_run": query(run=""),
    }
    return render(request, "realtime/files.html", context)


def _run_id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Http404("no such run") from None


@operators_only
def runs(request: HttpRequest) -> HttpResponse:
    """List a jurisdiction's scrape runs, newest first. `?jurisdiction=`, `?older=` and `?newer=`
    are as in `files`."""
    jurisdiction_id = request.GET.get("jurisdiction", "").replace("\0", "")
    at = cursor(request.GET.get("older", ""), request.GET.get("newer", ""), UUID)
    with read_only_transaction():
        known.check(jurisdiction_id)
        now = database_now()
        states, page = run_states.listed(now, jurisdiction_id, at, _RUNS)
        ended = [one.run.finished_at for one in states if one.run.finished_at]
        sooner = (
            lead_times(min(ended), max(ended) + timedelta.resolution, [jurisdiction_id], True)
            if ended
            else []
        )
        shown = progress(states, last_sent([jurisdiction_id]), sooner)
    context = {
        "now": now,
        "jurisdiction_id": jurisdiction_id,
        "name": names.name_of(jurisdiction_id),
        "runs": shown,
        "page": page,
        "moved": at is not None,
        "query": urlencode({"jurisdiction": jurisdiction_id}),
    }
    return render(request, "realtime/runs.html", context)


@operators_only
def parked(request: HttpRequest) -> HttpResponse:
    """List what parked files wait for, longest first, and where files are not archived yet.

    `?jurisdiction=` limits it to one.
    """
    jurisdiction_id = request.GET.get("jurisdiction", "").replace("\0", "")
    with read_only_transaction():
        known.check(jurisdiction_id)
        now = database_now()
        groups = file_lists.parked(jurisdiction_id)
        unarchived = file_lists.unarchived(jurisdiction_id)
    context = {
        "now": now,
        "jurisdiction_id": jurisdiction_id,
        "name": names.name_of(jurisdiction_id) if jurisdiction_id else "",
        "groups": groups[:_PARKED],
        "more": max(len(groups) - _PARKED, 0),
        "files": sum(group.files for group in groups),
        "unarchived": unarchived,
        "unarchived_more": sum(one.files for one in unarchived) >= file_lists.AT_MOST,
    }
    return render(request, "realtime/parked.html", context)
