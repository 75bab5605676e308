"""The audit trail of operators' actions: in Django admin's log table, and in the log."""

import logging

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from realtime.models import File

logger = logging.getLogger(__name__)


def note(request: HttpRequest, file: File, what: str) -> None:
    """Record that the user of this request did `what` to `file`: in the log, then in the table."""
    about = {"action": what, "user": request.user.get_username(), "file": file.pk, "key": file.key}
    logger.info("done by an operator", extra=about)
    LogEntry.objects.create(
        user_id=request.user.pk,
        content_type=ContentType.objects.get_for_model(File),
        object_id=str(file.pk),
        object_repr=str(file)[:200],
        action_flag=CHANGE,
        change_message=what,
    )


def history(file: File) -> list[LogEntry]:
    """The newest 20 actions on the file, newest first."""
    kind = ContentType.objects.get_for_model(File)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(file.pk))
    return list(entries.select_related("user").order_by("-action_time")[:20])
