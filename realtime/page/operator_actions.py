"""Actions on failed files: retry, retry all alike, discard. Each is a POST and is audited."""

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

# Browsers and proxies time out after about a minute; one batch takes a few seconds.
_RETRY_SECONDS = 20

_RESULTS = {
    redrive.RETRIED: "sent again",
    redrive.LATER: "cannot be retried yet",
    redrive.GONE: "no longer in the bucket",
    redrive.REFUSED: "refused: the message is wrong, not the file",
}


class Note(forms.Form):
    """The form for discarding: a note, at most 500 characters."""

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
        messages.info(request, "Nothing to retry: this file is no longer failed.")
    return redirect("realtime:failure", file_id=file.pk)


@operators_only
@require_POST
def retry_alike(request: HttpRequest, file_id: int) -> HttpResponse:
    """Send every failed file of the same jurisdiction and reason again.

    Begins no new batch after 20 seconds. Files left over stay failed: press the button again.
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
    """Remove one failure from the lists; the note says why."""
    file = get_object_or_404(File, pk=file_id)
    form = Note(request.POST)
    if not form.is_valid():
        messages.error(request, "Say in a note why this failure can be discarded.")
    elif _discard(request, file, form.cleaned_data["note"]):
        messages.success(request, "Discarded. The file is not moved, and its outcome stays failed.")
    else:
        messages.info(request, "Nothing to discard: this file is no longer failed.")
    return redirect("realtime:failure", file_id=file.pk)


@transaction.atomic
def _discard(request: HttpRequest, file: File, why: str) -> bool:
    discarded = failures.discard([file.pk], request.user.get_username(), why)
    if discarded:
        audit.note(request, file, f"discard: {why}")
    return bool(discarded)


def _send(request: HttpRequest, file: File, what: str, batches: Iterable[list[File]]) -> None:
    warnings: list[str] = []
    done: Counter[str] = Counter()
    problem = ""
    try:
        config = services.config()
        redrive.retry_files(
            services.store(), services.queue(), config, batches, warnings.append, done
        )
    except RealtimeError as exc:
        problem = f"Some files were not sent again; nothing is lost: {exc}"
    finally:
        # Also after an error: some may have been sent before it.
        summary = ", ".join(f"{n} {_RESULTS[name]}" for name, n in done.items() if n)
        audit.note(request, file, f"{what}: {summary or 'nothing was sent'}")
    if summary:
        level = messages.SUCCESS if set(+done) == {redrive.RETRIED} else messages.WARNING
        messages.add_message(request, level, f"{summary[:1].upper()}{summary[1:]}.")
    if problem:
        messages.error(request, problem)
    for warning in warnings[:5]:
        messages.warning(request, warning)


def _while_time_allows(batches: Iterator[list[File]]) -> Iterator[list[File]]:
    until = time.monotonic() + _RETRY_SECONDS
    for batch in batches:
        yield batch
        if time.monotonic() > until:
            return
