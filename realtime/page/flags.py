"""The pages of flags: what is open, in groups, and one flag with the files it is about."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from realtime.ledger.files import database_now
from realtime.ledger.flags import FlagGroup
from realtime.models import File, LoggedChange, RaisedFlag
from realtime.monitoring.labels import row_labels
from realtime.monitoring.status import flag_counts, groups
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import audit, known, names
from realtime.page.access import operators_only
from realtime.page.failure import Content, content_of
from realtime.page.pages import Pager, text

_CHANGES = 10


@dataclass(frozen=True)
class Side:
    """One of the files that a flag is about; `content` is None once the ledger has no such file."""

    title: str
    key: str
    file: File | None
    content: Content | None


@operators_only
def listed(request: HttpRequest) -> HttpResponse:
    """List open flags: in groups, or with `?kind=` the flags of that kind, the newest first.

    `?jurisdiction=` (an id), `?of=` (a type) and `?lost=` limit them, `?start=N` skips the first N.
    """
    kind = text(request.GET, "kind") or ""
    jurisdiction_id = text(request.GET, "jurisdiction") or ""
    group = flag_group_of(request.GET) if kind else None
    with read_only_transaction():
        known.check(jurisdiction_id)
        chips = [one for one in flag_counts.open_flags() if one.kind == kind]
        pager = Pager(request.GET, group.flags().count() if group else 0)
        found = groups.flags_of(group, pager.start, pager.SIZE) if group else []
        grouped = [] if group else groups.flag_groups(jurisdiction_id)
        called = row_labels({flag.core_id for flag in found})
        now = database_now()
    return render(
        request,
        "realtime/flags.html",
        {
            "now": now,
            "group": group,
            "groups": [
                (
                    one,
                    flag_address(
                        FlagGroup(one.kind, jurisdiction_id or None, one.object_type, one.lost)
                    ),
                )
                for one in grouped
            ],
            "chips": chips,
            "flags": found,
            "pager": pager,
            "labels": called,
            "kind": kind,
            "jurisdiction_id": jurisdiction_id,
        },
    )


def flag_group_of(fields: QueryDict) -> FlagGroup:
    """The group of flags that an address or a form names."""
    return FlagGroup(
        text(fields, "kind") or "",
        text(fields, "jurisdiction") or None,
        text(fields, "of"),
        text(fields, "lost"),
    )


def flag_address(group: FlagGroup) -> str:
    """The address of the list of a group's flags."""
    fields = {
        "kind": group.kind,
        "jurisdiction": group.jurisdiction_id,
        "of": group.object_type,
        "lost": group.lost,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return f"{reverse('realtime:flags')}?{urlencode(given)}"


@operators_only
def show(request: HttpRequest, flag_id: int) -> HttpResponse:
    """Show a flag: what it says, its two files or what its row had and has, and what changed."""
    flag = get_object_or_404(RaisedFlag, pk=flag_id)
    changes = LoggedChange.objects.filter(core_id=flag.core_id).exclude(core_id="")
    return render(
        request,
        "realtime/flag.html",
        {
            "now": database_now(),
            "flag": flag,
            "jurisdiction": names.name_of(flag.jurisdiction_id),
            "labels": row_labels([flag.core_id]),
            "sides": list(_sides(flag)),
            "lost": _lost(flag.detail),
            "said": [(k, v) for k, v in flag.detail.items() if k not in ("before", "after")],
            "changes": changes.order_by("-xid", "-id")[:_CHANGES],
            "history": audit.history(flag),
        },
    )


def _sides(flag: RaisedFlag) -> Iterator[Side]:
    """The file that raised the flag and the one it collides with."""
    for title, file_id, key in (
        ("The file", flag.file_id, flag.key),
        ("The other file", flag.other_file_id, flag.other_key),
    ):
        if key:
            file = File.objects.filter(pk__in=[file_id]).first()
            yield Side(title, key, file, content_of(file) if file else None)


def _lost(detail: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    before, after = detail.get("before", {}), detail.get("after", {})
    return [(kind, count, after.get(kind, 0)) for kind, count in sorted(before.items())]
