"""The dashboards and alerts of deploy/grafana name only what we emit, and every kind of trouble."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from realtime.models import Outcome
from realtime.monitoring import prometheus
from realtime.monitoring.metrics import cloudwatch
from realtime.monitoring.report import Report
from realtime.monitoring.verdict.finding import Kind
from realtime.monitoring.verdict.judgement import name_of
from tests import cloudformation
from tests.support import ROOT

FOLDER = ROOT / "deploy" / "grafana"
WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
SERIES = {one.full_name: one for one in prometheus.SERIES}
_SERIES = re.compile(r"(openstates_realtime_\w+)(?:\{([^}]*)\})?")
# Dimensions and metrics of AWS's own.
AWS = {
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
    },
    "AWS/Lambda": {"Invocations", "Errors", "Throttles"},
}


@pytest.mark.parametrize("name", ["dashboard.json", "alerts.yaml"])
def test_prometheus__each_series_and_label_named__is_emitted(name: str) -> None:
    text = (FOLDER / name).read_text().replace('\\"', '"')
    found = _SERIES.findall(text)
    assert len(found) > 10
    for series, labels in found:
        assert series in SERIES
        named = re.findall(r"(\w+)\s*(?:=|!)", labels)
        assert set(named) <= set(SERIES[series].labels), (series, labels)


def test_dashboard__each_series__is_on_it() -> None:
    text = (FOLDER / "dashboard.json").read_text()
    assert {series for series, _ in _SERIES.findall(text)} == set(SERIES)
    panels = json.loads(text)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_alerts__every_kind_of_finding__has_one() -> None:
    [group] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    kinds = [k for rule in group["rules"] for k in re.findall(r'kind="([^"]+)"', rule["expr"])]
    assert sorted(kinds) == sorted(kind.value for kind in Kind)
    assert all(rule["annotations"]["summary"] and rule["for"] for rule in group["rules"])


def emitted() -> dict[tuple[str, ...], set[str]]:
    """The metrics that a run writes to CloudWatch, by their dimensions."""
    report = Report(oldest_received=1.0)
    for outcome in Outcome:
        report.count("bill", outcome, jurisdiction_id=WYOMING)
    report.add_lag(1.0, WYOMING)
    found: dict[tuple[str, ...], set[str]] = {}
    for line in cloudwatch.lines(report, datetime(2031, 1, 1, tzinfo=UTC)):
        [directive] = json.loads(line)["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == cloudwatch.NAMESPACE
        names = {metric["Name"] for metric in directive["Metrics"]}
        [dimensions] = directive["Dimensions"]
        found.setdefault(tuple(dimensions), set()).update(names)
    return found


def test_cloudwatch__each_metric_of_dashboard_and_alarms__is_emitted() -> None:
    ours = emitted()
    named: list[tuple[str, str]] = []
    for widget in json.loads((FOLDER / "cloudwatch-dashboard.json").read_text())["widgets"]:
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                for name in re.findall(r'MetricName="(\w+)"', metric[0]["expression"]):
                    assert name in ours["jurisdiction",]
            else:
                named.append((metric[0], metric[1]))
    for resource in cloudformation.load(FOLDER / "cloudwatch-alarms.yaml")["Resources"].values():
        properties: dict[str, Any] = resource["Properties"]
        named.append((properties["Namespace"], properties["MetricName"]))
    known = {**AWS, cloudwatch.NAMESPACE: ours[()]}
    assert len(named) > 20
    assert [one for one in named if one[1] not in known[one[0]]] == []


def test_text__label_values_of_others__are_escaped() -> None:
    assert prometheus._escaped('a"b\\c\nd') == 'a\\"b\\\\c\\nd'
    assert name_of(WYOMING) == "Wyoming"
