"""Ten workers at once, as processes: nothing doubled, nobody stuck, never more connections."""

import json
import random
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connection

from realtime.devstack.database import load_jurisdiction
from tests.support import ROOT, Aws, CompletedText, wait_until

STATES = ("ak", "al", "ar", "az", "co", "de", "hi", "ia", "id", "wy")
WORKERS = 10
WORKING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'openstates-realtime'"
OUTCOMES = ("inserted", "updated", "unchanged", "superseded", "ignored", "deferred", "failed",
            "released")  # fmt: skip
Query = Callable[[str], list[tuple[Any, ...]]]
Manage = Callable[..., CompletedText]


def hold(rows: Query) -> None:
    """Imports wait right before they are recorded until there is a row in `opened`."""
    rows(
        "CREATE TABLE opened (at timestamptz);"
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " WHILE NOT EXISTS (SELECT FROM opened) LOOP PERFORM pg_sleep(0.02); END LOOP;"
        " RETURN NULL; END $$;"
        "CREATE TRIGGER wait BEFORE INSERT ON realtime_file EXECUTE FUNCTION wait()"
    )


def id_of(abbr: str) -> str:
    return f"ocd-jurisdiction/country:us/state:{abbr}/government"


def add_sessions(rows: Query, abbrs: Sequence[str]) -> None:
    for abbr in abbrs:
        rows(
            "INSERT INTO opencivicdata_legislativesession (id, jurisdiction_id, identifier, name,"
            " classification, start_date, end_date, active) VALUES"
            f" ('{uuid.uuid4()}', '{id_of(abbr)}', '2031', '2031', 'primary', '', '', true)"
        )


def a_file(**fields: Any) -> dict[str, Any]:
    lists = ("actions", "other_identifiers", "other_titles", "documents", "related_bills",
             "sponsorships", "subject", "abstracts", "versions", "citations",
             "sources")  # fmt: skip
    return {
        "_id": str(uuid.uuid1()),
        "legislative_session": "2031",
        "extras": {},
        "sources": [],
        **(
            {"votes": [], "counts": [], "bill_action": None, "start_date": "2031-01-11"}
            if "bill" in fields
            else {name: [] for name in lists}
        ),
        **fields,
    }


def publish(aws: Aws, abbr: str, bills: int) -> list[str]:
    """Bills of a jurisdiction, each with a vote event, in a random order; returns the keys."""
    files = []
    for number in range(1, bills + 1):
        bill = a_file(
            identifier=f"HB {number}",
            title="Of bridges",
            classification=["bill"],
            from_organization='~{"classification": "lower"}',
        )
        vote = a_file(
            identifier="",
            motion_text="passage",
            motion_classification=["passage"],
            result="pass",
            organization='~{"classification": "lower"}',
            bill=bill["_id"],
            bill_identifier=bill["identifier"],
        )
        files += [(f"{abbr}/bill_{bill['_id']}.json", bill),
                  (f"{abbr}/vote_event_{vote['_id']}.json", vote)]  # fmt: skip
    for key, file in files:
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=json.dumps(file).encode())
    return [key for key, _ in files]


def send(aws: Aws, keys: Sequence[str]) -> None:
    for key in random.sample(keys, len(keys)):
        body = {"file_path": key, "bucket": aws.bucket, "jurisdiction_id": id_of(key[:2])}
        aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=json.dumps(body))


@contextmanager
def watching(environment: dict[str, str], sql: str) -> Iterator[list[int]]:
    """The numbers that `sql` gives while the block runs."""
    seen: list[int] = []
    done = threading.Event()

    def sample() -> None:
        with closing(psycopg2.connect(environment["DATABASE_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not done.wait(0.02):
                    cursor.execute(sql)
                    seen.append(cursor.fetchone()[0])

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def run_ten(
    environment: dict[str, str], folder: Path, messages: int, meanwhile: Callable[[], None]
) -> Counter[str]:
    """What ten workers report together, each with up to `messages` messages."""
    command = [sys.executable, "-m", "tests.forked_workers", str(WORKERS), str(folder), "--json",
               "--max-messages", str(messages)]  # fmt: skip
    total: Counter[str] = Counter()
    with watching(environment, WORKING) as working:
        workers = subprocess.Popen(
            command, cwd=ROOT, env={**environment, "REALTIME_LOG_LEVEL": "WARNING"}
        )
        try:
            meanwhile()
            workers.wait(120)
        finally:
            workers.kill()
    for number in range(WORKERS):
        status, error = ((folder / f"{number}.{name}").read_text() for name in ("status", "err"))
        assert (status, error) == ("0", "")
        report = json.loads((folder / f"{number}.out").read_text().splitlines()[-1])
        assert report["received"] == sum(report[name] for name in OUTCOMES)
        total.update({name: report[name] for name in ("received", *OUTCOMES)})
    assert max(working) == WORKERS
    return total


@pytest.mark.parametrize(("states", "bills"), [(("wy",), 15), (STATES, 2)], ids=["one", "ten"])
def test_import__ten_workers_at_once__all_imported_once_and_an_eleventh_exits(
    states: Sequence[str],
    bills: int,
    environment: dict[str, str],
    aws: Aws,
    database: str,
    rows: Query,
    run_manage: Manage,
    tmp_path: Path,
) -> None:
    """On one jurisdiction, where all but one wait, and on ten, where they meet crosswise."""
    for abbr in set(states) - {"wy"}:
        load_jurisdiction(abbr)
    # This process's own goes by the same name.
    connection.close()
    add_sessions(rows, states)
    keys = [key for abbr in states for key in publish(aws, abbr, bills)]
    send(aws, keys)
    hold(rows)

    def eleventh() -> None:
        assert wait_until(lambda: rows(WORKING) == [(WORKERS,)], 90)
        said = run_manage("import_realtime", env=environment).stdout
        rows("INSERT INTO opened VALUES (now())")
        assert "all 10 workers are busy" in said

    total = run_ten(environment, tmp_path, -(-len(keys) // WORKERS), meanwhile=eleventh)
    assert (total["received"], total["failed"]) == (len(keys), 0)
    if total["released"]:
        aws.sqs.purge_queue(QueueUrl=aws.queue_url)
        send(aws, keys)
    run_manage("import_realtime", "--until-empty", env=environment)
    assert rows("SELECT outcome, count(*) FROM realtime_file GROUP BY 1") == [
        ("inserted", len(keys))
    ]
    half = len(keys) // 2
    for table, key in (("bill", "identifier, legislative_session_id"), ("voteevent", "bill_id")):
        counted = f"SELECT count(*), count(DISTINCT ({key})) FROM opencivicdata_{table}"
        assert rows(counted) == [(half, half)]
