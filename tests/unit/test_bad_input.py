"""Whatever bytes and fields may be: understood, or refused with a reason; nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.consumer.sources import read_given
from realtime.domain.errors import ConfigurationError, PoisonMessage
from realtime.domain.messages import parse
from realtime.domain.scraped_object import read
from realtime.importers.diagnosis.explain import explain, problem_of
from tests import bad_input, full_scrapes

STAMP = datetime(2031, 1, 1, tzinfo=UTC)
BILL = full_scrapes.full_bill()
BODY = json.dumps(BILL).encode()
GOOD: dict[str, dict[str, Any]] = {
    "bill": BILL,
    "vote_event": full_scrapes.full_vote_event(BILL),
    "event": full_scrapes.full_event(),
    "jurisdiction": full_scrapes.full_jurisdiction(),
    "person": full_scrapes.full_person(),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def read_or_refuse(object_type: str, body: bytes) -> Any:
    try:
        return read(object_type, body, STAMP)
    except PoisonMessage as problem:
        assert problem.reason in ("bad-json", "bad-id")
        assert problem.detail
        return None


@given(st.integers(0, len(BODY) - 1))
def test_read__file_cut_anywhere__refused(length: int) -> None:
    with pytest.raises(PoisonMessage) as refused:
        read("bill", BODY[:length], STAMP)
    assert refused.value.reason == "bad-json"


@given(st.binary(max_size=200))
def test_read__any_bytes__an_object_or_refused(body: bytes) -> None:
    read_or_refuse("bill", body)


@given(st.integers(0, len(BODY) - 1), st.integers(0, 255))
def test_read__one_byte_changed__an_object_or_refused(at: int, byte: int) -> None:
    content = read_or_refuse("bill", BODY[:at] + bytes([byte]) + BODY[at + 1 :])
    if content is not None:
        problem_of(content)


@given(st.data())
def test_problem_of__anything_in_any_field__a_sentence_naming_a_field_or_nothing(
    data: st.DataObject,
) -> None:
    object_type = data.draw(st.sampled_from(sorted(GOOD)))
    changed = json.loads(json.dumps(GOOD[object_type]))
    names = sorted(set(changed) - {"_id", "id", "jurisdiction"})
    bad_input.edit(changed, f"/{data.draw(st.sampled_from(names))}", data.draw(JSON))
    content = read_or_refuse(object_type, json.dumps(changed).encode())
    if content is None:
        return
    problem = problem_of(content)
    assert problem is None or (problem.field and problem.detail.startswith(problem.field[:50]))
    said = explain(ValueError("no reason given"), content)
    assert isinstance(said, PoisonMessage)
    assert said.detail


@pytest.mark.parametrize("object_type", sorted(GOOD))
def test_problem_of__good_object_with_every_field__none(object_type: str) -> None:
    body = json.dumps(GOOD[object_type]).encode()
    assert problem_of(read(object_type, body, STAMP)) is None


@given(st.text(max_size=50) | JSON.map(json.dumps))
def test_parse__any_text__understood_or_refused_with_a_reason(body: str) -> None:
    try:
        assert parse(body)
    except PoisonMessage as problem:
        assert problem.reason in ("bad-message", "bad-key")


@given(st.lists(JSON, min_size=1, max_size=4))
def test_parse__notification_of_anything__one_value_a_record(records: list[Any]) -> None:
    good = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "wy/bill_1.json"}},
    }
    parts = parse(json.dumps({"Records": [*records, good]}))
    assert len(parts) == len(records) + 1
    assert not isinstance(parts[-1], PoisonMessage)


@pytest.mark.parametrize(
    "attributes",
    [7, [1], {"SentTimestamp": "yesterday"}, {"ApproximateReceiveCount": {}},
     {"SentTimestamp": "9" * 40}],
)  # fmt: skip
def test_read_given__attributes_that_sqs_never_sends__refused(attributes: Any) -> None:
    record = {"eventSource": "aws:sqs", "messageId": "1", "body": "{}", "attributes": attributes}
    with pytest.raises(ConfigurationError):
        read_given(json.dumps({"Records": [record]}))


def test_read_given__line_nested_too_deeply__a_message_that_will_fail() -> None:
    [message] = read_given("[" * 100_000).receive(1)
    with pytest.raises(PoisonMessage):
        parse(message.body)
