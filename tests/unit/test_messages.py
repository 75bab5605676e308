"""Queue messages: what is understood, and what is said of the rest."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.errors import PoisonMessage
from realtime.domain.messages import FileMessage, Ignored, RunFinished, parse

RUN_ID = "4e4f3f0e-0000-4000-8000-000000000001"
FILE = {
    "file_path": "wy%2Fbill_224d845c-cb24-11f0-9f0a-f2248b1564a2.json",
    "bucket": "openstates-realtime-bills-dev",
    "jurisdiction_id": "ocd-jurisdiction/country:us/state:wy/government",
    "jurisdiction_name": "Wyoming",
    "file_archiving_enabled": True,
}


def test_parse__message_of_an_old_scraper__key_decoded() -> None:
    [message] = parse(json.dumps(FILE))
    assert message == FileMessage(
        bucket="openstates-realtime-bills-dev",
        key="wy/bill_224d845c-cb24-11f0-9f0a-f2248b1564a2.json",
        jurisdiction_id="ocd-jurisdiction/country:us/state:wy/government",
        jurisdiction_name="Wyoming",
        file_archiving_enabled=True,
    )


def test_parse__run_id__kept() -> None:
    [message] = parse(json.dumps({**FILE, "run_id": RUN_ID}))
    assert isinstance(message, FileMessage)
    assert message.run_id == uuid.UUID(RUN_ID)


def test_parse__end_of_a_run__counts_and_times_in_utc() -> None:
    end = {
        "started_at": "2031-01-01T05:00:00-07:00",
        "finished_at": "2031-01-01T13:00:00",
        "objects": {"bill": 556},
        "scrapers": {
            "bills": {
                "args": "session=2031",
                "started_at": "2031-01-01T12:00:00+00:00",
                "finished_at": "2031-01-01T13:00:00+00:00",
                "objects": {"bill": 556},
            }
        },
    }
    body = {k: v for k, v in FILE.items() if k not in ("file_path", "file_archiving_enabled")}
    [message] = parse(json.dumps({**body, "run_id": RUN_ID, "run_finished": end}))
    assert isinstance(message, RunFinished)
    assert message.started_at == datetime(2031, 1, 1, 12, tzinfo=UTC)
    assert message.finished_at == datetime(2031, 1, 1, 13, tzinfo=UTC)
    assert (message.objects, message.scrapers["bills"].args) == ({"bill": 556}, "session=2031")


@pytest.mark.parametrize("sent", ["wy/bill_a+b.json", "wy/bill_a%20b.json", "wy%2Fbill_a b.json"])
def test_parse__notification__keys_decoded_however_the_sender_encodes_them(sent: str) -> None:
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": sent}},
    }
    assert parse(json.dumps({"Records": [record]})) == [FileMessage("b", "wy/bill_a b.json")]


def test_parse__deletion_and_test_event__ignored() -> None:
    removed = {"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete", "s3": {}}
    assert [type(part) for part in parse(json.dumps({"Records": [removed]}))] == [Ignored]
    assert [type(part) for part in parse('{"Event": "s3:TestEvent"}')] == [Ignored]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = [*FILE, "run_id", "run_finished", "Records", "Event"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_parse__whatever_the_fields_hold__understood_or_refused_with_a_reason(
    fields: dict[str, Any],
) -> None:
    try:
        assert parse(json.dumps({**FILE, **fields}))
    except PoisonMessage as problem:
        assert problem.reason == "bad-message"
        assert problem.detail
