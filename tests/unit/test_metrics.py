"""What metrics a run comes to, and how they are written."""

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.domain.messages import ReceivedMessage
from realtime.monitoring.metrics import cloudwatch, declared
from realtime.monitoring.report import Report
from tests import scrapes

NOW = datetime(2031, 1, 2, tzinfo=UTC)
WYOMING = scrapes.WYOMING.jurisdiction_id
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def message(age: float) -> ReceivedMessage:
    return ReceivedMessage(str(age), "", "", NOW - timedelta(seconds=age))


@pytest.fixture
def report() -> Report:
    report = Report()
    report.took([message(90.5), message(600)], NOW)
    report.took([message(-3)], NOW)
    for outcome in ("inserted", "inserted", "unchanged", "failed"):
        report.count("bill", outcome, jurisdiction_id=WYOMING)
    report.count("vote_event", "deferred", jurisdiction_id=WYOMING)
    report.count_resumed("vote_event", WYOMING)
    report.count("unknown", "failed")
    report.count("bill", "failed", jurisdiction_id="ocd-jurisdiction/made-up")
    for lag in (10.0, 20.0, 4000.0):
        report.add_lag(lag, WYOMING)
    return report


def test_points__of_a_run__objects_lag_files_and_age_with_names_that_core_gives(
    report: Report,
) -> None:
    found = [(p.metric.name, dict(p.values), dict(p.tags)) for p in declared.points(report)]
    here, nowhere = {"jurisdiction": "Wyoming"}, {"jurisdiction": "unknown"}
    assert found == [
        ("realtime_files", {"failed": 1}, {**nowhere, "object_type": "bill"}),
        ("realtime_files", {"failed": 1}, {**nowhere, "object_type": "unknown"}),
        ("objects", {"realtime_import": 4}, here),
        ("realtime_lag", {"p50": 20.0, "p95": 4000.0}, here),
        (
            "realtime_files",
            {"inserted": 2, "unchanged": 1, "failed": 1},
            {**here, "object_type": "bill"},
        ),
        ("realtime_files", {"deferred": 1, "resumed": 1}, {**here, "object_type": "vote_event"}),
        ("realtime_queue", {"oldest_received": 600.0}, {}),
    ]


def test_point__of_a_field_or_tag_that_is_not_declared__refused() -> None:
    with pytest.raises(ValueError, match="realtime_queue is not declared so"):
        declared.Point(declared.QUEUE, {"youngest": 1}, {})
    with pytest.raises(ValueError, match="objects is not declared so"):
        declared.Point(declared.OBJECTS, {"realtime_import": 1}, {"key": "wy/bill_1.json"})


def documents(report: Report) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cloudwatch.lines(report, NOW)]


def assert_as_specified(document: dict[str, Any]) -> None:
    """What AWS's specification of the format says must hold."""
    assert len(json.dumps(document)) < 256 * 1024
    aws = document["_aws"]
    assert set(aws) == {"Timestamp", "CloudWatchMetrics"}
    assert aws["Timestamp"] == NOW.timestamp() * 1000
    for directive in aws["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 255
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 9
            assert all(isinstance(document[name], str) for name in dimensions)
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert set(metric) == {"Name", "Unit"}
            assert metric["Unit"] in ("Count", "Seconds")
            value = document[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 1 <= len(values) <= 100
            assert all(type(one) in (int, float) for one in values)


def test_cloudwatch__of_a_run__a_line_for_all_of_it_and_one_for_each_jurisdiction(
    report: Report,
) -> None:
    whole, *each = documents(report)
    for document in (whole, *each):
        assert_as_specified(document)
    assert (whole["inserted"], whole["failed"], whole["resumed"]) == (2, 3, 1)
    assert whole["lag_seconds"] == [10, 20, 4000]
    assert whole["oldest_received_seconds"] == 600
    assert whole["types"]["bill"]["received"] == 5
    assert [(one["jurisdiction"], one["realtime_import"], one["failed"]) for one in each] == [
        ("unknown", 0, 2),
        ("Wyoming", 4, 1),
    ]


def test_cloudwatch__more_lags_than_a_line_may_hold__a_hundred_with_the_same_percentiles(
    report: Report,
) -> None:
    for lag in range(1000):
        report.add_lag(float(lag), WYOMING)
    whole = documents(report)[0]
    assert_as_specified(whole)
    lags = whole["lag_seconds"]
    assert (len(lags), lags[0], lags[-1]) == (100, 0, 4000)
    assert lags[49] == pytest.approx(500, abs=10)
    assert lags[94] == pytest.approx(950, abs=10)


def test_cloudwatch__standard_output_closed__warning_and_no_error(
    report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError("nobody listens")

    with caplog.at_level(logging.WARNING):
        cloudwatch.write(report, NOW, Gone())
    assert [record.getMessage() for record in caplog.records] == ["metrics not written"]


@pytest.mark.parametrize("metric", declared.METRICS, ids=lambda metric: metric.name)
def test_operations_page__each_metric__listed_with_its_fields_and_tags(
    metric: declared.Metric,
) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if f"`{metric.name}`" in line]
    assert rows
    for name in (*metric.fields, *metric.tags):
        assert any(f"`{name}`" in row for row in rows)
