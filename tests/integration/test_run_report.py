"""What a run says of itself: lags that mean something, failures that can be read."""

import json
import logging
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.consumer.from_source import Watcher
from realtime.consumer.from_source import run as import_source
from realtime.consumer.run import Limits, run
from realtime.consumer.sources import QueueInbox, read_given
from realtime.domain.config import LATER
from realtime.domain.scraped_object import ticks_of
from realtime.files import archive, redrive
from realtime.ledger import pauses
from realtime.models import File
from realtime.monitoring.metrics import cloudwatch, declared
from realtime.sources.open_source import open_source
from tests import scrapes
from tests.schedules.content import uuid1_at
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    assert mail.run().outcomes["unchanged"] == 1
    return mail


def scraped(ago: timedelta, identifier: str) -> dict[str, Any]:
    """A bill that was scraped so long ago."""
    then = datetime.now(UTC) - ago
    stamp = {"_id": uuid1_at(ticks_of(then)), "scraped_at": then.isoformat()}
    return {**scrapes.bill(identifier), **stamp}


def test_lag__old_scrape_beside_a_new_one__only_the_new_one_is_measured(mail: Mail) -> None:
    mail.publish(scraped(timedelta(days=400), "HB 1"), scraped(timedelta(minutes=5), "HB 2"))
    report = mail.run()
    assert report.as_dict()["lag_seconds"]["p95"] == pytest.approx(300, abs=60)
    assert (report.as_dict()["late"], report.as_dict()["retried"]) == (1, 0)
    assert report.as_fields()["late"] == 1
    [lag] = [one for one in declared.points(report) if one.metric is declared.LAG]
    assert lag.values["p95"] < 600


def test_lag__imports_were_down_for_days__measured(mail: Mail) -> None:
    days = timedelta(days=3)
    bill = scraped(days, "HB 1")
    sent = datetime.now(UTC) - days
    record = {
        "eventSource": "aws:sqs",
        "messageId": "1",
        "receiptHandle": "1",
        "body": json.dumps(mail.message(mail.put(bill))),
        "attributes": {"SentTimestamp": str(int(sent.timestamp() * 1000))},
    }
    given = read_given(json.dumps({"Records": [record]}))
    report = run(mail.config, given, mail.store, Limits(10, False, lambda: False))
    assert report.lags == [pytest.approx(days.total_seconds(), abs=60)]
    assert not report.unmeasured


def test_lag__retried_file__counted_and_not_measured(mail: Mail) -> None:
    key = mail.put(b"{", mail.key(bill := scraped(timedelta(hours=2), "HB 1")))
    mail.send(mail.message(key))
    assert mail.run().reasons == {"bad-json": 1}
    mail.put(bill, f"failed/{key}")
    assert redrive.retry(mail.store, mail.queue, mail.config, {}, (), print) == {"retried": 1}
    report = mail.run()
    assert report.outcomes["inserted"] + report.resumed == 1
    assert (report.lags, report.unmeasured) == ([], {"retried": 1})


def test_lag__source_of_long_ago__not_measured(mail: Mail, tmp_path: Path) -> None:
    for ago, name in ((timedelta(days=30), "HB 1"), (timedelta(minutes=1), "HB 2")):
        bill = scraped(ago, name)
        file = tmp_path / f"bill_{bill['_id']}.json"
        file.write_text(json.dumps(bill))
        then = (datetime.now(UTC) - ago).timestamp()
        os.utime(file, (then, then))
    source = open_source(str(tmp_path), "wy")
    report = import_source(mail.config, source, lambda: False, Watcher(print))
    assert report.outcomes["inserted"] == 2
    assert report.lags == [pytest.approx(60, abs=30)]
    assert report.unmeasured == {"late": 1}


def test_failures__many_for_one_reason__few_lines_all_counted_and_all_in_the_ledger(
    mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(8):
        mail.send(mail.message(mail.put(b"{", f"wy/bill_{number}.json")))
    mail.send("nonsense")
    with caplog.at_level(logging.DEBUG, "realtime"):
        report = mail.run()
    failed = [one for one in caplog.records if one.getMessage() == "file failed"]
    warned = [vars(one)["reason"] for one in failed if one.levelno == logging.WARNING]
    assert sorted(warned) == ["bad-json"] * 5 + ["bad-message"]
    assert len(failed) == 9
    assert report.as_dict()["reasons"] == {"bad-json": 8, "bad-message": 1}
    assert "reasons: bad-json 8, bad-message 1" in report.summary()
    assert File.objects.filter(outcome="failed").count() == 9


def test_progress__of_an_import_and_of_archiving__tells_each_outcome_and_each_file(
    mail: Mail,
) -> None:
    later = replace(mail.config, archive=LATER)
    mail.publish(scraped(timedelta(minutes=5), "HB 1"))
    mail.send(mail.message(mail.put(b"{", "wy/bill_1.json")))
    told: list[dict[str, int]] = []
    run(
        later,
        QueueInbox(mail.queue, 300),
        mail.store,
        Limits(10, False, lambda: False),
        progress=lambda step, counts: told.append({step: 1, **counts}),
    )
    assert told[:2] == [{"importing": 1}, {"importing": 1, "failed": 1}]
    assert told[-1] == {"importing": 1, "failed": 1, "inserted": 1}
    moved: list[None] = []
    counts = archive.archive(mail.store, later, progress=lambda: moved.append(None))
    assert len(moved) == counts.total() >= 1


def test_pauses__open_at_the_end_of_a_run_that_received_something__counted(mail: Mail) -> None:
    pauses.pause("ocd-jurisdiction/country:us/state:ut/government", "ada", "")
    assert mail.run().pauses == 0, "a run that has received nothing says nothing"
    mail.publish(scraped(timedelta(minutes=5), "HB 1"))
    whole = json.loads(next(cloudwatch.lines(mail.run(), datetime.now(UTC))))
    assert whole["paused_jurisdictions"] == 1


def test_copy__upload_has_tags__the_copy_has_none(mail: Mail) -> None:
    bucket = mail.aws.bucket
    mail.aws.s3.put_object(Bucket=bucket, Key="wy/bill_1.json", Body=b"{}", Tagging="cost=1")
    mail.store.copy(mail.store.head("wy/bill_1.json"), "failed/wy/bill_1.json")
    copy = mail.aws.s3.get_object_tagging(Bucket=bucket, Key="failed/wy/bill_1.json")
    assert copy["TagSet"] == []
