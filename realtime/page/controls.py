"""The page of what can be done to the whole: pause and resume, and the housekeeping."""

from collections.abc import Sequence
from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from realtime.ledger import pauses
from realtime.ledger.files import database_now
from realtime.models import File, OperatorAction, Outcome, Pause, Verb
from realtime.monitoring.labels import labels
from realtime.monitoring.status import file_lists, lag
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import audit, bulk, known, names, services
from realtime.page.access import actors_only, operators_only
from realtime.page.pages import text
from realtime.page.words import VERBS

# In an address and a form: all jurisdictions.
EVERYWHERE = "all"
_EXAMPLES = 5


class Reason(forms.Form):
    """Why somebody pauses or resumes, at most 500 characters."""

    reason = forms.CharField(max_length=500, strip=True)


@operators_only
def show(request: HttpRequest) -> HttpResponse:
    """Show what is paused, and since when the housekeeping was last asked for here."""
    with read_only_transaction():
        found = pauses.open_pauses()
        imported = lag.jurisdictions()
        unarchived = sum(one.files for one in file_lists.unarchived())
        now = database_now()
    tasks = [Verb.ARCHIVE, Verb.PRUNE]
    if services.config().queue_url:
        tasks.insert(0, Verb.ANNOUNCE)
    paused = {pause.jurisdiction_id for pause in found}
    return render(
        request,
        "realtime/controls.html",
        {
            "now": now,
            "pauses": [(pause, _word(pause.jurisdiction_id)) for pause in found],
            "breaker": pauses.BREAKER,
            "known": sorted(
                [(id, names.name_of(id)) for id in imported if id and id not in paused],
                key=lambda one: one[1],
            ),
            "all_paused": pauses.ALL in paused,
            "everywhere": EVERYWHERE,
            "tasks": [(verb, VERBS[verb], _last(verb)) for verb in tasks],
            "unarchived": unarchived,
            "unarchived_more": unarchived >= file_lists.AT_MOST,
        },
    )


@actors_only
def pause(request: HttpRequest) -> HttpResponse:
    """Ask whether a jurisdiction, or all, is to be paused, and why; a POST does it."""
    word, jurisdiction_id = _asked(request)
    form = Reason(request.POST or None)
    if request.method == "POST" and form.is_valid():
        by, why = request.user.get_username(), form.cleaned_data["reason"]
        if pauses.pause(jurisdiction_id, by, why):
            _note(request, jurisdiction_id, f"pause: {why}")
            messages.success(request, f"{_name(jurisdiction_id)}: paused. Nothing is lost.")
        else:
            messages.info(request, f"{_name(jurisdiction_id)}: was paused before.")
        return redirect("realtime:controls")
    return render(
        request,
        "realtime/pause.html",
        {
            "word": word,
            "name": _name(jurisdiction_id),
            "paused": pauses.open_pause(jurisdiction_id),
            "form": form,
        },
    )


@actors_only
def resume(request: HttpRequest) -> HttpResponse:
    """Ask whether a pause is to end, showing what it is about; a POST does it. With `meant`, the
    breaker lets the files pass that were parked."""
    word, jurisdiction_id = _asked(request)
    found = Pause.objects.filter(jurisdiction_id=jurisdiction_id, resumed_at=None).first()
    everything = pauses.open_pauses() if jurisdiction_id == pauses.ALL else []
    if request.method == "POST":
        # In the form: these pauses, and no later one, were looked at, and what was parked then.
        listed = {id for id in request.POST.getlist("pause") if id.isdecimal()}
        looked_at = [one for one in (*everything, found) if one and str(one.pk) in listed]
        as_of = _time(text(request.POST, "as_of") or "")
        if found is None or found not in looked_at or ("meant" in request.POST and as_of is None):
            messages.info(request, f"{_name(jurisdiction_id)}: that pause has ended.")
            return redirect("realtime:controls")
        return _resume(request, found, looked_at, as_of)
    parked = File.objects.filter(outcome=Outcome.DEFERRED, paused_at__isnull=False)
    if jurisdiction_id != pauses.ALL:
        parked = parked.filter(jurisdiction_id=jurisdiction_id)
    examples = list(parked.order_by("-id").defer(*bulk.LARGE)[:_EXAMPLES])
    return render(
        request,
        "realtime/resume.html",
        {
            "word": word,
            "name": _name(jurisdiction_id),
            "as_of": database_now().isoformat(),
            "pause": found,
            "others": [one for one in everything if one != found],
            "by_breaker": found is not None and found.by == pauses.BREAKER,
            "parked": parked.count(),
            "examples": examples,
            "labels": labels(examples),
        },
    )


def _resume(
    request: HttpRequest, found: Pause, looked_at: Sequence[Pause], as_of: datetime | None
) -> HttpResponse:
    by, meant = request.user.get_username(), "meant" in request.POST
    why = (text(request.POST, "reason") or "").strip()[:500]
    whose, only = found.jurisdiction_id, {one.pk for one in looked_at}
    parked = pauses.resume(whose, by, why, force=meant, only=only, until=as_of)
    if parked is None:
        messages.info(request, f"{_name(whose)}: was not paused.")
        return redirect("realtime:controls")
    said = f"resume{', it is meant' if meant else ''}{f': {why}' if why else ''}"
    audit.note(request, found, said)
    audit.note_all(request, [one for one in set(looked_at) if one != found], said)
    told = f"{_name(whose)}: resumed. {_imported_next(parked)}"
    if whose == pauses.ALL and (still := pauses.open_pauses()):
        names_of = ", ".join(_name(one.jurisdiction_id) for one in still)
        told += f" Paused since you looked, and still so: {names_of}."
    elif pauses.open_pause(whose):
        told += " All jurisdictions are still paused."
    messages.success(request, told)
    return redirect("realtime:controls")


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _imported_next(parked: int) -> str:
    if parked == 1:
        return "1 parked file is imported next."
    return f"{parked:,} parked files are imported next."


def _note(request: HttpRequest, jurisdiction_id: str, said: str) -> None:
    row = Pause.objects.filter(jurisdiction_id=jurisdiction_id).latest("id")
    audit.note(request, row, said)


def _asked(request: HttpRequest) -> tuple[str, str]:
    """The jurisdiction of an address or form, as its word and its id. Raises Http404 for one that
    neither core nor the ledger knows."""
    word = text(request.POST or request.GET, "jurisdiction") or ""
    if word == EVERYWHERE:
        return word, pauses.ALL
    if not word or not known.is_known(word):
        raise Http404("no such jurisdiction")
    return word, word


def _word(jurisdiction_id: str) -> str:
    return jurisdiction_id or EVERYWHERE


def _name(jurisdiction_id: str) -> str:
    return names.name_of(jurisdiction_id) if jurisdiction_id else "All jurisdictions"


def _last(verb: Verb) -> OperatorAction | None:
    return (
        OperatorAction.objects.filter(verb=verb, confirmed_at__isnull=False)
        .order_by("-confirmed_at")
        .first()
    )
