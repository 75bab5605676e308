"""A message becomes files in flight, and each file ends in one outcome."""

import gc
import json
import weakref
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from realtime.consumer.parse_messages import parse
from realtime.domain.config import Bucket
from realtime.domain.errors import PoisonMessage, WaitingFor
from realtime.domain.in_flight import CONTROL, UNKNOWN, InFlightFile
from realtime.domain.messages import ReceivedMessage
from realtime.domain.results import (
    Delivery,
    Failed,
    FetchedFile,
    FileIdentity,
    FileOutcome,
    Ignored,
    Imported,
    Released,
    Superseded,
    Waiting,
)
from realtime.domain.scraped_object import read
from realtime.models import Outcome
from realtime.monitoring.report import Report

NOW = datetime(2031, 1, 11, 12, tzinfo=UTC)
BUCKET = Bucket("bills", "base/")
WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
OUTCOMES: tuple[FileOutcome, ...] = (
    Imported("ocd-bill/1", "inserted"),
    Imported("ocd-bill/1", "updated"),
    Imported("ocd-bill/1", "unchanged"),
    Superseded("ocd-bill/1"),
    Ignored(),
    Waiting(WaitingFor("2031")),
    Failed(PoisonMessage("invalid", "no title", "title")),
    Released(),
)


def files_of(body: Any) -> list[InFlightFile]:
    text = body if isinstance(body, str) else json.dumps(body)
    return parse([ReceivedMessage("id-1", "", text, NOW)], BUCKET)


def record(key: str) -> dict[str, Any]:
    return {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "bills"}, "object": {"key": key}},
    }


def fetched(file: InFlightFile) -> FetchedFile:
    body = json.dumps(
        {"_id": "224d845c-cb24-11f0-9f0a-f2248b1564a2", "scraped_at": "2031-01-11T11:59:00+00:00"}
    ).encode()
    content = read("bill", body, NOW)
    return FetchedFile(file.identity, WYOMING, content, file.delivery)


def test_parse__notification_with_several_records__one_file_each() -> None:
    keys = ["base/wy/bill_1.json", "base/archived/2031-01-11/wy/bill_2.json", "wy/bill_3.json"]
    good, archived, outside = files_of({"Records": [record(key) for key in keys]})
    assert good.is_open
    assert (good.abbr, good.object_type, good.jurisdiction_id) == ("wy", "bill", WYOMING)
    assert good.delivery.jurisdiction_id == "", "the notification claims none"
    assert archived.outcome == Ignored()
    assert isinstance(outside.error, PoisonMessage)
    assert outside.error.reason == "bad-key"
    assert [file.message and file.message.message_id for file in (good, archived)] == ["id-1"] * 2


@pytest.mark.parametrize(
    ("body", "key"), [("{", "message:id-1"), ({"Records": [{}]}, "message:id-1#0")]
)
def test_parse__nonsense__a_file_with_its_error(body: Any, key: str) -> None:
    [file] = files_of(body)
    assert isinstance(file.error, PoisonMessage)
    assert (file.identity.key, file.object_type) == (key, UNKNOWN)


def test_parse__test_event_of_s3__ignored_control_message() -> None:
    [file] = files_of({"Event": "s3:TestEvent"})
    assert (file.outcome, file.object_type) == (Ignored(), CONTROL)


def test_outcomes__their_words__are_those_of_the_ledger() -> None:
    assert [outcome.word for outcome in OUTCOMES] == [outcome.value for outcome in Outcome]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.word)
def test_finish__each_outcome__counted_once_and_lag_of_what_became_visible(
    outcome: FileOutcome,
) -> None:
    [file] = files_of({"Records": [record("base/wy/bill_1.json")]})
    file.fetched = fetched(file)
    file.finish(outcome, 7, NOW + timedelta(seconds=30))
    report = Report()
    report.add_received([file])
    assert report.as_dict()[outcome.word] == report.received == 1
    assert report.lags == ([90] if outcome.word in ("inserted", "updated") else [])
    assert file.fetched is None, "its content is not kept"


def test_report__parked_files__only_imported_ones_count_as_resumed() -> None:
    files = []
    for outcome in (*OUTCOMES, Ignored(repeated=True)):
        file = InFlightFile(FileIdentity("", "", ""), Delivery(NOW, ""))
        file.finish(outcome)
        files.append(file)
    report = Report()
    report.add_resumed(files)
    assert (report.resumed, report.received) == (5, 0)


def test_failed__problem_raised_while_a_file_was_read__keeps_nothing_of_it() -> None:
    class Content:
        """What a file holds."""

    def refuse() -> None:
        content = Content()
        held.append(weakref.ref(content))
        raise PoisonMessage("invalid", "no title", "title")

    held: list[weakref.ref[Content]] = []
    try:
        refuse()
    except PoisonMessage as problem:
        failed = Failed(problem)
    gc.collect()
    assert held[0]() is None
    assert failed.problem.reason == "invalid"
