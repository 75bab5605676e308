"""Metrics in CloudWatch's embedded metric format: log lines from which CloudWatch makes metrics.

The format is specified at docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring, "Specification:
Embedded metric format". AWS's own library is not used: it needs an asynchronous HTTP client for an
agent that Lambda does not have.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import IO, Any

from realtime.models import Outcome
from realtime.monitoring.metrics.declared import Told, imported, shares
from realtime.monitoring.report import Report, Share

logger = logging.getLogger(__name__)

NAMESPACE = "OpenStatesRealtime"
# The format's limit of values for each metric in a document.
_MAX_VALUES = 100


def write(report: Report, now: datetime, output: IO[str]) -> None:
    """Write `lines` to `output`: on Lambda standard output. An OSError becomes a warning."""
    _write(lines(report, now), output)


def _write(lines: Iterable[str], output: IO[str]) -> None:
    try:
        output.writelines(f"{line}\n" for line in lines)
        output.flush()
    except OSError as exc:
        logger.warning("metrics not written", extra={"action": "metrics", "cause": exc})


def lines(report: Report, now: datetime) -> Iterator[str]:
    """The metrics of a run: one line for the whole run, and one for each of its jurisdictions.

    Lags are single values, a sample of 100 when there are more, so that CloudWatch's percentiles
    are over objects and not over runs. Object types are in the line but are no dimension: AWS
    charges each combination of dimensions as a metric.
    """
    counts = {name.value: report.outcomes[name] for name in Outcome}
    figures = {
        **{name: (count, "Count") for name, count in counts.items()},
        "resumed": (report.resumed, "Count"),
        "flags": (sum(report.flags.values()), "Count"),
        "paused": (sum(report.paused.values()), "Count"),
        "paused_jurisdictions": (report.pauses, "Count"),
        **_lag(report.lags),
        "seconds": (round(report.seconds["total"], 3), "Seconds"),
    }
    if report.oldest_received is not None:
        figures["oldest_received_seconds"] = (round(report.oldest_received, 3), "Seconds")
    types = {object_type: dict(counts) for object_type, counts in report.types.items()}
    yield _document(now, figures, {}, types=types)
    for name, share in shares(report).items():
        yield _document(now, _figures_of(share), {"jurisdiction": name})


def write_receivers(told: Iterable[Told], now: datetime, output: IO[str]) -> None:
    """Write a line for each receiver. An OSError becomes a warning."""
    units = {"behind_seconds": "Seconds"}
    figures = {
        one.receiver: {name: (n, units.get(name, "Count")) for name, n in one.values.items()}
        for one in told
    }
    _write((_document(now, one, {"receiver": name}) for name, one in figures.items()), output)


def _figures_of(share: Share) -> dict[str, tuple[Any, str]]:
    total = sum(share.types.values(), Counter[str]())
    return {
        "realtime_import": (imported(share), "Count"),
        "failed": (total[Outcome.FAILED], "Count"),
        **_lag(share.lags),
    }


def _lag(lags: Sequence[float]) -> dict[str, tuple[Any, str]]:
    ordered = sorted(lags)
    if len(ordered) > _MAX_VALUES:
        step = (len(ordered) - 1) / (_MAX_VALUES - 1)
        ordered = [ordered[round(number * step)] for number in range(_MAX_VALUES)]
    return {"lag_seconds": ([round(lag, 3) for lag in ordered], "Seconds")} if ordered else {}


def _document(
    now: datetime, figures: dict[str, tuple[Any, str]], dimensions: dict[str, str], **more: Any
) -> str:
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in figures.items()],
    }
    return json.dumps(
        {
            "_aws": {
                "Timestamp": int(now.timestamp() * 1000),
                "CloudWatchMetrics": [directive],
            },
            **dimensions,
            **{name: value for name, (value, _) in figures.items()},
            **more,
        }
    )
