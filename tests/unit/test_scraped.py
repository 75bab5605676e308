"""Keys, contents, and the scrape order."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.errors import PoisonMessage
from realtime.domain.scraped_object import (
    OBJECT_TYPES,
    Key,
    is_archived,
    parse_key,
    read,
    ticks_of,
    time_of,
)

STAMP = datetime(2031, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("object_type", OBJECT_TYPES)
def test_parse_key__each_type__recognized(object_type: str) -> None:
    file = f"{object_type}_224d845c-cb24-11f0-9f0a-f2248b1564a2.json"
    assert parse_key(f"wy/{file}") == Key("wy", object_type, file)


@pytest.mark.parametrize(
    "key",
    ["", "bill_1.json", "wy/../bill_1.json", "/wy/bill_1.json", "wy/x/bill_1.json", "wy\\bill_1",
     "wy/bill_1\n.json", "wy/bill_.json", "./bill_1.json", "wy/bill_1.yaml", "wy//bill_1.json"],
)  # fmt: skip
def test_parse_key__nothing_that_a_scraper_writes__refused(key: str) -> None:
    with pytest.raises(PoisonMessage) as refused:
        parse_key(key)
    assert refused.value.reason in ("bad-key", "unknown-type")


@given(st.text())
def test_parse_key__any_text__a_key_of_two_parts_or_refused(text: str) -> None:
    try:
        key = parse_key(text)
    except PoisonMessage:
        return
    assert f"{key.abbr}/{key.file}" == text


@pytest.mark.parametrize("key", ["archived/2031-01-01/wy/bill_1.json", "archive/x", "failed/wy/y"])
def test_is_archived__archived_and_failed_keys__true(key: str) -> None:
    assert is_archived(key)
    assert not is_archived(f"wy/{key}")
    assert not is_archived("archived")


def test_read__vote_event_without_a_time__ordered_by_the_clock_in_its_id() -> None:
    first, second = uuid.uuid1(), uuid.uuid1()
    later = read("vote_event", json.dumps({"_id": str(second)}).encode(), STAMP)
    sooner = read("vote_event", json.dumps({"_id": str(first)}).encode(), STAMP)
    assert sooner.order < later.order
    assert abs(sooner.scraped_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_read__jurisdiction__ordered_by_its_stamp() -> None:
    body = json.dumps({"_id": "ocd-jurisdiction/country:us/state:wy/government"}).encode()
    sooner = read("jurisdiction", body, STAMP)
    later = read("jurisdiction", body, STAMP + timedelta(microseconds=1))
    assert sooner.order < later.order


def test_read__scraped_twice_under_one_id__ordered_by_the_stamp() -> None:
    body = json.dumps({"_id": str(uuid.uuid1())}).encode()
    assert read("bill", body, STAMP).order < read("bill", body, STAMP + timedelta(seconds=1)).order


def test_ticks__of_a_time__are_those_of_a_uuid() -> None:
    assert abs(ticks_of(datetime.now(UTC)) - uuid.uuid1().time) < 10**8
    assert time_of(ticks_of(STAMP)) == STAMP


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000, b"NaN"])
def test_read__no_json_object__refused(body: bytes) -> None:
    with pytest.raises(PoisonMessage) as refused:
        read("bill", body, STAMP)
    assert refused.value.reason == "bad-json"


@pytest.mark.parametrize("scrape_id", [None, 7, "", "no-uuid", {"a": 1}])
def test_read__id_is_no_uuid__refused_naming_the_field(scrape_id: object) -> None:
    with pytest.raises(PoisonMessage) as refused:
        read("bill", json.dumps({"_id": scrape_id}).encode(), STAMP)
    assert (refused.value.reason, refused.value.field) == ("bad-id", "_id")
