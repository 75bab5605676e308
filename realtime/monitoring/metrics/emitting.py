"""Emits the metrics of a finished run to CloudWatch and InfluxDB, as the settings say."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from realtime.domain.config import Config
from realtime.monitoring.metrics.declared import Told
from realtime.monitoring.report import Report


def emit(report: Report, config: Config) -> None:
    """Emit the run's metrics. Never raises: what cannot be sent is lost, with a warning.

    Call it once everything is acknowledged and the worker slot is free. A run that received and
    resumed nothing emits nothing. Takes at most 2 seconds, plus the time to load InfluxDB's client.
    """
    if not report.received and not report.resumed:
        return
    # Imported only where enabled, to keep other runs fast.
    if config.in_lambda:
        from realtime.monitoring.metrics import cloudwatch

        cloudwatch.write(report, datetime.now(UTC), sys.stdout)
    if config.stats_enabled:
        from realtime.monitoring.metrics import declared, influx

        influx.send(declared.points(report))


def emit_receivers(told: Iterable[Told], config: Config) -> None:
    """Emit what a delivery did, as `emit` does for a run. `told`, which may be costly, is read only
    where that is enabled."""
    if not (config.in_lambda or config.stats_enabled):
        return
    told = list(told)
    if config.in_lambda:
        from realtime.monitoring.metrics import cloudwatch

        cloudwatch.write_receivers(told, datetime.now(UTC), sys.stdout)
    if config.stats_enabled:
        from realtime.monitoring.metrics import declared, influx

        influx.send(declared.points_of_receivers(told))
