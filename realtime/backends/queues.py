"""Chooses where it is said that files were stored: on the queue, or, without one, in the store."""

import json
from collections.abc import Sequence
from typing import Any

from realtime.domain.config import Config
from realtime.domain.interfaces import Sends, Uploads
from realtime.domain.jurisdictions import folder_of
from realtime.domain.scraped_object import run_end_key


class RunEnds:
    """In place of a queue: stores the ends of runs beside their files, for the sweep.

    Of files nothing is said: the sweep finds them where they are stored.
    """

    def __init__(self, store: Uploads, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def send(self, bodies: Sequence[str]) -> list[int]:
        """Store the ends of runs among these messages. Returns the indexes of those refused: none.
        Raises as `Uploads.put` does."""
        for body in bodies:
            message = json.loads(body)
            if "run_finished" in message:
                key = run_end_key(folder_of(message["jurisdiction_id"]), message["run_id"])
                self._store.put(f"{self._prefix}{key}", body.encode(), {})
        return []


def queue_of(config: Config, store: Uploads, **client: Any) -> Sends:
    """The queue of SQS_QUEUE_URL, or what stands in for it without one. `client` are arguments of
    `clients.client`. Raises ConfigurationError when a setting is missing or wrong."""
    if not config.queue_url:
        return RunEnds(store, config.bucket.prefix)
    # Loaded only where there is a queue.
    from realtime.backends import clients, sqs

    return sqs.SqsQueue(config.queue_url, clients.client("sqs", sqs.THREADS, **client))
