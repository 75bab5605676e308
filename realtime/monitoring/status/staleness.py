"""Whether imports are behind, for a monitor."""

from collections.abc import Iterator
from datetime import timedelta

from realtime.monitoring.status.run_states import RunState
from realtime.monitoring.status.snapshot import Status


def behind(status: Status, limit: timedelta, queue_expected: bool) -> list[str]:
    """In words, whatever has waited for longer than `limit`; empty when nothing has.

    - a message in the queue, as `Status.oldest_message` says;
    - messages that nobody receives: some are visible, no age is known of CloudWatch, and the
      ledger has received nothing for as long;
    - a scrape run whose end was received that long ago and that is neither final nor closed,
      whatever it waits for: files that have not come, parked files, an older run.

    With `queue_expected`, a queue that cannot be asked counts as well: nobody knows what waits.
    Not counted: runs that go on, parked files of runs that go on or of no run, failures, and files
    that have not been archived.
    """
    return [*_queue(status, limit, queue_expected), *_runs(status, limit)]


def _queue(status: Status, limit: timedelta, expected: bool) -> Iterator[str]:
    depth = status.queue.depth
    if depth is None:
        if expected:
            yield f"the queue cannot be asked: {status.queue.problem}"
        return
    seconds, source = status.oldest_message
    if seconds is not None and seconds > limit.total_seconds():
        waits = "the oldest message waits" if source == "cloudwatch" else "messages have waited"
        yield f"{waits} for {minutes(seconds)}"
    elif source != "cloudwatch" and depth.visible:
        newest = status.received.newest
        if newest is None:
            yield f"{depth.visible} messages wait, and none was ever received"
        elif status.at - newest > limit:
            silent = minutes((status.at - newest).total_seconds())
            yield f"{depth.visible} messages wait, and none was received for {silent}"


def _runs(status: Status, limit: timedelta) -> Iterator[str]:
    for one in status.open_runs:
        ended = one.run.received_at
        if ended is not None and not one.run.closed_at and status.at - ended > limit:
            yield (
                f"run {one.run.run_id} of {one.run.jurisdiction_id} ended"
                f" {minutes((status.at - ended).total_seconds())} ago and is not final"
                f"{_why(one)}"
            )


def _why(one: RunState) -> str:
    return f": {one.why}" if one.why else ""


def minutes(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 0:
        return f"-{minutes(-seconds)}"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"
