"""What waits in the queue, for a page that is shown whether or not AWS answers."""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from realtime import aws
from realtime.errors import RealtimeError
from realtime.page import services


@dataclass(frozen=True)
class Queue:
    """How many messages are visible, in flight (received, and not yet done with) and delayed; or,
    in words, why that is not known."""

    visible: int = 0
    in_flight: int = 0
    delayed: int = 0
    problem: str = ""


def ask() -> Queue:
    """The queue's own figures, which AWS calls approximate."""
    try:
        url = services.config().require_queue()
        client = aws.client("sqs", 1, attempts=1)
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except (RealtimeError, BotoCoreError, ClientError) as exc:
        return Queue(problem=str(exc))
    return Queue(
        int(found["ApproximateNumberOfMessages"]),
        int(found["ApproximateNumberOfMessagesNotVisible"]),
        int(found["ApproximateNumberOfMessagesDelayed"]),
    )
