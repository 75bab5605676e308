"""Sends metrics to InfluxDB, as core does: by core's own `Instrumentation` and its settings."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from realtime.monitoring.metrics.declared import Point

logger = logging.getLogger(__name__)

# How long a run waits for the endpoint at most, in seconds.
PATIENCE = 2.0


def send(points: Sequence[Point]) -> None:
    """Send `points`; what cannot be sent within two seconds is lost, with a warning.

    Never raises. For when `STATS_ENABLED` is set, without which core sends nothing.
    """
    try:
        stats = _instrumentation()
    except Exception:
        # Whatever core makes of its settings: no metric is worth an import.
        logger.warning("metrics not sent", extra=_about(points), exc_info=True)
        return
    if not stats.endpoint:
        # Core itself would say nothing.
        cause = "STATS_ENDPOINT is not set"
        logger.warning("metrics not sent", extra={**_about(points), "cause": cause})
        return
    # What hangs cannot be ended, only left behind: core's client takes ten seconds for a silent
    # endpoint, and as long as it likes for a name that does not resolve.
    sender = threading.Thread(
        target=copy_context().run, args=(_send, stats, points), name="metrics", daemon=True
    )
    sender.start()
    sender.join(PATIENCE)
    if sender.is_alive():
        logger.warning("metrics not sent in time", extra={**_about(points), "seconds": PATIENCE})


def _instrumentation() -> Any:
    # Its client of InfluxDB takes a second to load, and not every installation has it.
    from openstates.utils import instrument

    with _logging_left_alone(instrument.settings):
        return instrument.Instrumentation()


@contextmanager
def _logging_left_alone(core_settings: Any) -> Iterator[None]:
    """Core sets up logging for the whole process when it makes an Instrumentation."""
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
        # Core warns by itself of what it cannot write.
        stats.close()
    except Exception:
        logger.warning("metrics not sent", extra=_about(points), exc_info=True)


def _about(points: Sequence[Point]) -> dict[str, Any]:
    return {"action": "metrics", "points": len(points)}
