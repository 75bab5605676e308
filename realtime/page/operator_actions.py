"""What an operator can do about failures. Each is a POST, and leaves a line of audit."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from realtime.domain.errors import RealtimeError
from realtime.files import redrive
from realtime.ledger import failures
from realtime.models import File
from realtime.page import audit, names, services
from realtime.page.access import operators_only

# A browser, and the proxy before us, wait a minute; a batch of files takes a few seconds.
_SECONDS = 20

_SENT = "sent again"
_TOLD = {
    redrive.RETRIED: _SENT,
    redrive.LATER: "can only be retried later",
    redrive.GONE: "gone from the bucket",
    redrive.REFUSED: "refused, since the message is what is wrong",
}


class Note(forms.Form):
    """Why a failure needs no attention."""

    note = forms.CharField(max_length=500, strip=True)


@operators_only
@require_POST
def retry(request: HttpRequest, file_id: int) -> HttpResponse:
    """Send one failed file again."""
    file = get_object_or_404(File, pk=file_id)
    rows = failures.again([file.pk])
    if rows:
        _send(request, file, "retry", [rows])
    else:
        messages.info(request, "This file is not failed any longer: there is nothing to retry.")
    return redirect("realtime:failure", file_id=file.pk)


@operators_only
@require_POST
def retry_alike(request: HttpRequest, file_id: int) -> HttpResponse:
    """Send all files again that failed in this jurisdiction for the same reason.

    As many as time allows: what is left is said, and the button still there.
    """
    file = get_object_or_404(File, pk=file_id)
    place = names.name_of(file.jurisdiction_id)
    alike = failures.alike(file.jurisdiction_id, file.reason)
    what = f"retry all of {place} that failed as {file.reason}"
    _send(request, file, what, _while_time_allows(alike))
    return redirect("realtime:failure", file_id=file.pk)


@operators_only
@require_POST
def discard(request: HttpRequest, file_id: int) -> HttpResponse:
    """Take one failure from the lists, with a note that says why."""
    file = get_object_or_404(File, pk=file_id)
    form = Note(request.POST)
    if not form.is_valid():
        messages.error(request, "Say in a note why this failure can be discarded.")
    elif _discard(request, file, form.cleaned_data["note"]):
        messages.success(request, "Discarded. The file stays where it is, and failed.")
    else:
        messages.info(request, "This file is not failed any longer: there is nothing to discard.")
    return redirect("realtime:failure", file_id=file.pk)


@transaction.atomic
def _discard(request: HttpRequest, file: File, why: str) -> bool:
    discarded = failures.discard([file.pk], request.user.get_username(), why)
    if discarded:
        audit.note(request, file, f"discard: {why}")
    return bool(discarded)


def _send(request: HttpRequest, file: File, what: str, batches: Iterable[list[File]]) -> None:
    told: list[str] = []
    done: Counter[str] = Counter()
    problem = ""
    try:
        config = services.config()
        for batch in batches:
            done += redrive.retry_files(
                services.store(), services.queue(), config, [batch], told.append
            )
    except RealtimeError as exc:
        problem = f"Not everything could be sent, and nothing is lost: {exc}"
    finally:
        # Whatever broke, what was sent before is sent.
        summary = ", ".join(f"{n} {_TOLD[name]}" for name, n in done.items() if n)
        audit.note(request, file, f"{what}: {summary or 'nothing was sent'}")
    if summary:
        level = messages.SUCCESS if set(+done) == {redrive.RETRIED} else messages.WARNING
        messages.add_message(request, level, f"{summary[:1].upper()}{summary[1:]}.")
    if problem:
        messages.error(request, problem)
    for sentence in told[:5]:
        messages.warning(request, sentence)


def _while_time_allows(batches: Iterator[list[File]]) -> Iterator[list[File]]:
    until = time.monotonic() + _SECONDS
    for batch in batches:
        yield batch
        if time.monotonic() > until:
            return
