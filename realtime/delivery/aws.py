"""Topics of SNS and queues of SQS."""

import json
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from realtime.backends import clients
from realtime.delivery.errors import Undeliverable
from realtime.domain.receivers import SNS, Receiver

# The most that SNS and SQS take in one request.
_BATCH = 10
# Seconds, and attempts of one request.
_PATIENCE, _ATTEMPTS = 5.0, 2


class TopicOrQueue:
    """Gets a message for each event, with its `type` and `source` as attributes.

    A FIFO one gets them in order: its groups are the jurisdictions, and an event that comes twice
    within five minutes is passed on once. Then one event a request: of several, one in the middle
    may be refused.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._target = receiver.target
        self._is_topic = receiver.kind == SNS
        self._fifo = receiver.target.endswith(".fifo")
        self.most = 1 if self._fifo else _BATCH
        self._client: Any = clients.client(
            receiver.kind, 1, _ATTEMPTS, connect_timeout=_PATIENCE, read_timeout=_PATIENCE
        )

    def send(self, events: Sequence[dict[str, Any]]) -> None:
        """Send up to `most` events. Raises Undeliverable when one of them is not taken."""
        entries = [self._entry(number, event) for number, event in enumerate(events)]
        try:
            if self._is_topic:
                answer = self._client.publish_batch(
                    TopicArn=self._target, PublishBatchRequestEntries=entries
                )
            else:
                answer = self._client.send_message_batch(QueueUrl=self._target, Entries=entries)
        except (BotoCoreError, ClientError) as exc:
            raise Undeliverable(str(exc)) from exc
        for refused in answer.get("Failed", []):
            raise Undeliverable(f"{refused['Code']}: {refused.get('Message', '')}")

    def _entry(self, number: int, event: dict[str, Any]) -> dict[str, Any]:
        attributes = {
            name: {"DataType": "String", "StringValue": event[name]} for name in ("type", "source")
        }
        entry: dict[str, Any] = {"Id": str(number), "MessageAttributes": attributes}
        entry["Message" if self._is_topic else "MessageBody"] = json.dumps(event)
        if self._fifo:
            entry |= {"MessageGroupId": event["source"], "MessageDeduplicationId": event["id"]}
        return entry
