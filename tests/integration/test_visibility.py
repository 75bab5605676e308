"""How long a message stays hidden from other runs, on SQS over HTTP."""

import logging
import threading

import pytest

from realtime.backends.sqs import SqsQueue
from realtime.consumer import sources
from realtime.consumer.sources import QueueInbox
from tests.fault_proxy import AwsProxy, Forward, Request, Response, on
from tests.support import Aws, through, wait_until


def test_inbox__message_held_for_long__stays_hidden_and_released_ones_come_again(
    aws: Aws, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sources, "RELEASE_SECONDS", (0, 0))
    caplog.set_level(logging.WARNING)
    renewed = threading.Event()

    def renew(request: Request, forward: Forward) -> Response:
        response = forward(request)
        renewed.set()
        return response

    others = SqsQueue(aws.queue_url, aws.sqs, wait=0)
    others.send(["held", "released", "acknowledged"])
    queue = SqsQueue(aws.queue_url, through(proxy.endpoint, aws).sqs, wait=0)
    with QueueInbox(queue, visibility_timeout=3) as inbox:
        messages = {message.body: message for message in inbox.receive(3)}
        inbox.acknowledge([messages["acknowledged"]])
        inbox.release([messages["released"]])
        proxy.rule = on("ChangeMessageVisibilityBatch", fault=renew)
        received = set[str]()

        def is_renewed() -> bool:
            received.update(message.body for message in others.receive(3, 0))
            return renewed.is_set()

        assert wait_until(is_renewed)
        assert received == {"released"}
        assert {message.body for message in others.receive(3, 0)} == {"released"}
    assert caplog.records == [], "what was acknowledged is not hidden again"
