"""Metrics as CloudWatch's embedded metric format: log lines that CloudWatch draws.

Specified at docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring, "Specification: Embedded
metric format". By hand: AWS's own library wants an HTTP client with an event loop, to speak to
an agent that Lambda does not need.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO, Any

from realtime.models import Outcome
from realtime.monitoring.metrics.declared import imported, shares
from realtime.monitoring.report import Report, Share

logger = logging.getLogger(__name__)

NAMESPACE = "OpenStatesRealtime"
# The most values that a document may hold of one metric.
_VALUES = 100


def write(report: Report, now: datetime, output: IO[str]) -> None:
    """Write `lines` to `output`, in Lambda standard output; what cannot be written is lost."""
    try:
        output.writelines(f"{line}\n" for line in lines(report, now))
        output.flush()
    except OSError as exc:
        logger.warning("metrics not written", extra={"action": "metrics", "cause": exc})


def lines(report: Report, now: datetime) -> Iterator[str]:
    """What a run comes to: a line about all of it, and one for each jurisdiction it imported.

    Lags are given one by one, up to a hundred,
    so that CloudWatch's percentiles are those of the objects and not of the runs. Types are no
    dimension, since each would be charged for as a metric of its own; they are in the line.
    """
    counts = {name.value: report.outcomes[name] for name in Outcome}
    figures = {
        **{name: (count, "Count") for name, count in counts.items()},
        "resumed": (report.resumed, "Count"),
        **_lag(report.lags),
        "seconds": (round(report.seconds["total"], 3), "Seconds"),
    }
    if report.oldest_received is not None:
        figures["oldest_received_seconds"] = (round(report.oldest_received, 3), "Seconds")
    types = {object_type: dict(counts) for object_type, counts in report.types.items()}
    yield _document(now, figures, {}, types=types)
    for name, share in shares(report).items():
        yield _document(now, _figures_of(share), {"jurisdiction": name})


def _figures_of(share: Share) -> dict[str, tuple[Any, str]]:
    total = sum(share.types.values(), Counter[str]())
    return {
        "realtime_import": (imported(share), "Count"),
        "failed": (total[Outcome.FAILED], "Count"),
        **_lag(share.lags),
    }


def _lag(lags: Sequence[float]) -> dict[str, tuple[Any, str]]:
    ordered = sorted(lags)
    if len(ordered) > _VALUES:
        step = (len(ordered) - 1) / (_VALUES - 1)
        ordered = [ordered[round(number * step)] for number in range(_VALUES)]
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
