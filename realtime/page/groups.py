"""The pages of failures: in groups of those that are alike, and the files of one group."""

from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from realtime.ledger.failures import Group
from realtime.ledger.files import database_now
from realtime.monitoring.labels import labels
from realtime.monitoring.status import file_lists, groups
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import known, names
from realtime.page.access import operators_only
from realtime.page.pages import Pager, text

# In an address: the group of those of which it is not known what they are alike by.
UNKNOWN = "unknown"


@operators_only
def failures(request: HttpRequest) -> HttpResponse:
    """List the groups of failures, the largest first. `?jurisdiction=` (an id) and `?reason=` limit
    them."""
    jurisdiction_id = text(request.GET, "jurisdiction") or None
    reason = text(request.GET, "reason") or None
    with read_only_transaction():
        known.check(jurisdiction_id or "")
        found = groups.failures(jurisdiction_id, reason)
        chips = file_lists.failures()
        now = database_now()
    return render(
        request,
        "realtime/failures.html",
        {
            "now": now,
            "groups": [(one, address(Group(one.alike, jurisdiction_id))) for one in found],
            "more": len(found) == groups.AT_MOST,
            "files": sum(one.files for one in found),
            "jurisdiction_id": jurisdiction_id,
            "jurisdictions": sorted({one.jurisdiction_id for one in chips}, key=names.name_of),
            "reason": reason,
            "reasons": sorted({one.reason for one in chips}),
        },
    )


@operators_only
def failure_group(request: HttpRequest, alike: str) -> HttpResponse:
    """List the files of a group, those that failed last first. `?jurisdiction=` limits them,
    `?start=N` skips the first N. Says so when no file is in the group any more."""
    group = group_of(alike, request.GET)
    with read_only_transaction():
        about = groups.failure_group(group)
        pager = Pager(request.GET, about.files if about else 0)
        files = groups.files_of(group, pager.start, pager.SIZE)
        called = labels(files)
        now = database_now()
    return render(
        request,
        "realtime/failure_group.html",
        {
            "now": now,
            "group": about,
            "alike": alike,
            "jurisdiction_id": group.jurisdiction_id,
            "whole": address(Group(group.alike)),
            "places": [
                (id, number, address(Group(group.alike, id)))
                for id, number in (about.jurisdictions if about else {}).items()
            ],
            "files": files,
            "labels": called,
            "pager": pager,
        },
    )


def group_of(alike: str, fields: QueryDict) -> Group:
    """The group that an address or a form names."""
    is_group = len(alike) == 16 and alike.isalnum()
    if not is_group and alike != UNKNOWN:
        raise Http404("no such group")
    return Group(alike if is_group else None, text(fields, "jurisdiction"))


def address(group: Group) -> str:
    """The address of a group's page."""
    path = reverse("realtime:failure-group", args=[group.alike or UNKNOWN])
    if group.jurisdiction_id is None:
        return path
    return f"{path}?{urlencode({'jurisdiction': group.jurisdiction_id})}"
