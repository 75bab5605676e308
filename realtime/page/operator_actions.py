"""Operators' actions: proposed with exactly what they will touch, confirmed, gone on with.

Each that changes something is a POST, needs the right to act, and is audited.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from realtime.ledger import actions
from realtime.ledger.files import database_now
from realtime.models import ActionItem, File, OperatorAction, RaisedFlag, Result, Verb
from realtime.monitoring.labels import labels, row_labels
from realtime.page import audit, bulk, proposals
from realtime.page.access import actors_only, operators_only
from realtime.page.pages import Pager
from realtime.page.words import BECAME, VERBS

# That need a note: why.
_NOTED = (Verb.DISCARD, Verb.RESOLVE)
_UNDO = {Verb.DISCARD: Verb.UNDISCARD, Verb.RESOLVE: Verb.REOPEN}


class Note(forms.Form):
    """Why a failure or flag needs no attention, at most 500 characters."""

    note = forms.CharField(max_length=500, strip=True)


@dataclass(frozen=True)
class Line:
    """What became of some of an action's items."""

    became: str
    told: str
    number: int


@operators_only
def listed(request: HttpRequest) -> HttpResponse:
    """List the actions that were confirmed, the newest first."""
    found = OperatorAction.objects.filter(confirmed_at__isnull=False)
    pager = Pager(request.GET, found[: 200 * Pager.SIZE].count())
    shown = list(found.order_by("-confirmed_at", "-id")[pager.start : pager.start + pager.SIZE])
    now = database_now()
    return render(
        request,
        "realtime/actions.html",
        {
            "now": now,
            "pager": pager,
            "actions": [(one, VERBS[Verb(one.verb)], _state(one, now)) for one in shown],
        },
    )


@actors_only
@require_POST
def propose(request: HttpRequest) -> HttpResponse:
    """Propose what a form asks for: nothing is done yet."""
    try:
        action = proposals.propose(request)
    except proposals.Nothing as exc:
        messages.info(request, str(exc))
        return redirect(exc.back)
    return redirect("realtime:action", action_id=action.pk)


@operators_only
def show(request: HttpRequest, action_id: int) -> HttpResponse:
    """Show an action: what it will do, or what came of it, by the ledger as it is now."""
    action = get_object_or_404(OperatorAction, pk=action_id)
    now, verb = database_now(), Verb(action.verb)
    became = actions.became(action) if action.confirmed_at else {}
    items = ActionItem.objects.filter(action=action).order_by("target_id")
    pager = Pager(request.GET, action.size)
    undo = _UNDO.get(verb) if became.get(Result.DONE) else None
    left = sum(became.get(name, 0) for name in actions.STILL)
    return render(
        request,
        "realtime/action.html",
        {
            "now": now,
            "action": action,
            "verb": VERBS[verb],
            "state": _state(action, now, became),
            "lines": _lines(verb, {**action.counts, **became}),
            "is_of_group": proposals.is_of_group(action),
            "joined": proposals.joined(action),
            "needs_note": verb in _NOTED,
            "undo": undo and VERBS[undo],
            "back": proposals.back(action),
            "pager": pager,
            "items": _named(verb, items[pager.start : pager.start + pager.SIZE]),
            "through": action.size - left,
            # Changes with each request that has done anything.
            "mark": left if action.size else sum(action.counts.values()),
            "goes_on": not action.error and action.by == request.user.get_username(),
            "history": audit.history(action),
            "seconds": bulk.SECONDS,
        },
    )


@actors_only
@require_POST
def go(request: HttpRequest, action_id: int) -> HttpResponse:
    """Confirm an action, or go on with it: works for about 20 seconds; with `briefly`, on one batch
    of its items, because the page that comes next goes on by itself."""
    action = get_object_or_404(OperatorAction, pk=action_id)
    form = Note(request.POST)
    if action.confirmed_at is None:
        if not form.is_valid() and action.verb in _NOTED:
            messages.error(request, f"Say in a note why {VERBS[Verb(action.verb)].needs_note}.")
            return redirect("realtime:action", action_id=action.pk)
        note = form.cleaned_data.get("note", "")
        actions.confirm(action, request.user.get_username(), note)
        action.refresh_from_db()
    seconds = 0 if action.size and "briefly" in request.POST else bulk.SECONDS
    if not bulk.work(request, action, seconds):
        action.refresh_from_db()
        if not action.is_done:
            messages.info(request, "Nothing was begun: another request works on this, or alike.")
    return redirect("realtime:action", action_id=action.pk)


@actors_only
@require_POST
def retry(request: HttpRequest, file_id: int) -> HttpResponse:
    """Send one failed file again, at once."""
    return _at_once(request, Verb.RETRY, get_object_or_404(File, pk=file_id))


@actors_only
@require_POST
def discard(request: HttpRequest, file_id: int) -> HttpResponse:
    """Remove one failure from the lists; the note says why."""
    return _at_once(request, Verb.DISCARD, get_object_or_404(File, pk=file_id))


@actors_only
@require_POST
def undiscard(request: HttpRequest, file_id: int) -> HttpResponse:
    """Bring one discarded failure back to the lists."""
    return _at_once(request, Verb.UNDISCARD, get_object_or_404(File, pk=file_id))


@actors_only
@require_POST
def resolve(request: HttpRequest, flag_id: int) -> HttpResponse:
    """Resolve one flag; the note says why."""
    return _at_once(request, Verb.RESOLVE, get_object_or_404(RaisedFlag, pk=flag_id))


@actors_only
@require_POST
def reopen(request: HttpRequest, flag_id: int) -> HttpResponse:
    """Open one resolved flag again."""
    return _at_once(request, Verb.REOPEN, get_object_or_404(RaisedFlag, pk=flag_id))


def _at_once(request: HttpRequest, verb: Verb, row: File | RaisedFlag) -> HttpResponse:
    """One file or flag: its page names it, so the button there is its own confirmation."""
    form, words = Note(request.POST), VERBS[verb]
    place = redirect(row_address(row))
    if not form.is_valid() and verb in _NOTED:
        messages.error(request, f"Say in a note why {words.needs_note}.")
        return place
    what = _called([row])[row.pk]
    if isinstance(row, RaisedFlag):
        what = f"{row.kind}: {what}"
    by = request.user.get_username()
    action = actions.propose(verb, by, what, [row.pk])
    actions.confirm(action, by, form.cleaned_data.get("note", ""))
    action.refresh_from_db()
    bulk.work(request, action, bulk.SECONDS)
    [item] = ActionItem.objects.filter(action=action)
    if item.result == Result.DONE:
        messages.success(request, words.done_to_one)
    elif item.result == Result.SETTLED:
        messages.info(request, words.settled_one)
    elif item.result:
        messages.warning(request, f"{item.get_result_display().capitalize()}: {item.why}")
    if action.error:
        messages.error(request, action.error)
    return place


def row_address(row: File | RaisedFlag) -> str:
    """The page of a file or flag."""
    if isinstance(row, File):
        return reverse("realtime:failure", args=[row.pk])
    return reverse("realtime:flag", args=[row.pk])


def _state(action: OperatorAction, now: datetime, became: Mapping[str, int] | None = None) -> str:
    """In one word; `became` is what became of its items, where that is known."""
    if action.confirmed_at is None:
        return "proposed"
    if action.is_done or (became and not any(became.get(name) for name in actions.STILL)):
        return "done"
    if action.working_until and action.working_until > now:
        return "working"
    return "stopped"


def _lines(verb: Verb, counts: dict[str, int]) -> list[Line]:
    """What became of the items, what needs a look first."""
    told = BECAME[verb].items()
    known = [Line(name, words, counts[name]) for name, words in told if counts.get(name)]
    if known or verb not in actions.ALONE:
        return known
    return [Line("nothing", "nothing to do", 0)]


def _named(verb: Verb, items: Any) -> list[tuple[ActionItem, Any, str, str]]:
    """The items with the files or flags that they are, their addresses and what to call them; None
    for what the ledger has forgotten."""
    items = list(items)
    model: Any = RaisedFlag if verb in (Verb.RESOLVE, Verb.REOPEN) else File
    rows = model.objects.defer("detail").in_bulk([item.target_id for item in items])
    called = _called(rows.values())
    return [
        (item, row, row_address(row) if row else "", called.get(item.target_id, ""))
        for item in items
        for row in [rows.get(item.target_id)]
    ]


def _called(rows: Iterable[File | RaisedFlag]) -> dict[int, str]:
    """What to call files, or flags, by their ids in the ledger."""
    rows = list(rows)
    flags = [row for row in rows if isinstance(row, RaisedFlag)]
    known = row_labels({flag.core_id for flag in flags if flag.core_id == flag.subject})
    called = {flag.pk: known.get(flag.core_id, flag.subject) for flag in flags}
    return called | labels(row for row in rows if isinstance(row, File))
