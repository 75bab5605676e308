"""Sends metrics to InfluxDB through core's own `Instrumentation`, with core's settings."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from realtime.monitoring.metrics.declared import Point

logger = logging.getLogger(__name__)

# Seconds that a run waits for the endpoint.
TIMEOUT = 2.0


def send(points: Sequence[Point]) -> None:
    """Send `points`. Those not sent within 2 seconds are lost, with a warning. Never raises.

    Call it only when `STATS_ENABLED` is set: without it core sends nothing.
    """
    try:
        stats = _instrumentation()
    except Exception:
        # Core may raise anything for its settings; metrics must not fail an import.
        logger.warning("metrics not sent", extra=_about(points), exc_info=True)
        return
    if not stats.endpoint:
        # Core would drop the points silently.
        cause = "STATS_ENDPOINT is not set"
        logger.warning("metrics not sent", extra={**_about(points), "cause": cause})
        return
    # In a daemon thread, which can be abandoned: core's client waits 10 seconds for a silent
    # endpoint, and without limit for a host name that does not resolve.
    sender = threading.Thread(
        target=copy_context().run, args=(_send, stats, points), name="metrics", daemon=True
    )
    sender.start()
    sender.join(TIMEOUT)
    if sender.is_alive():
        logger.warning("metrics not sent in time", extra={**_about(points), "seconds": TIMEOUT})


def _instrumentation() -> Any:
    # Core's InfluxDB client takes a second to import, and may not be installed.
    from openstates.utils import instrument

    with _logging_left_alone(instrument.settings):
        return instrument.Instrumentation()


@contextmanager
def _logging_left_alone(core_settings: Any) -> Iterator[None]:
    """Keep core from reconfiguring the process's logging when it makes an Instrumentation."""
    before = core_settings.LOGGING
    core_settings.LOGGING = {"version": 1, "incremental": True}
    try:
        yield
    finally:
        core_settings.LOGGING = before


def _send(stats: Any, points: Sequence[Point]) -> None:
    try:
        stats.write_stats(
            [
                {"metric": p.metric.name, "fields": dict(p.values), "tags": dict(p.tags)}
                for p in points
            ]
        )
        # Core logs its own warning for points it cannot write.
        stats.close()
    except Exception:
        logger.warning("metrics not sent", extra=_about(points), exc_info=True)


def _about(points: Sequence[Point]) -> dict[str, Any]:
    return {"action": "metrics", "points": len(points)}
