"""Receivers are told of every change at least once, in order, whatever they answer."""

import io
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from realtime.backends.postgres import locks
from realtime.delivery import webhook
from realtime.delivery.deliver import Delivery
from realtime.ledger import changes, receivers, retention
from realtime.ledger.files import database_now
from realtime.management import limits
from realtime.models import ChangeReceiver, LoggedChange
from tests import races, scrapes
from tests.scrape_runs import command
from tests.scrapes import Mail
from tests.support import Aws
from tests.webhooks import SECRET, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def settings(url: str, **more: str) -> dict[str, str]:
    return {
        "REALTIME_CHANGES_URL": url,
        "REALTIME_CHANGES_SECRET": SECRET,
        "REALTIME_CHANGES_ALLOW_PRIVATE": "true",
        **more,
    }


def mail_to(aws: Aws, database: str, url: str, **more: str) -> Mail:
    """Mail whose changes are told to a webhook, with its session in."""
    mail = Mail(aws, database, **settings(url, **more))
    mail.publish(scrapes.jurisdiction())
    mail.run()
    Delivery(mail.config, lambda: False).register()
    return mail


@pytest.fixture
def mail(aws: Aws, database: str, receiver: Receiver) -> Mail:
    return mail_to(aws, database, receiver.url)


def change(mail: Mail, *bills: str) -> None:
    mail.publish(*map(scrapes.bill, bills))
    mail.run()


def deliver(mail: Mail) -> None:
    # A failure is due again at once.
    ChangeReceiver.objects.update(next_try_at=None)
    Delivery(mail.config, lambda: False).now()


def row() -> ChangeReceiver:
    return ChangeReceiver.objects.get()


def test_deliver__changes__told_once_in_order_and_signed(mail: Mail, receiver: Receiver) -> None:
    change(mail, *(f"HB {n}" for n in range(1, 151)))
    deliver(mail)
    deliver(mail)
    assert [len(call.events) for call in receiver.calls] == [100, 50]
    assert receiver.names() == [f"HB {n}" for n in range(1, 151)]
    assert receiver.calls[0].path == "/hook?token=hunter2"
    assert (row().delivered, row().failures) == (150, 0)


def test_deliver__one_call_in_five_fails_or_is_cut__each_once_more_with_its_id(
    mail: Mail, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook.Webhook, "most", 3)
    receiver.answer = lambda number: {0: 503, 5: None}.get(number % 10, 200)
    names = [f"HB {n}" for n in range(1, 51)]
    for some in (names[:20], names[20:]):
        change(mail, *some)
        for _ in range(4):
            deliver(mail)
    assert receiver.names() == names
    refused = [n for n, call in enumerate(receiver.calls) if not call.taken]
    assert len(refused) >= 3
    for number in refused:
        again, before = receiver.calls[number + 1], receiver.calls[number]
        assert (again.id, again.events) == (before.id, before.events)
    taken = [call.id for call in receiver.calls if call.taken]
    assert len(set(taken)) == len(taken)


def test_deliver__more_has_come_since_a_failure__the_failed_call_is_repeated_as_it_was(
    mail: Mail, receiver: Receiver
) -> None:
    receiver.answer = lambda number: 500 if number == 0 else 200
    change(mail, "HB 1")
    deliver(mail)
    change(mail, "HB 2")
    deliver(mail)
    first, again, rest = receiver.calls
    assert (first.id, first.events) == (again.id, again.events)
    assert receiver.names() == ["HB 1", "HB 2"]
    assert rest.id != first.id


def test_deliver__failed_a_moment_ago__waits_longer_each_time(
    mail: Mail, receiver: Receiver
) -> None:
    receiver.answer = lambda number: 500
    change(mail, "HB 1")
    waits = []
    for _ in range(3):
        deliver(mail)
        next_try_at = row().next_try_at
        assert next_try_at
        waits.append(next_try_at - database_now())
        Delivery(mail.config, lambda: False).now()
    assert len(receiver.calls) == 3
    assert waits == sorted(waits)
    assert "status 500" in row().last_error


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("1800", 1700, 1800), ("999999", 3500, 3600), ("soon", 0, 10), ("-1", 0, 10)],
)
def test_deliver__asked_to_come_later__does_within_the_hour(
    mail: Mail, receiver: Receiver, said: str, least: int, most: int
) -> None:
    receiver.answer, receiver.headers = lambda number: 429, {"Retry-After": said}
    change(mail, "HB 1")
    deliver(mail)
    next_try_at = row().next_try_at
    assert next_try_at
    assert least <= (next_try_at - database_now()).total_seconds() <= most


def test_deliver__the_databases_clock_was_days_ahead_at_a_failure__told_all_the_same(
    mail: Mail, receiver: Receiver
) -> None:
    change(mail, "HB 1")
    ChangeReceiver.objects.update(next_try_at=database_now() + timedelta(days=2))
    Delivery(mail.config, lambda: False).now()
    assert receiver.names() == ["HB 1"]


def test_deliver__failing_for_three_days__paused_until_resumed(
    mail: Mail, receiver: Receiver
) -> None:
    receiver.answer = lambda number: 500 if number < 2 else 200
    change(mail, "HB 1")
    deliver(mail)
    ChangeReceiver.objects.update(failing_since=database_now() - timedelta(days=3))
    deliver(mail)
    assert (row().paused_by, bool(row().paused_at)) == ("delivery", True)
    deliver(mail)
    assert len(receiver.calls) == 2
    assert receivers.resume("default")
    deliver(mail)
    assert receiver.names() == ["HB 1"]


def test_deliver__says_that_it_is_gone__paused_at_once(mail: Mail, receiver: Receiver) -> None:
    receiver.answer = lambda number: 410
    change(mail, "HB 1")
    deliver(mail)
    assert row().pause_reason == "it says that it is gone"


def test_deliver__redirect__not_followed(mail: Mail, receiver: Receiver) -> None:
    receiver.answer = lambda number: 307
    change(mail, "HB 1")
    deliver(mail)
    assert [call.path for call in receiver.calls] == ["/hook?token=hunter2"]
    assert "redirects are not followed" in row().last_error


def test_deliver__another_sender_is_at_it__does_nothing(mail: Mail, receiver: Receiver) -> None:
    change(mail, "HB 1")
    with races.session(mail.config.database_url) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [locks.RECEIVERS, locks.number("default")])
        deliver(mail)
        assert receiver.calls == []
    deliver(mail)
    assert receiver.names() == ["HB 1"]


def test_deliver__told_elsewhere_while_it_sends__goes_on_from_there(
    mail: Mail, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator replays all while a call is under way."""
    monkeypatch.setattr(webhook.Webhook, "most", 1)
    began = row()
    change(mail, "HB 1", "HB 2")

    def answer(number: int) -> int:
        if number == 1:
            with races.session(mail.config.database_url) as other:
                other.execute("UPDATE realtime_receiver SET xid = %s, change_id = 0", [began.xid])
        return 200

    receiver.answer = answer
    deliver(mail)
    deliver(mail)
    assert receiver.names() == ["HB 1", "HB 2", "HB 1", "HB 2"]


def test_deliver__transaction_still_open__its_change_comes_in_its_place(
    mail: Mail, receiver: Receiver
) -> None:
    with races.session(mail.config.database_url) as other:
        other.execute("BEGIN")
        other.execute("SELECT pg_current_xact_id()")
        change(mail, "HB 2")
        deliver(mail)
        assert receiver.calls == []
        other.execute("COMMIT")
    deliver(mail)
    assert receiver.names() == ["HB 2"]


def test_deliver__several_receivers__each_what_it_wants_whatever_the_others_answer(
    aws: Aws, database: str, receiver: Receiver
) -> None:
    with receiving() as other:
        more = {
            "REALTIME_CHANGES_URL_VOTES": other.url,
            "REALTIME_CHANGES_SECRET_VOTES": SECRET,
            "REALTIME_CHANGES_FILTER_VOTES": "wy, vote_event.inserted",
            "REALTIME_CHANGES_FILTER": "dc",
        }
        mail = mail_to(aws, database, receiver.url, **more)
        bill = scrapes.bill()
        mail.publish(bill, scrapes.vote_event(bill))
        mail.run()
        receiver.answer = lambda number: 500
        deliver(mail)
    assert [event["type"] for event in other.taken] == [
        "org.openstates.realtime.vote_event.inserted"
    ]
    assert receiver.calls == []
    # What it does not want is behind it.
    assert all(one.behind == 0 for one in receivers.progress())


def test_import__has_work_until_its_time_is_up__tells_all_the_same(
    mail: Mail, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(mail, "HB 1")
    # Its time for files is up at once.
    monkeypatch.setattr(limits.MustStop, "__call__", lambda self: True)
    mail.publish(scrapes.bill("HB 2"))
    assert command(mail, "import_realtime", "--time-limit", "600")["received"] == 0
    assert receiver.names() == ["HB 1"]


def test_deliver__receiver_that_trickles__given_up_in_time(
    aws: Aws, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_TOTAL", 0.3)
    done = threading.Event()

    def trickle(server: socket.socket) -> None:
        taken, _ = server.accept()
        with taken:
            while not done.wait(0.05):
                try:
                    taken.sendall(b"H")
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=trickle, args=(server,))
        thread.start()
        mail = mail_to(aws, database, f"http://127.0.0.1:{server.getsockname()[1]}/")
        change(mail, "HB 1")
        deliver(mail)
        done.set()
        thread.join()
    assert row().failures == 1


def test_deliver__receiver_that_repeats_what_it_got__its_secrets_are_not_told(
    aws: Aws, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(server: socket.socket) -> None:
        taken, _ = server.accept()
        with taken:
            taken.sendall(taken.recv(4096))

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=echo, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        mail = mail_to(aws, database, f"http://127.0.0.1:{port}/hook?token=hunter2")
        change(mail, "HB 1")
        deliver(mail)
        thread.join()
    assert "something else than HTTP" in row().last_error
    said = caplog.text + str([vars(record) for record in caplog.records]) + row().last_error
    assert "hunter2" not in said


def test_deliver__private_address__refused_without_a_call(
    aws: Aws, database: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    url = receiver.url.replace("http://", "https://user:hunter2@")
    mail = mail_to(aws, database, url, REALTIME_CHANGES_ALLOW_PRIVATE="false")
    change(mail, "HB 1")
    with caplog.at_level(logging.DEBUG):
        deliver(mail)
    assert "an address that is not public" in row().last_error
    said = caplog.text + str([vars(record) for record in caplog.records]) + str(vars(row()))
    assert "hunter2" not in said + repr(mail.config)
    assert SECRET not in said + repr(mail.config)


def test_deliver__cursor_of_another_database__told_and_imports_go_on(
    mail: Mail, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    ChangeReceiver.objects.update(xid=2**60)
    change(mail, "HB 1")
    deliver(mail)
    assert "cursor of another database" in caplog.text + str([vars(r) for r in caplog.records])
    assert "cursor of another database" in row().last_error
    screen = io.StringIO()
    with override_settings(REALTIME=mail.config):
        call_command("receivers_realtime", stdout=screen)
    assert "failing since" in screen.getvalue()
    assert receivers.replay("default", changes.at(database_now() - timedelta(hours=1)))
    deliver(mail)
    assert "HB 1" in receiver.names()
    assert not row().last_error


def test_replay__from_a_time__told_again(mail: Mail, receiver: Receiver) -> None:
    change(mail, "HB 1")
    deliver(mail)
    assert receivers.replay("default", changes.at(database_now() - timedelta(hours=1)))
    deliver(mail)
    assert receiver.names()[-1] == "HB 1"
    assert len(receiver.names()) > 1


@pytest.mark.long
def test_deliver__down_while_20000_changes_happen__all_of_them_after(
    mail: Mail, receiver: Receiver
) -> None:
    receiver.stop()
    for part in range(20):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO realtime_change (xid, at, jurisdiction_id, object_type, change,"
                " core_id, bill_identifier, session, fields, before, after)"
                " SELECT pg_current_xact_id()::text::bigint, now(), %s, 'bill', 'updated',"
                " 'ocd-bill/' || n, 'HB ' || n, '2031', '[]', '{}', '{}'"
                " FROM generate_series(%s, %s) AS n",
                [scrapes.WYOMING.jurisdiction_id, part * 1000 + 1, part * 1000 + 1000],
            )
        deliver(mail)
    assert row().failures == 20
    receiver.restart()
    while receivers.progress()[0].behind:
        deliver(mail)
    assert receiver.names() == [f"HB {n}" for n in range(1, 20_001)]
    assert row().delivered == 20_000


def test_prune__changes_that_a_receiver_was_not_told_of__go_with_a_warning(
    mail: Mail, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    change(mail, "HB 1")
    deliver(mail)
    change(mail, "HB 2")
    LoggedChange.objects.update(at="2020-01-01T00:00:00Z")
    stopped = retention.prune_all(mail.config, must_stop=lambda: True)
    assert (stopped.counts["changes"], stopped.not_told) == (0, {}), "it may still be told"
    pruned = command(mail, "prune_realtime")
    assert (pruned["changes"] > 1, pruned["not_told"]) == (True, {"default": 1})
    [warning] = [vars(one) for one in caplog.records if "pruned" in one.getMessage()]
    assert (warning["receiver"], warning["events"]) == ("default", 1)


def test_status__receiver_that_fails__says_how_far_it_is_and_why(
    mail: Mail, receiver: Receiver
) -> None:
    receiver.answer = lambda number: 503
    change(mail, "HB 1")
    deliver(mail)
    [one] = command(mail, "status_realtime")["receivers"]["list"]
    assert (one["name"], one["behind"], one["failures"]) == ("default", 1, 1)
    assert one["cursor"] == str(changes.Cursor(row().xid, row().change_id))
    assert "status 503" in one["last_error"]
    screen = io.StringIO()
    with override_settings(REALTIME=mail.config):
        call_command("status_realtime", stdout=screen)
    assert "1 changes behind" in " ".join(screen.getvalue().split())


def test_deliver__with_metrics_on__says_what_was_delivered_and_what_waits(
    aws: Aws, database: str, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    mail = mail_to(aws, database, receiver.url, AWS_LAMBDA_FUNCTION_NAME="f")
    receiver.answer = lambda number: 500 if number == 1 else 200
    for bill in ("HB 1", "HB 2"):
        change(mail, bill)
        capsys.readouterr()
        deliver(mail)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["receiver"], line["delivered"], line["behind"]) == ("default", 0, 1)
    assert line["behind_seconds"] > 0


def test_deliver__receiver_far_behind_and_metrics_off__what_waits_is_not_counted(
    mail: Mail, receiver: Receiver
) -> None:
    receiver.answer = lambda number: 500
    change(mail, "HB 1")
    with CaptureQueriesContext(connection) as statements:
        deliver(mail)
    assert row().failures == 1
    assert not [one for one in statements if "count(" in one["sql"]]


@pytest.mark.parametrize("fifo", [False, True])
def test_deliver__queue_and_topic__a_message_for_each_change(
    aws: Aws, database: str, fifo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    end = ".fifo" if fifo else ""
    attributes: Any = {"FifoQueue": "true"} if fifo else {}
    direct, subscribed = (
        aws.sqs.create_queue(QueueName=f"{aws.bucket}-{n}{end}", Attributes=attributes)["QueueUrl"]
        for n in range(2)
    )
    sns = _sns()
    topic = sns.create_topic(
        Name=f"{aws.bucket}{end}", Attributes={"FifoTopic": "true"} if fifo else {}
    )["TopicArn"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=subscribed, AttributeNames=["QueueArn"])
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn["Attributes"]["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )
    more = {"REALTIME_CHANGES_URL_TOPIC": f"sns:{topic}"}
    mail = mail_to(aws, database, f"sqs:{direct}", **more)
    names = [f"HB {n}" for n in range(1, 13)]
    change(mail, *names)
    deliver(mail)
    for url in (direct, subscribed):
        events = _received(aws, url)
        assert sorted(e["data"]["bill_identifier"] for e in events) == sorted(names)
        if fifo:
            assert [e["data"]["bill_identifier"] for e in events] == names


def _sns() -> Any:
    from realtime.backends import clients

    return clients.client("sns", 1)


def _received(aws: Aws, url: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while True:
        found = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not found:
            return events
        events += [json.loads(one["Body"]) for one in found]
        for one in found:
            aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])


def test_deliver__no_receiver__no_connection(aws: Aws, database: str) -> None:
    mail = Mail(aws, database)
    connection.close()
    deliver_now = Delivery(mail.config, lambda: False)
    deliver_now.register()
    deliver_now.now()
    assert connection.connection is None
