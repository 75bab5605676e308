"""How long a parked file waits, on PostgreSQL, S3 and SQS."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openstates.data.models import Bill, VoteEvent

from realtime.config import BULK, CORE
from realtime.models import File
from tests import scrapes
from tests.scrape_runs import Run
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def test_import__run_that_never_ends__parked_vote_fails_a_day_after_its_last_file(
    mail: Mail,
) -> None:
    run = Run(mail)
    bill = scrapes.bill()
    [key] = run.publish(scrapes.vote_event(bill))
    mail.run()
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    File.objects.filter(run_id=run.id).update(received_at=long_ago)
    run.publish(scrapes.event())
    mail.run()
    assert scrapes.outcomes([key]) == {key: "deferred"}, "the run is alive"
    File.objects.filter(run_id=run.id).update(received_at=long_ago)
    mail.run()
    assert scrapes.outcomes([key]) == {key: "failed"}
    run.publish(bill)
    run.end()
    mail.run()
    assert run.row.closed == "", "it ended after all"
    assert VoteEvent.objects.get().bill == Bill.objects.get()


def test_import__bill_that_somebody_deleted__its_vote_waits_for_it_to_come_again(
    mail: Mail,
) -> None:
    bill = scrapes.bill()
    mail.publish(bill)
    mail.run()
    Bill.objects.all().delete()
    [key] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    assert scrapes.outcomes([key]) == {key: "deferred"}
    mail.send(mail.message(mail.put(bill, f"wy/bill_{scrapes.fresh_id()}.json")))
    mail.run()
    assert VoteEvent.objects.get().bill == Bill.objects.get()
