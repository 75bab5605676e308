"""Change events alone say what core's tables hold, and whoever is told hears each of them."""

import random
from collections.abc import Iterator

import pytest

from realtime.delivery import webhook
from realtime.delivery.deliver import Delivery
from realtime.domain.config import BULK, CORE
from realtime.ledger import changes
from realtime.ledger.changes import START
from realtime.models import ChangeReceiver, RaisedFlag
from realtime.monitoring.change_events import cloud_event
from tests import scrapes
from tests.integration.test_changes import versions
from tests.scrape_runs import Run
from tests.scrapes import Mail
from tests.support import Aws
from tests.told import Rebuilt, once, stored
from tests.webhooks import SECRET, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.mark.parametrize("importer", [BULK, pytest.param(CORE, marks=pytest.mark.long)])
def test_told__three_scrapes_in_random_order_to_a_receiver_that_often_fails__what_is_stored(
    aws: Aws,
    database: str,
    receiver: Receiver,
    importer: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook.Webhook, "most", 3)
    mail = Mail(
        aws,
        database,
        REALTIME_CHANGES_URL=receiver.url,
        REALTIME_CHANGES_SECRET=SECRET,
        REALTIME_CHANGES_ALLOW_PRIVATE="true",
    )
    mail.importer = importer
    receiver.answer = lambda number: {0: 503, 3: None}.get(number % 5, 200)
    delivery = Delivery(mail.config, lambda: False)
    delivery.register()
    rng = random.Random(7)
    for number, files in enumerate(versions()):
        if number == 0:
            # Votes and an event that later scrapes do not hold.
            files += [scrapes.vote_event(one, "first") for one in files if "title" in one]
            files.append(scrapes.event("Once"))
        rng.shuffle(files)
        run = Run(mail)
        run.publish(*files)
        run.end()
        while mail.run(max_messages=4).received:
            ChangeReceiver.objects.update(next_try_at=None)
            delivery.now()
        assert run.row.finalized_at
    for _ in range(60):
        ChangeReceiver.objects.update(next_try_at=None)
        delivery.now()
    logged = [cloud_event(change) for change in changes.read(START)]
    assert once(receiver.taken) == logged
    rebuilt = Rebuilt(logged)
    assert (rebuilt.rows, rebuilt.marked) == stored()
    verbs = {event["type"].rpartition(".")[2] for event in logged}
    assert verbs >= {"inserted", "updated", "deleted", "marked", "finalized"}
    # What is gone has no flag that is open.
    gone = {event["data"]["id"] for event in logged if event["type"].endswith(".deleted")}
    assert gone
    assert not RaisedFlag.objects.filter(subject__in=gone, resolved_at=None).exists()


def test_told__bill_that_shrinks__its_flag_and_its_event_say_the_same(
    aws: Aws, database: str
) -> None:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    for actions in (9, 1):
        mail.publish(scrapes.bill(actions=actions))
        mail.run()
    flag = RaisedFlag.objects.get(kind="shrunk")
    event = [cloud_event(change) for change in changes.read(START)][-1]
    assert event["data"]["id"] == flag.core_id
    assert event["data"]["file_id"] == flag.file_id
    for side in ("before", "after"):
        assert flag.detail[side].items() <= event["data"][side].items()
