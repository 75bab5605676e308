"""One file and what became of it: the page of a failure."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Gone
from realtime.models import File, Outcome
from realtime.page import audit, names, services
from realtime.page.access import operators_only
from realtime.page.document import Document, document

# What a browser takes without effort; a larger file is for a better tool.
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Content:
    """Where a file is, and what it says, or why that cannot be shown."""

    place: str
    document: Document | None = None
    problem: str = ""


@operators_only
def show(request: HttpRequest, file_id: int) -> HttpResponse:
    """Everything that is known of a file."""
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
            "content": _content(file),
            "message": message,
            # It quotes values of the file, however long.
            "traceback": document(file.traceback.encode(), "") if file.traceback else None,
            "history": audit.history(file),
        },
    )


def _content(file: File) -> Content:
    if not file.bucket:
        return Content("", problem="The message named no file.")
    key = file.archived_key or file.key
    place = f"s3://{file.bucket}/{key}"
    if file.archived_at and not file.archived_key:
        return Content(place, problem="The file is no longer in the bucket.")
    if file.bucket != services.config().bucket.name:
        return Content(place, problem="The file lies in a bucket that is not ours.")
    if services.config().bucket.strip(key) is None:
        return Content(place, problem="The file lies outside of our part of the bucket.")
    try:
        # A copy has a version id of its own, which the ledger does not know.
        version_id = "" if file.archived_key else file.version_id
        found = services.store().get(key, MOST_BYTES, version_id)
    except Gone:
        return Content(place, problem="The file is not in the bucket any longer.")
    except RealtimeError as exc:
        return Content(place, problem=f"The file cannot be shown: {exc}")
    if found.body is None:
        size = f"{found.object.size:,} bytes"
        return Content(place, problem=f"The file is too large to be shown here: {size}.")
    return Content(place, document(found.body, file.field))
