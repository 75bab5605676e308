"""How the ledger records files: what it keeps of each, and at what cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.forms.models import model_to_dict

from realtime.domain.errors import PoisonMessage, WaitingFor
from realtime.domain.results import (
    Delivery,
    Failed,
    FileIdentity,
    FileOutcome,
    Imported,
    LookupKeys,
    Result,
    Waiting,
)
from realtime.domain.text import MOST_KEPT
from realtime.ledger import files as ledger_files
from realtime.models import File
from realtime.monitoring.status import file_lists
from realtime.monitoring.status.file_lists import Which

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2031, 1, 11, 12, 0, 0, 123456, tzinfo=UTC)
WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
RUN = uuid4()
IMPORTED = Imported(
    "ocd-vote/1", "inserted", lookup=LookupKeys("ocd-bill/1", ("k",), 'a "read\\ing"', "2031", "o")
)


def result(outcome: FileOutcome, number: int = 0) -> Result:
    identity = FileIdentity("b", f"wy/vote_{number}.json", "v1", "e", "v1", NOW, 7)
    delivery = Delivery(NOW, "{}", WYOMING, True, RUN)
    return Result(identity, delivery, "vote_event", outcome)


@contextmanager
def counting() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(execute: Any, sql: str, *more: Any) -> Any:
        statements.append(sql)
        return execute(sql, *more)

    with connection.execute_wrapper(count):
        yield statements


def test_record__files_that_were_parked__as_new_ones_and_as_cheaply() -> None:
    parked = [result(Waiting(WaitingFor("2031", "x")), n) for n in range(30)]
    ids = ledger_files.record(parked, NOW - timedelta(hours=1))
    with counting() as again:
        assert ledger_files.record([result(IMPORTED, n) for n in range(30)], NOW) == ids
    with counting() as new:
        ledger_files.record([result(IMPORTED, n) for n in range(30, 60)], NOW)
    assert len(again) == len(new)
    assert not [sql for sql in again if sql.count("WHEN") > 1], "each row compared with all"
    rows = [model_to_dict(row, exclude=["id", "key"]) for row in File.objects.order_by("id")]
    assert rows[0].pop("received_at") == NOW - timedelta(hours=1)
    assert rows[-1].pop("received_at") == NOW
    assert rows[0] == rows[-1]


def test_record__endless_traceback_and_detail__head_and_tail_kept_and_not_in_lists() -> None:
    endless = "head" + "x" * 5_000_000 + "tail"
    ledger_files.record([result(Failed(PoisonMessage("invalid", endless), endless))], NOW)
    row = File.objects.get()
    for text in (row.detail, row.traceback):
        assert len(text) <= MOST_KEPT
        assert text.startswith("head")
        assert text.endswith("tail")
        assert "characters left out" in text
    with counting() as statements:
        (listed,) = file_lists.listed(Which(WYOMING, "failed")).rows
        assert listed.told.startswith("headxxx")  # type: ignore[attr-defined]
    assert len(statements) == 1
    assert {"detail", "traceback"} <= listed.get_deferred_fields()
