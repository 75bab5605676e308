"""The page of one file: its outcome, its content and its history."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Gone
from realtime.models import File, Outcome
from realtime.page import audit, names, services
from realtime.page.access import operators_only
from realtime.page.document import Document, document

# Bytes. Browsers slow down on larger files.
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Content:
    """Where a file is stored, and its document; or `problem`, why there is none."""

    place: str
    document: Document | None = None
    problem: str = ""


@operators_only
def show(request: HttpRequest, file_id: int) -> HttpResponse:
    """Show everything the ledger knows of a file, and the file itself. 404 for an unknown id."""
    file = get_object_or_404(File, pk=file_id)
    message = document(file.message.encode(), file.field) if file.message else None
    return render(
        request,
        "realtime/failure.html",
        {
            "file": file,
            "name": file.key.rpartition("/")[2],
            "jurisdiction": names.name_of(file.jurisdiction_id),
            "failed": file.outcome == Outcome.FAILED,
            "waiting": file.outcome == Outcome.DEFERRED and file.reason,
            "content": content_of(file),
            "message": message,
            # It may quote long values of the file: `document` cuts them.
            "traceback": document(file.traceback.encode(), "") if file.traceback else None,
            "history": audit.history(file),
        },
    )


def content_of(file: File) -> Content:
    """The file's content, from where the ledger says that it is stored."""
    if not file.bucket:
        return Content("", problem="The message named no file.")
    key = file.archived_key or file.key
    place = f"s3://{file.bucket}/{key}"
    if file.archived_at and not file.archived_key:
        return Content(place, problem="The file is no longer in the bucket.")
    if file.bucket != services.config().bucket.name:
        return Content(place, problem="The file is in a bucket other than S3_REALTIME_BASE.")
    if services.config().bucket.strip(key) is None:
        return Content(place, problem="The file is outside the prefix of S3_REALTIME_BASE.")
    try:
        # A moved file has a new version id, which the ledger does not record.
        version_id = "" if file.archived_key else file.version_id
        found = services.store().get(key, MOST_BYTES, version_id)
    except Gone:
        return Content(place, problem="The bucket has no such file.")
    except RealtimeError as exc:
        return Content(place, problem=f"The file cannot be shown: {exc}")
    if found.body is None:
        size = f"{found.object.size:,} bytes"
        return Content(place, problem=f"The file is too large to show here: {size}.")
    return Content(place, document(found.body, file.field))
