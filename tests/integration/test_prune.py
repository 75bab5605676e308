"""What the ledger forgets, and what it must remember."""

import uuid

import pytest
from openstates.data.models import Event

from realtime.ledger import files as ledger_files
from realtime.ledger import retention
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.scrape_runs import Run, command
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    return Mail(aws, database)


def test_prune_realtime__old_final_runs__forgotten_and_nothing_else(mail: Mail) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.bill())
    late = scrapes.event("Late")
    first.end()
    mail.run()
    second = Run(mail)
    second.publish(scrapes.event())
    second.end()
    mail.run()
    third = Run(mail)
    third.publish(scrapes.event("of an open run"))
    [parked] = mail.publish(scrapes.vote_event(scrapes.bill("HB 9")))
    [free] = mail.publish(scrapes.event("of no run"))
    mail.run()
    command(mail, "archive_realtime")
    assert command(mail, "prune_realtime") == {"files": 0, "runs": 0, "messages": 0}
    retention.prune(ledger_files.database_now())
    keys = set(File.objects.values_list("key", flat=True))
    assert parked in keys
    assert free not in keys
    assert set(ScrapeRun.objects.values_list("run_id", flat=True)) == {
        uuid.UUID(second.id),
        uuid.UUID(third.id),
    }
    assert not File.objects.filter(run_id=first.id).exists()
    assert File.objects.filter(run_id=third.id).exists()
    mail.publish(late)
    mail.run()
    assert Event.objects.get(name="Late").deleted, "the newest final run tells stragglers from news"


def test_prune_realtime__newer_runs_closed__last_final_run_still_rejects_stragglers(
    mail: Mail,
) -> None:
    late = scrapes.event("Late")
    final, *closed = Run(mail), Run(mail), Run(mail)
    final.publish(scrapes.jurisdiction(), scrapes.event("A"))
    final.end()
    mail.run()
    for run in closed:
        broken = scrapes.bill()
        del broken["from_organization"]
        run.publish(scrapes.event("A"), broken)
        run.end()
        mail.run()
        assert run.row.closed == "failed-files"
    command(mail, "archive_realtime")
    retention.prune(ledger_files.database_now())
    left = {str(run_id) for run_id in ScrapeRun.objects.values_list("run_id", flat=True)}
    assert left == {final.id, closed[-1].id}
    mail.publish(late)
    mail.run()
    assert Event.objects.get(name="Late").deleted
