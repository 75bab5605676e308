"""A run that is cut short: what it did not get to comes again."""

import pytest

from realtime.consumer.run import Limits, run
from realtime.consumer.sources import QueueInbox
from realtime.files import archive
from tests import scrapes
from tests.scrapes import Mail
from tests.support import Aws


def test_run__file_twice_in_a_batch_with_no_time_for_it__both_are_released(
    aws: Aws, database: str
) -> None:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    mail.publish(scrapes.bill())
    key = mail.put(scrapes.event())
    mail.send(mail.message(key))
    mail.send(mail.message(key))
    # Asked before the pass and its portion, for each of the three files, before the jurisdiction
    # and its bill: then there is no time left for the event.
    answers = iter([False] * 7)
    inbox = QueueInbox(mail.queue, mail.config.visibility_timeout)
    limits = Limits(10, False, lambda: next(answers, True))
    report = run(mail.config, inbox, mail.store, limits).as_dict()
    assert (report["received"], report["inserted"], report["released"]) == (3, 1, 2)
    assert mail.waiting() == 2


def test_run__time_is_up_while_failed_files_are_moved__the_rest_stays_for_archive(
    aws: Aws, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    archive.archive(mail.store, mail.config)
    mail.publish(*({**scrapes.bill(f"HB {number}"), "title": None} for number in range(6)))
    # One after the other; the first move takes all of the time that there was.
    monkeypatch.setattr(archive, "THREADS", 1)
    inbox = QueueInbox(mail.queue, mail.config.visibility_timeout)
    limits = Limits(10, False, lambda: bool(mail.keys("failed/")))
    report = run(mail.config, inbox, mail.store, limits)
    assert report.outcomes["failed"] == 6
    assert (len(mail.keys("failed/")), len(mail.keys("wy/"))) == (1, 5)
    archive.archive(mail.store, mail.config)
    assert (len(mail.keys("failed/")), len(mail.keys("wy/"))) == (6, 0)
