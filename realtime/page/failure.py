"""The page of one file: its outcome, its content, its life and what it changed."""

import shlex
from dataclasses import dataclass
from io import BytesIO

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render

from realtime.domain.config import Bucket
from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Gone, StoredFile
from realtime.files import refetch
from realtime.ledger.failures import Group
from realtime.ledger.files import database_now
from realtime.models import File, LoggedChange, Outcome
from realtime.monitoring.labels import labels
from realtime.monitoring.status import file_lists
from realtime.page import audit, groups, links, names, services
from realtime.page.access import operators_only
from realtime.page.document import Document, document
from realtime.page.life import life

# Bytes. Browsers slow down on larger files.
MOST_BYTES = 1_000_000
_CHANGES = 10


@dataclass(frozen=True)
class Content:
    """Where a file is stored, and its document; or `problem`, why there is none.

    `is_there`: the store has it, or may have it, though it cannot be shown.
    """

    place: str
    document: Document | None = None
    problem: str = ""
    is_there: bool = False


@operators_only
def show(request: HttpRequest, file_id: int) -> HttpResponse:
    """Show everything the ledger knows of a file, and the file itself. 404 for an unknown id."""
    file = get_object_or_404(File, pk=file_id)
    message = document(file.message.encode(), file.field) if file.message else None
    failed = file.outcome == Outcome.FAILED
    logged = LoggedChange.objects.filter(core_id=file.core_id).exclude(core_id="")
    changes = list(logged.order_by("-xid", "-id")[:_CHANGES])
    own = [change for change in changes if change.file_id == file.pk]
    newer, older = file_lists.beside(file) if failed else (None, None)
    now = database_now()
    return render(
        request,
        "realtime/failure.html",
        {
            "now": now,
            "file": file,
            "name": file.key.rpartition("/")[2],
            "jurisdiction": names.name_of(file.jurisdiction_id),
            "failed": failed,
            "waiting": file.outcome == Outcome.DEFERRED and file.reason,
            "group": groups.address(Group(file.alike, file.jurisdiction_id)),
            "content": content_of(file),
            "message": message,
            # It may quote long values of the file: `document` cuts them.
            "traceback": document(file.traceback.encode(), "") if file.traceback else None,
            "life": life(file, own, now),
            "changes": changes,
            "label": labels([file])[file.pk],
            "bill_page": links.bill_of(file),
            "newer": newer,
            "older": older,
            "retry_command": f"python manage.py retry_realtime --key {shlex.quote(file.key)}",
            "history": audit.history(file),
        },
    )


@operators_only
def raw(request: HttpRequest, file_id: int) -> HttpResponseBase:
    """Send the very version of the file that the row is about, as a download.

    404 for an unknown id, and when the store has that version no more; 503 when it does not say.
    """
    file = get_object_or_404(File, pk=file_id)
    found = _stored(file, services.config().max_file_bytes)
    if isinstance(found, Content):
        return _no_file(found.problem, 503 if found.is_there else 404)
    if found.body is None:
        return _no_file(_too_large(found), 404)
    name = file.key.rpartition("/")[2]
    kind = "application/json" if name.endswith(".json") else "application/octet-stream"
    response = FileResponse(
        BytesIO(found.body), as_attachment=True, filename=name, content_type=kind
    )
    # Browsers must not guess that scraped text is a page.
    response["X-Content-Type-Options"] = "nosniff"
    return response


def content_of(file: File) -> Content:
    """The file's content, from where the ledger says that it is stored."""
    found = _stored(file, MOST_BYTES)
    if isinstance(found, Content):
        return found
    if found.body is None:
        return Content(_place(file), problem=_too_large(found), is_there=True)
    return Content(_place(file), document(found.body, file.field), is_there=True)


def _stored(file: File, most_bytes: int) -> StoredFile | Content:
    """The file as stored, or the Content that says why there is none."""
    if not file.bucket and not file.key.startswith("message:"):
        return Content(file.key, problem="The file is in a source that was imported by hand.")
    if not file.bucket:
        return Content("", problem="The message named no file.")
    place = _place(file)
    if file.archived_at and not file.archived_key:
        return Content(place, problem="The file is no longer in the bucket.")
    if file.bucket != services.config().bucket.name:
        return Content(place, problem="The file is in a bucket other than S3_REALTIME_BASE.")
    if services.config().bucket.strip(file.archived_key or file.key) is None:
        return Content(place, problem="The file is outside the prefix of S3_REALTIME_BASE.")
    try:
        return refetch.stored(services.store(), most_bytes, file)
    except Gone as exc:
        return Content(place, problem=f"The bucket has this version of the file no more: {exc}")
    except RealtimeError as exc:
        return Content(place, problem=f"The file cannot be shown: {exc}", is_there=True)


def _place(file: File) -> str:
    return Bucket(file.bucket).url_of(file.archived_key or file.key)


def _too_large(found: StoredFile) -> str:
    return f"The file is too large to show here: {found.object.size:,} bytes."


def _no_file(problem: str, status: int) -> HttpResponse:
    return HttpResponse(f"{problem}\n", status=status, content_type="text/plain; charset=utf-8")
