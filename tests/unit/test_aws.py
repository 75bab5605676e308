"""What is ours about clients of AWS."""

import threading
from collections import Counter
from typing import Any

import pytest
from botocore.utils import parse_timestamp

from realtime.backends import clients, request_counts


@pytest.mark.parametrize(
    "value",
    [
        "Tue, 24 Nov 2026 14:51:35 GMT",
        # As anyone may give an object's Expires header.
        "2025-01-01 00:00:00 GMT",
        "12:00 GMT",
        "2026-11-24T14:51:35.000Z",
        "1700000000.25",
        1700000000,
    ],
)
def test_timestamp__in_any_form__as_botocore_reads_it(value: Any) -> None:
    assert clients.timestamp(value) == parse_timestamp(value)
    assert clients.timestamp(value).tzinfo or not parse_timestamp(value).tzinfo


@pytest.mark.parametrize("value", ["never", "never GMT"])
def test_timestamp__none__refused_as_botocore_does(value: str) -> None:
    with pytest.raises(ValueError):
        clients.timestamp(value)


def test_counted_into__requests_before_and_in_another_thread__only_those_of_the_block() -> None:
    counts: Counter[str] = Counter()
    request_counts.count("GetObject")
    with request_counts.counted_into(counts):
        thread = threading.Thread(target=request_counts.count, args=("GetObject",))
        thread.start()
        thread.join()
    request_counts.count("GetObject")
    assert counts == {"GetObject": 1}
