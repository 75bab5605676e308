"""The audit trail of operators' actions: in Django admin's log table, and in the log."""

import logging

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from realtime.models import File, RaisedFlag

logger = logging.getLogger(__name__)


def note(request: HttpRequest, row: File | RaisedFlag, what: str) -> None:
    """Record that the user of this request did `what` to a file or flag: in the log, then in the
    table."""
    about = {"action": what, "user": request.user.get_username(), "key": row.key}
    which = {"file" if isinstance(row, File) else "flag": row.pk}
    logger.info("done by an operator", extra={**about, **which})
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=str(row)[:200],
        action_flag=CHANGE,
        change_message=what,
    )


def history(row: File | RaisedFlag) -> list[LogEntry]:
    """The newest 20 actions on the file or flag, newest first."""
    kind = ContentType.objects.get_for_model(row)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(row.pk))
    return list(entries.select_related("user").order_by("-action_time")[:20])
