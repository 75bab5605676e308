"""AWS Lambda's way in: translates events into management commands, and reports into answers.

Four events are understood: a schedule (or anything else that brings no records), an SQS batch, an
S3 notification, and `{"housekeeping": true}`. What the commands guarantee holds here too; this
module adds nothing.
"""

import io
import json
import logging
import os
from typing import Any

import django
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from realtime.backends.sqs import SqsQueue
from realtime.domain.errors import Unavailable
from realtime.process.logs import said_of_all

logger = logging.getLogger(__name__)

# Shares of the time that is left: for importing, then for archiving; the rest is Lambda's.
_IMPORT, _ARCHIVE = 0.8, 0.6
# What no message calls for, and each one's share of the time that the ones before it left.
_HOUSEKEEPING = ("finalize_realtime", "archive_realtime", "prune_realtime")
_EACH = 0.5


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run one import within the invocation's time, then archive; returns the import's report.

    For an SQS batch the answer also names, under `batchItemFailures`, the messages that must come
    again: Lambda deletes the others. An S3 notification is first sent on to the queue, so that its
    files can be released or parked. Housekeeping sees to parked files, finalizes, archives and
    prunes instead, and returns what each command reports, by its name. An exception means that
    nothing was lost: Lambda, or the queue, delivers again.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    django.setup()
    with said_of_all(request_id=getattr(context, "aws_request_id", "")):
        return _handle(event, context)


def _handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    sources = {record.get("eventSource") for record in event.get("Records") or []}
    try:
        if event.get("housekeeping"):
            # A run that is given no message sees to what is parked.
            none = {"messages": "-", "stdin": io.StringIO()}
            reports = {"import_realtime": _report("import_realtime", context, _EACH, **none)}
            return reports | {name: _report(name, context, _EACH) for name in _HOUSEKEEPING}
        if sources == {"aws:sqs"}:
            given = {"messages": "-", "stdin": io.StringIO(json.dumps(event)), "until_empty": True}
            report = _report("import_realtime", context, _IMPORT, **given)
            released = report.pop("released_messages", [])
            report["batchItemFailures"] = [{"itemIdentifier": one} for one in released]
        else:
            if sources == {"aws:s3"}:
                _send_on(event)
            report = _report("import_realtime", context, _IMPORT, until_empty=True)
        try:
            _call("archive_realtime", time_limit=_share(context, _ARCHIVE))
        except CommandError as exc:
            # What was imported must not be delivered again for that; the next call archives it.
            about = {"action": "later", "cause": exc}
            logger.warning("archiving is left to the next invocation", extra=about)
    finally:
        # A frozen instance would keep its worker slot for as long as it is kept.
        connections.close_all()
    return report


def _report(command: str, context: Any, share: float, **options: Any) -> dict[str, Any]:
    printed = _call(command, json=True, time_limit=_share(context, share), **options)
    report: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return report


def _send_on(event: dict[str, Any]) -> None:
    queue = SqsQueue(settings.REALTIME.require_queue())
    if queue.send([json.dumps(event)]):
        raise Unavailable("the queue refused the notification: Lambda must deliver it again")


def _call(command: str, **options: Any) -> str:
    output = io.StringIO()
    call_command(command, stdout=output, **options)
    return output.getvalue()


def _share(context: Any, share: float) -> int:
    return max(int(context.get_remaining_time_in_millis() / 1000 * share), 1)
