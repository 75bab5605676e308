"""A small scrape that exercises every step of the commands, one of which may be killed."""

import copy
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection
from openstates.data.models import Organization

from realtime.consumer import from_source
from realtime.domain.run_context import RunContext
from realtime.domain.scraped_object import SCRAPED_AT_METADATA, ticks_of, time_of
from realtime.files import archive, redrive
from realtime.finalization.finalize import finalize_anyway, finalize_complete
from realtime.ledger.complete_runs import steps_to
from realtime.models import File, ScrapeRun, Suspect
from realtime.sources.open_source import open_source
from tests import oracle, scrapes
from tests.crash_child import ROOT
from tests.oracle import ScrapedFile
from tests.schedules.content import uuid1_at
from tests.scrapes import Mail
from tests.support import Aws, CompletedText, wait_until

JURISDICTION = scrapes.WYOMING.jurisdiction_id
RUN = "4e4f3f0e-0000-4000-8000-000000000001"
# Messages of a killed process are visible again after a second.
SETTINGS = {
    "REALTIME_VISIBILITY_TIMEOUT": "1",
    "REALTIME_MAX_RECEIVES": "5",
    "FILE_ARCHIVING_ENABLED": "false",
    "REALTIME_ARCHIVE": "later",
}
INLINE = {"REALTIME_ARCHIVE": "inline"}
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_COMMITTEE = "Committee on Nothing Yet"
_NAMED = f'~{{"name": "{_COMMITTEE}"}}'
_SECOND = 10**7
_MINUTE = 60 * _SECOND
_PATIENCE = 90.0

Data = dict[str, Any]


@dataclass(frozen=True)
class Material:
    """The files of the scenario.

    There are two `bills`; `votes` are their vote events. The files in `made`, by name, are mostly
    copies of those with another id and scrape time.
    """

    jurisdiction: Data
    bills: Sequence[Data]
    votes: Sequence[Data]
    made: dict[str, Data] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first, second = self.bills
        vote = self.votes[0]
        first_session = self.jurisdiction["legislative_sessions"][0]
        ticks = iter(range(self.began - _MINUTE, self.began))
        older = _at(next(ticks), first, title="Of old")
        self.made.update(
            {
                "older first": older,
                "older second": _at(next(ticks), second, title="Of old"),
                "older event": _at(next(ticks), scrapes.event("Old hearing")),
                "stale vote": _at(
                    next(ticks),
                    vote,
                    bill=older["_id"],
                    motion_text="stale",
                    identifier="",
                    dedupe_key=None,
                ),
                "older jurisdiction": {
                    **self.jurisdiction,
                    "legislative_sessions": [{**first_session, "identifier": "1889"}],
                },
                "event": scrapes.event("Hearing"),
                "lost event": _held_in("Room 2", scrapes.event("Lost hearing")),
                "event in no place": _held_in("Room" * 100, scrapes.event("Endless hearing")),
                "event of no run": scrapes.event("Other hearing"),
                "event often received": scrapes.event("Third hearing"),
                "refused": _now(first, identifier="HB 9999"),
                "unspeakable": _now(first, identifier="HB 9997"),
                "ahead": _of_a_committee(_now(first, identifier="HB 9996")),
                "by hand": _now(first, identifier="HB 9998"),
                "doomed vote": _now(
                    vote, bill=str(uuid.uuid1()), bill_identifier="HB 9990", motion_text="doomed"
                ),
                "overwritten vote": {**self.votes[-1], "extras": {"overwritten": "yes"}},
                "person": {
                    "id": f"ocd-person/{uuid.uuid4()}",
                    "name": "Zed Unheard",
                    "party": [{"name": "Republican"}],
                    "roles": [],
                },
            }
        )

    @property
    def began(self) -> int:
        """The start of the scrape run in ticks: a second before its first file."""
        return min(_ticks(data) for data in (*self.bills, *self.votes)) - _SECOND

    def run_files(self) -> dict[str, int]:
        """The number of files that the run sends, by type."""
        return {"jurisdiction": 1, "bill": 4, "vote_event": len(self.votes), "event": 3}

    def truth(self) -> None:
        """Import the files into the default database with core's importers, for comparison."""
        names = ("event", "lost event", "event often received", "refused", "ahead",
                 "overwritten vote")  # fmt: skip
        in_run = [*self.bills, *self.votes[:-1], *(self.made[name] for name in names)]
        older = ("older first", "older second", "older event", "stale vote")
        others = [*older, "event of no run", "by hand", "person"]
        make_committee()
        runs = [
            oracle.Run(
                0,
                [
                    *(_scraped(self.made[name]) for name in others),
                    _scraped(self.made["older jurisdiction"], ticks_of(_LONG_AGO)),
                ],
                deletes=False,
            ),
            oracle.Run(
                self.began,
                [_scraped(self.jurisdiction, self.began), *map(_scraped, in_run)],
            ),
        ]
        assert oracle.import_runs(runs, JURISDICTION) == []


def generated() -> Material:
    """Material made with core's scrape classes."""
    bills = [scrapes.bill("HB 1"), scrapes.bill("HB 2", actions=2)]
    votes = [
        scrapes.vote_event(bills[0], "passage", "reading 1"),
        scrapes.vote_event(bills[1], "first", "reading 1"),
        scrapes.vote_event(bills[1], "second"),
    ]
    return Material(scrapes.jurisdiction(), bills, votes)


def real(data: Path) -> Material:
    """Material with two bills of Wyoming's real scrape, and their vote events."""
    votes: dict[str, list[Data]] = {}
    for path in sorted(data.glob("vote_event_*.json")):
        vote = json.loads(path.read_bytes())
        votes.setdefault(vote["bill"], []).append(vote)
    bills: list[Data] = []
    for path in sorted(data.glob("bill_*.json")):
        bill = json.loads(path.read_bytes())
        if len(bills) < 2 and 1 < len(votes.get(bill["_id"], [])) < 4:
            bills.append(bill)
    bills.sort(key=_ticks)
    [jurisdiction] = data.glob("jurisdiction_*.json")
    votes_of_bills = [vote for bill in bills for vote in votes[bill["_id"]]]
    return Material(json.loads(jurisdiction.read_bytes()), bills, votes_of_bills)


def make_committee() -> None:
    """Create the committee that a bill names."""
    Organization.objects.create(
        id="ocd-organization/4e4f3f0e-0000-4000-8000-000000000002",
        name=_COMMITTEE,
        classification="committee",
        jurisdiction_id=JURISDICTION,
    )


def _of_a_committee(bill: Data) -> Data:
    actions = [{**action, "organization_id": _NAMED} for action in bill["actions"]]
    return {**bill, "actions": actions}


def _scraped(data: Data, ticks: int | None = None) -> ScrapedFile:
    if ticks is None:
        ticks = _ticks(data) if "_id" in data else 0
    return ScrapedFile(_type_of(data), json.dumps(data), ticks)


def _type_of(data: Data) -> str:
    return "person" if "party" in data else scrapes.type_of(data)


def _ticks(data: Data) -> int:
    return uuid.UUID(data["_id"]).time


def _at(ticks: int, data: Data, **changes: Any) -> Data:
    return {**copy.deepcopy(data), "_id": str(uuid1_at(ticks)), **changes}


def _held_in(room: str, event: Data) -> Data:
    return {**event, "location": {**event["location"], "name": room}}


def _now(data: Data, **changes: Any) -> Data:
    return {**copy.deepcopy(data), "_id": str(uuid.uuid1()), **changes}


class World:
    """The scenario in its own database, bucket and queue; its steps are taken one by one."""

    def __init__(self, material: Material, aws: Aws, database_url: str, folder: Path) -> None:
        self.material = material
        self.mail = Mail(aws, database_url, **SETTINGS)
        self._aws = aws
        self._environment = {**aws.environment, **SETTINGS, "DATABASE_URL": database_url}
        self._folder = folder

    def run(self, environ: Mapping[str, str], arguments: Sequence[str]) -> CompletedText:
        """Run a command under `tests.crash_child`, with `environ` as instructions to it."""
        return subprocess.run(
            [sys.executable, str(ROOT / "tests" / "crash_child.py"), *arguments],
            env={**os.environ, **self._environment, **environ},
            capture_output=True,
            check=False,
            text=True,
            timeout=120,
            cwd=ROOT,
        )

    def publish(self, *names: str, run: bool = True, archiving: bool = True) -> list[str]:
        """Upload files from `Material.made` and send their messages; returns their keys."""
        fields = {"run_id": RUN} if run else {}
        files = [self.material.made[name] for name in names]
        return [self._send(data, file_archiving_enabled=archiving, **fields) for data in files]

    def _send(self, data: Data, key: str = "", **fields: Any) -> str:
        key = self.mail.put(json.dumps(data).encode(), key or self.key(data))
        self.mail.send(self.mail.message(key, **fields))
        return key

    def key(self, data: Data) -> str:
        kind = _type_of(data)
        name = str(data.get("_id") or data["id"]).replace("/", "-")
        return f"wy/{kind}_{name}.json"

    # The steps

    def before_the_run(self) -> None:
        """Make triggers that refuse rows; import and archive the jurisdiction and older files."""
        self._refuse()
        self._send(self.material.jurisdiction, run_id=RUN, file_archiving_enabled=True)
        self.publish("older first", "older event", "stale vote", run=False)
        self.imported()
        self.archived()

    def first_files(self) -> None:
        """Publish votes before their bills, events, and files that can never be imported."""
        for vote in self.material.votes:
            self._send(vote, run_id=RUN, file_archiving_enabled=True)
        self.publish("event", "lost event", "refused", "ahead")
        self.publish("doomed vote", "unspeakable", "event in no place", "person", run=False)
        self.publish("event of no run", run=False, archiving=False)

    def parked_files_change(self) -> None:
        """Overwrite one parked vote in the bucket, and delete the object of another."""
        self.mail.put(self.material.made["overwritten vote"])
        self.mail.aws.s3.delete_object(
            Bucket=self._aws.bucket, Key=self.key(self.material.made["doomed vote"])
        )
        File.objects.filter(key=self.key(self.material.made["doomed vote"])).update(
            bill_scrape_id=self.material.bills[0]["_id"]
        )

    def other_files(self) -> None:
        """Publish bills, older versions, messages received too often, and the end of the run."""
        self.publish("event often received")
        killer = self.mail.put(b"{", f"wy/bill_{uuid.uuid4()}.json")
        body = json.dumps(self.mail.message(killer))
        sent = self._aws.sqs.send_message(QueueUrl=self._aws.queue_url, MessageBody=body)
        Suspect.objects.create(message_id=sent["MessageId"], body=body, attempts=3)
        for _ in range(int(SETTINGS["REALTIME_MAX_RECEIVES"]) + 1):
            received = self.mail.queue.receive(2, 30)
            assert len(received) == 2
            self.mail.queue.change_visibility(received, lambda: 0)
        self.publish("older second", run=False)
        self.mail.put(
            self.material.made["older jurisdiction"],
            "wy/jurisdiction_older.json",
            **{SCRAPED_AT_METADATA: _LONG_AGO.isoformat()},
        )
        self.mail.send(self.mail.message("wy/jurisdiction_older.json"))
        for bill in self.material.bills:
            self._send(bill, run_id=RUN, file_archiving_enabled=True)
        self.mail.send("nonsense")
        times = {"started_at": time_of(self.material.began), "finished_at": datetime.now(UTC)}
        end = {name: value.isoformat() for name, value in times.items()}
        objects = self.material.run_files()
        self.mail.send(self.mail.message("", run_id=RUN, run_finished={**end, "objects": objects}))

    def files_move(self) -> None:
        """Delete a file before it is archived; mark another, still at its key, as archived."""
        lost = self.key(self.material.made["lost event"])
        self.mail.aws.s3.delete_object(Bucket=self._aws.bucket, Key=lost)
        found = self.key(self.material.made["event often received"])
        File.objects.filter(key=found).update(archived_at=datetime.now(UTC))
        self.mail.send(self.mail.message(found))

    def mend(self) -> None:
        """Remove the trigger that refused one bill, and create the committee that another names."""
        make_committee()
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION IF EXISTS refuse CASCADE")

    def folder_appears(self) -> None:
        """Write a file to a folder, for `--directory`."""
        data = self.material.made["by hand"]
        (self._folder / f"bill_{data['_id']}.json").write_text(json.dumps(data))

    # What each command does when it is not killed

    def imported(self) -> None:
        """Run imports until the queue is empty."""

        def done() -> bool:
            received = self.mail.run().received
            return not received and not self.mail.waiting()

        assert wait_until(done, _PATIENCE), "the queue does not become empty"

    def archived(self) -> None:
        """Archive until every file with a final outcome is archived."""

        def done() -> bool:
            archive.archive(self.mail.store, self.mail.config)
            return not File.objects.filter(archived_at=None, imported_at__isnull=False).exists()

        assert wait_until(done, _PATIENCE), "files are not archived"

    def retried(self) -> None:
        """Retry the refused bill."""
        messages: list[str] = []

        def done() -> bool:
            counts = redrive.retry(
                self.mail.store,
                self.mail.queue,
                self.mail.config,
                {},
                self._refused,
                messages.append,
            )
            return not counts[redrive.LATER]

        assert wait_until(done, _PATIENCE), messages

    def finalized(self) -> None:
        """Finalize the runs that are complete."""
        list(finalize_complete(self._context()))

    def finalized_anyway(self) -> None:
        """Finalize the run again, as with --force."""
        run = ScrapeRun.objects.get(run_id=RUN)
        list(finalize_anyway(steps_to(run, force=True), self._context()))

    def imported_by_hand(self) -> None:
        """Import the folder."""
        source = open_source(str(self._folder), "wy")
        watcher = from_source.Watcher(lambda failure: None)
        from_source.run(self.mail.config, source, lambda: False, watcher)

    def _context(self) -> RunContext:
        return RunContext(self.mail.config, self.mail.store, lambda: False)

    @property
    def _refused(self) -> list[str]:
        return [self.key(self.material.made["refused"])]

    def _refuse(self) -> None:
        made = self.material.made
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END $$;
                CREATE FUNCTION choke() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'unspeakable' USING ERRCODE = '23514'; END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON opencivicdata_bill FOR EACH ROW
                WHEN (NEW.identifier = 'HB 9999') EXECUTE FUNCTION refuse();
                CREATE TRIGGER choke BEFORE INSERT ON realtime_file FOR EACH ROW
                WHEN (NEW.scrape_id = '{made["unspeakable"]["_id"]}') EXECUTE FUNCTION choke()
                """
            )

    def steps(self) -> "list[Step]":
        """All steps, in order."""
        until_empty = ("import_realtime", "--until-empty")
        retry = ("retry_realtime", "--key", *self._refused)
        finalize = ("finalize_realtime",)
        by_hand = ("import_realtime", "--directory", str(self._folder), "--jurisdiction", "wy")
        return [
            Step(self.before_the_run),
            Step(self.first_files),
            Step(lambda: None, until_empty, {"CRASH_STOP": "1"}),
            Step(self.imported, until_empty, {"CRASH_LINGER": "1.5"}),
            Step(self.parked_files_change),
            Step(self.other_files),
            Step(self.imported, until_empty),
            Step(self.files_move),
            Step(self.imported, until_empty, INLINE),
            Step(self.archived, ("archive_realtime",)),
            Step(self.mend),
            Step(self.retried, retry),
            Step(self.imported, until_empty, INLINE),
            Step(self.finalized, finalize),
            Step(self.finalized_anyway, (*finalize, "--run", RUN, "--force")),
            Step(self.folder_appears),
            Step(self.imported_by_hand, by_hand),
            Step(self.archived, ("archive_realtime",)),
        ]

    def problems(self) -> list[str]:
        """Problems in the ledger and the bucket after the last step; core's tables are not checked.

        A row of a suspect message may be left over; `prune_realtime` deletes it.
        """
        reasons = {"bad-message", "kills-the-import", "gone", "rejected", "too-long"}
        rows = list(File.objects.all())
        found = [f"{row}: {row.reason}" for row in rows if row.outcome == "failed"
               and row.reason not in reasons]  # fmt: skip
        found += [str(row) for row in rows if row.outcome == "deferred" or not row.archived_at]
        moved = sorted(row.archived_key for row in rows if row.archived_key)
        if self.mail.keys() != moved:
            found.append(f"in the bucket {self.mail.keys()}, in the ledger {moved}")
        run = ScrapeRun.objects.get(run_id=RUN)
        if run.closed or not run.finalized_at:
            found.append(f"the run is closed: {run.closed}")
        return found


@dataclass(frozen=True)
class Step:
    """One step: a command, or a function of World.

    Without a `command`, `usually` is the step. With one, `usually` does in this process what the
    command does; it also completes a command that was killed.
    """

    usually: Callable[[], None]
    command: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
