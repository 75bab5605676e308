"""The AWS Lambda handler: runs management commands for events and returns their reports.

It takes four kinds of events: a schedule (or any event without records), an SQS batch, an S3
notification, and `{"housekeeping": true}`. The guarantees are those of the commands.
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
from realtime.process.logs import log_context

logger = logging.getLogger(__name__)

# Shares of the remaining time: for importing, then for archiving. The rest is a reserve.
_IMPORT, _ARCHIVE = 0.8, 0.6
# Commands that housekeeping runs after an import of parked files, and each one's share of the time
# that is left when it starts.
_HOUSEKEEPING = ("finalize_realtime", "archive_realtime", "prune_realtime")
_EACH = 0.5


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Import within the invocation's remaining time, then archive; returns the import's report.

    - A schedule imports from the queue until it is empty.
    - An SQS batch is imported as given. The answer also names, under `batchItemFailures`, the
      messages to deliver again; Lambda deletes the others.
    - An S3 notification is first sent on to the queue, so that its files can be released or parked.
      Without a queue, it and a schedule import what lies in the store's root.
    - Housekeeping imports files whose message was lost and parked files that can be imported now,
      and fails expired ones, then finalizes, archives and prunes. It returns each command's report
      by the command's name.

    After an exception nothing is lost: Lambda or the queue delivers the event again.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    django.setup()
    with log_context(request_id=getattr(context, "aws_request_id", "")):
        return _handle(event, context)


def _handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    sources = {record.get("eventSource") for record in event.get("Records") or []}
    try:
        if event.get("housekeeping"):
            # A run that finds nothing still handles parked files.
            lost = {"sweep": True, "until_empty": True}
            reports = {"import_realtime": _report("import_realtime", context, _EACH, **lost)}
            return reports | {name: _report(name, context, _EACH) for name in _HOUSEKEEPING}
        if sources == {"aws:sqs"}:
            given = {"messages": "-", "stdin": io.StringIO(json.dumps(event)), "until_empty": True}
            report = _report("import_realtime", context, _IMPORT, **given)
            released = report.pop("released_messages", [])
            report["batchItemFailures"] = [{"itemIdentifier": one} for one in released]
        else:
            if sources == {"aws:s3"} and settings.REALTIME.queue_url:
                _send_on(event)
            report = _report("import_realtime", context, _IMPORT, until_empty=True)
        try:
            _call("archive_realtime", time_limit=_share(context, _ARCHIVE))
        except CommandError as exc:
            # Raising would deliver imported messages again. The next invocation archives the rest.
            about = {"action": "later", "cause": exc}
            logger.warning("archiving is left to the next invocation", extra=about)
    finally:
        # Lambda freezes the instance: an open connection would keep its worker slot meanwhile.
        connections.close_all()
    return report


def _report(command: str, context: Any, share: float, **options: Any) -> dict[str, Any]:
    printed = _call(command, json=True, time_limit=_share(context, share), **options)
    report: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return report


def _send_on(event: dict[str, Any]) -> None:
    queue = SqsQueue(settings.REALTIME.queue_url)
    if queue.send([json.dumps(event)]):
        raise Unavailable("the queue refused the notification; Lambda delivers it again")


def _call(command: str, **options: Any) -> str:
    output = io.StringIO()
    call_command(command, stdout=output, **options)
    return output.getvalue()


def _share(context: Any, share: float) -> int:
    return max(int(context.get_remaining_time_in_millis() / 1000 * share), 1)
