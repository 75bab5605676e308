"""Workers that are killed, a receiver that fails and is restarted: nothing is lost or doubled."""

import json
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from realtime.backends.folder import FolderStore
from realtime.backends.queues import RunEnds
from realtime.devstack.database import load_people, lookup
from realtime.ledger import changes
from realtime.ledger.changes import START
from realtime.models import File, RaisedFlag, ScrapeRun
from realtime.monitoring.change_events import cloud_event
from tests.oracle.__main__ import _Delivery
from tests.support import REAL_DATA, ROOT, CompletedText, without_real_data
from tests.told import Rebuilt, once, stored
from tests.webhooks import SECRET, Receiver, receiving

Manage = Callable[..., CompletedText]
# What is scraped at the same time, one after the other.
SCRAPES = (("wy", "dc-2025-12-04"), ("dc-2025-12-18",), ("dc-2026-01-06",))
LACKING = without_real_data(*(name for together in SCRAPES for name in together))
# For each of them.
KILLS = 7


class Place:
    """A folder, and no queue: a file is there from when its message would be sent."""

    def __init__(self, folder: Path) -> None:
        self.store = FolderStore(str(folder))
        self.queue = self
        self._ends = RunEnds(self.store, prefix="")
        self._puts: dict[str, Callable[[], object]] = {}

    def stores(self, put: Callable[[], object], body: str) -> None:
        self._puts[body] = put

    def send(self, bodies: Sequence[str]) -> list[int]:
        for body in bodies:
            self._puts.get(body, lambda: None)()
        return self._ends.send(bodies)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def import_killed(
    environment: dict[str, str],
    kills: Sequence[int],
    recorded: Callable[[], int],
    runs: Sequence[uuid.UUID],
) -> None:
    """Import with two workers until these runs are final. When as many files are recorded as
    `kills` says, one of them is killed."""
    command = [sys.executable, "manage.py", "import_realtime", "--until-empty"]
    final = ScrapeRun.objects.filter(run_id__in=runs).exclude(finalized_at=None)
    left = list(kills)
    workers: list[subprocess.Popen[bytes]] = []
    try:
        while final.count() < len(runs):
            workers = [one for one in workers if one.poll() is None]
            while len(workers) < 2:
                workers.append(subprocess.Popen(command, cwd=ROOT, env=environment))
            if left and recorded() >= left[0]:
                workers[len(left) % 2].send_signal(signal.SIGKILL)
                left.pop(0)
            time.sleep(0.2)
    finally:
        for one in workers:
            one.wait()
    assert not left


@pytest.mark.long
@pytest.mark.skipif(bool(LACKING), reason=LACKING)
def test_told__real_scrapes_by_two_workers_with_21_kills__what_is_stored(
    environment: dict[str, str],
    database: str,
    receiver: Receiver,
    run_manage: Manage,
    tmp_path: Path,
) -> None:
    environment |= {
        # Uploads would take most of the time.
        "S3_REALTIME_BASE": f"file://{tmp_path}",
        "SQS_QUEUE_URL": "",
        "FILE_ARCHIVING_ENABLED": "true",
        "REALTIME_CHANGES_URL": receiver.url,
        "REALTIME_CHANGES_SECRET": SECRET,
        "REALTIME_CHANGES_ALLOW_PRIVATE": "true",
        "REALTIME_LOG_LEVEL": "ERROR",
    }
    recorded = File.objects.count
    receiver.answer = lambda number: {0: 503, 7: None}.get(number % 10, 200)
    rng = random.Random(18)
    for abbr in ("wy", "dc"):
        load_people(REAL_DATA / "people" / abbr)
    place = Place(tmp_path)
    for together in SCRAPES:
        bodies: list[str] = []
        runs = []
        for name in together:
            abbr = name.partition("-")[0]
            delivery = _Delivery(place, abbr, lookup(abbr))  # type: ignore[arg-type]
            delivery.messages(REAL_DATA / name)
            bodies += delivery.shuffled(rng)
            runs.append(delivery.run_id)
        before, files = recorded(), len(set(bodies)) - len(runs)
        rng.shuffle(bodies)
        place.send(bodies)
        kills = [before + files * n // (KILLS + 1) for n in range(1, KILLS + 1)]
        import_killed(environment, kills, recorded, runs)
        receiver.stop()
        receiver.restart()
    told_all(environment, run_manage)
    logged = [cloud_event(change) for change in changes.read(START)]
    assert without_files(once(receiver.taken)) == without_files(logged)
    rebuilt = Rebuilt(logged)
    found, marked = stored()
    assert rebuilt.rows == found
    assert rebuilt.marked == marked
    gone = {one["data"]["id"] for one in logged if one["type"].endswith((".deleted", ".merged"))}
    assert not RaisedFlag.objects.filter(subject__in=gone, resolved_at=None).exists()
    print(len(logged), "events,", len(receiver.calls), "calls,", len(receiver.taken), "taken")


def told_all(environment: dict[str, str], run_manage: Manage) -> None:
    """Deliver until nothing waits."""
    for _ in range(300):
        said = run_manage("receivers_realtime", "--deliver", "--json", env=environment).stdout
        [one] = json.loads(said.splitlines()[-1])["list"]
        if not one["behind"]:
            return
        run_manage("receivers_realtime", "--resume", "default", env=environment, check=False)
    raise AssertionError(f"still behind: {one}")


def without_files(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without where their file is now: it may have been archived since."""
    for event in events:
        event["data"]["links"].pop("file", None)
    return events
