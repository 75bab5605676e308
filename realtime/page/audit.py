"""The audit trail of operators' actions: in Django admin's log table, and in the log."""

import logging
from collections.abc import Sequence

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from realtime.models import File, OperatorAction, Pause, RaisedFlag, ScrapeRun

logger = logging.getLogger(__name__)

Row = File | RaisedFlag | ScrapeRun | OperatorAction | Pause


def note(request: HttpRequest, row: Row, what: str) -> None:
    """Record that the user of this request did `what` to a row: in the log, then in the table."""
    about = {"action": what, "user": request.user.get_username(), "about": str(row)}
    logger.info("done by an operator", extra={**about, row._meta.model_name or "row": row.pk})
    note_all(request, [row], what)


def note_all(request: HttpRequest, rows: Sequence[Row], what: str) -> None:
    """Record in the table that the user of this request did `what` to these rows of one kind."""
    if not rows:
        return
    kind = ContentType.objects.get_for_model(rows[0])
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=request.user.pk,
            content_type=kind,
            object_id=str(row.pk),
            object_repr=str(row)[:200],
            action_flag=CHANGE,
            change_message=what,
        )
        for row in rows
    )


def history(row: Row) -> list[LogEntry]:
    """The newest 20 actions on the row, newest first."""
    kind = ContentType.objects.get_for_model(row)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(row.pk))
    return list(entries.select_related("user").order_by("-action_time")[:20])
