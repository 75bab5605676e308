"""`changes_realtime --follow`: what happens is told as it happens."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import IO, Any

from realtime.devstack import DevStack
from tests import scrapes
from tests.change_events import valid
from tests.support import ROOT, Aws, CompletedText, wait_until

Manage = Callable[..., CompletedText]
Query = Callable[[str], list[tuple[Any, ...]]]
READERS = (
    "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'openstates-realtime%'"
)


class Following:
    """A process that follows changes. `lines` are what it prints, and `errors`, as they come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines, self.errors = Queue[str](), Queue[str]()
        for stream, queue in ((process.stdout, self.lines), (process.stderr, self.errors)):
            Thread(target=_read, args=(stream, queue), daemon=True).start()

    def next(self) -> str:
        return self.lines.get(timeout=60)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        assert self.lines.empty()


def _read(stream: IO[str], queue: "Queue[str]") -> None:
    for line in stream:
        queue.put(line)


@contextmanager
def following(environment: dict[str, str], *options: str) -> Iterator[Following]:
    command = [sys.executable, "manage.py", "changes_realtime", "--follow", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield Following(process)
        finally:
            process.kill()


def publish(aws: Aws, *bills: str, title: str = "Of bridges") -> None:
    for identifier in bills:
        bill = scrapes.bill(identifier, title)
        key = f"wy/bill_{bill['_id']}.json"
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=json.dumps(bill).encode())
        body = {
            "file_path": key,
            "bucket": aws.bucket,
            "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
        }
        aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=json.dumps(body))


def test_follow__imports_while_the_only_worker_slot_is_free__each_change_once(
    session: None,
    stack: DevStack,
    environment: dict[str, str],
    rows: Query,
    aws: Aws,
    run_manage: Manage,
) -> None:
    environment["REALTIME_MAX_WORKERS"] = "1"
    with following(environment, "--json") as reader:
        assert wait_until(lambda: rows(READERS) == [("openstates-realtime-changes",)])
        publish(aws, "HB 1", "HB 2")
        run_manage("import_realtime", env=environment)
        told = [valid(reader.next()) for _ in range(2)]
        stack.postgres.stop()
        assert "trying again" in reader.errors.get(timeout=60)
        stack.postgres.start()
        publish(aws, "HB 3")
        run_manage("import_realtime", env=environment)
        told.append(valid(reader.next()))
        assert [one["data"]["bill_identifier"] for one in told] == ["HB 1", "HB 2", "HB 3"]
        assert told[0]["data"]["links"]["openstates"] == "https://openstates.org/wy/bills/2031/HB1/"
        reader.stop()


def test_follow__a_bill__only_what_happens_to_it_from_now_on(
    session: None, environment: dict[str, str], rows: Query, aws: Aws, run_manage: Manage
) -> None:
    publish(aws, "HB 1", "HB 12")
    run_manage("import_realtime", env=environment)
    with following(environment, "--bill", "hb1", "--jurisdiction", "wy") as reader:
        # Then it is known from where on.
        assert wait_until(lambda: bool(rows(f"{READERS} AND query ~ 'LISTEN|realtime_change'")))
        publish(aws, "HB 12", "HB 1", title="Of roads")
        run_manage("import_realtime", env=environment)
        line = reader.next()
        assert "bill updated" in line
        assert "(HB 1 of 2031): title" in line
        reader.stop()
