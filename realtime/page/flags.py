"""The pages of flags: what is open, and one flag with the files it is about."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from realtime.ledger import flags
from realtime.ledger.files import database_now
from realtime.models import File, LoggedChange, RaisedFlag
from realtime.monitoring.status import flag_counts
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import audit, names
from realtime.page.access import operators_only
from realtime.page.failure import Content, content_of

_FLAGS = 100
_CHANGES = 10


class Note(forms.Form):
    """The form for resolving: a note, at most 500 characters."""

    note = forms.CharField(max_length=500, strip=True)


@dataclass(frozen=True)
class Side:
    """One of the files that a flag is about; `content` is None once the ledger has no such file."""

    title: str
    key: str
    file: File | None
    content: Content | None


@operators_only
def listed(request: HttpRequest) -> HttpResponse:
    """List the newest open flags. `?kind=` and `?jurisdiction=` (an id) limit them."""
    kind = request.GET.get("kind", "").replace("\0", "")
    jurisdiction_id = request.GET.get("jurisdiction", "").replace("\0", "")
    with read_only_transaction():
        groups = flag_counts.open_flags()
        found = list(flags.open_flags(jurisdiction_id, kind)[: _FLAGS + 1])
        now = database_now()
    return render(
        request,
        "realtime/flags.html",
        {
            "now": now,
            "groups": groups,
            "flags": found[:_FLAGS],
            "more": len(found) > _FLAGS,
            "kind": kind,
            "jurisdiction_id": jurisdiction_id,
        },
    )


@operators_only
def show(request: HttpRequest, flag_id: int) -> HttpResponse:
    """Show a flag: what it says, its two files or what its row had and has, and what changed."""
    flag = get_object_or_404(RaisedFlag, pk=flag_id)
    changes = LoggedChange.objects.filter(core_id=flag.core_id).exclude(core_id="")
    return render(
        request,
        "realtime/flag.html",
        {
            "flag": flag,
            "jurisdiction": names.name_of(flag.jurisdiction_id),
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


@operators_only
@require_POST
def resolve(request: HttpRequest, flag_id: int) -> HttpResponse:
    """Resolve one flag; the note says why."""
    flag = get_object_or_404(RaisedFlag, pk=flag_id)
    form = Note(request.POST)
    if not form.is_valid():
        messages.error(request, "Say in a note why this flag is resolved.")
    elif _resolve(request, flag, form.cleaned_data["note"]):
        messages.success(request, "Resolved. If it is raised again, it is a new flag.")
    else:
        messages.info(request, "Nothing to resolve: this flag is not open any more.")
    return redirect("realtime:flag", flag_id=flag.pk)


@transaction.atomic
def _resolve(request: HttpRequest, flag: RaisedFlag, why: str) -> bool:
    resolved = flags.resolve([flag.pk], request.user.get_username(), why)
    if resolved:
        audit.note(request, flag, f"resolve: {why}")
    return bool(resolved)
