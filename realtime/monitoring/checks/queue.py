"""Checks of the queue: it exists, and its redrive policy suits imports."""

import json
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from realtime.backends import clients
from realtime.domain.config import Config
from realtime.domain.errors import ConfigurationError
from realtime.monitoring.checks.findings import Finding, ask

SETTING = "SQS_QUEUE_URL"
# Many receives do not prove a message bad: outages and busy jurisdictions cause receives too.
_FEW_RECEIVES = 100


def check_queue(**arguments: Any) -> list[CheckMessage]:
    """Check that the queue, where there is one, exists and has a dead-letter queue with a high
    `maxReceiveCount`."""
    config: Config = settings.REALTIME
    url = config.queue_url
    if not url:
        return []
    try:
        client = clients.client("sqs", threads=1, attempts=2)
        found = ask(
            SETTING,
            f"queue {url}",
            "sqs:GetQueueAttributes",
            lambda: client.get_queue_attributes(
                QueueUrl=url, AttributeNames=["RedrivePolicy", "QueueArn"]
            ),
        )
    except ConfigurationError as exc:
        return [Error(str(exc), id="realtime.E001")]
    except Finding as finding:
        return [finding.message]
    redrive = json.loads(found.get("Attributes", {}).get("RedrivePolicy", "{}"))
    if not redrive:
        return [
            Warning(
                f"{SETTING}: the queue has no redrive policy",
                hint="Give it a dead-letter queue with maxReceiveCount 1000, to catch messages that"
                " no run can finish.",
                id="realtime.W011",
            )
        ]
    if int(redrive["maxReceiveCount"]) < _FEW_RECEIVES:
        return [
            Warning(
                f"{SETTING}: messages go to the dead-letter queue after"
                f" {redrive['maxReceiveCount']} receives",
                hint="Outages and busy jurisdictions count as receives: set maxReceiveCount to"
                " 1000.",
                id="realtime.W012",
            )
        ]
    return []
