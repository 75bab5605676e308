"""Whether imports are behind: the findings of `status_realtime --max-age`."""

from collections.abc import Iterator
from datetime import timedelta

from realtime.monitoring.status.durations import short_duration
from realtime.monitoring.status.run_states import RunState
from realtime.monitoring.status.snapshot import Status


def behind(status: Status, limit: timedelta, queue_expected: bool) -> list[str]:
    """One sentence for each thing that has waited longer than `limit`; empty when nothing has.

    - a message in the queue: its age is `Status.oldest_message`;
    - visible messages that no run receives: CloudWatch gives no age, and the ledger has received
      nothing for longer than `limit`;
    - a scrape run whose end was received longer ago than `limit` and that is neither final nor
      closed: it waits for missing files, parked files or an older run.

    With `queue_expected`, a queue that does not answer is reported too. Not reported: open runs,
    parked files of an open run or of no run, failures, and files not yet archived.
    """
    return [*_queue(status, limit, queue_expected), *_runs(status, limit)]


def _queue(status: Status, limit: timedelta, expected: bool) -> Iterator[str]:
    depth = status.queue.depth
    if depth is None:
        if expected:
            yield f"the state of the queue is unknown: {status.queue.problem}"
        return
    seconds, source = status.oldest_message
    if seconds is not None and seconds > limit.total_seconds():
        waits = (
            "the oldest message has waited" if source == "cloudwatch" else "messages have waited"
        )
        yield f"{waits} for {short_duration(seconds)}"
    elif source != "cloudwatch" and depth.visible:
        newest = status.received.newest
        if newest is None:
            yield f"{depth.visible} messages wait, and no message was ever received"
        elif status.at - newest > limit:
            silent = short_duration((status.at - newest).total_seconds())
            yield f"{depth.visible} messages wait, and no message was received for {silent}"


def _runs(status: Status, limit: timedelta) -> Iterator[str]:
    for one in status.open_runs:
        ended = one.run.received_at
        if ended is not None and not one.run.closed_at and status.at - ended > limit:
            yield (
                f"run {one.run.run_id} of {one.run.jurisdiction_id} ended"
                f" {short_duration((status.at - ended).total_seconds())} ago and is not final"
                f"{_why(one)}"
            )


def _why(one: RunState) -> str:
    return f": {one.why}" if one.why else ""
