"""Hands a run's metrics to whoever is to have them, once the run is over."""

import sys
from datetime import UTC, datetime

from realtime.domain.config import Config
from realtime.monitoring.report import Report


def emit(report: Report, config: Config) -> None:
    """Write and send what the run comes to, as the settings say; never raises.

    For when everything is acknowledged and the worker slot is given back. Takes no time in a run
    that found nothing to do, and otherwise two seconds at most beyond what loading InfluxDB's
    client takes.
    """
    if not report.received and not report.resumed:
        return
    # Loaded by those who want it.
    if config.in_lambda:
        from realtime.monitoring.metrics import cloudwatch

        cloudwatch.write(report, datetime.now(UTC), sys.stdout)
    if config.stats_enabled:
        from realtime.monitoring.metrics import declared, influx

        influx.send(declared.points(report))
