"""`python -m tests.oracle FOLDER …`: compares core's import of scrapes with ours in pieces.

The folders are successive scrapes of one jurisdiction. Prints the differences. Exits with status 1
if there are any, or if a run is not final in the end.
"""

import argparse
import json
import logging
import random
import secrets
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from realtime.backends.folder import FolderStore
from realtime.backends.queues import RunEnds
from realtime.backends.s3 import S3Store
from realtime.backends.sqs import BATCH, SqsQueue
from realtime.consumer import run as import_run
from realtime.consumer import sources
from realtime.consumer.sweep import Sweep, SweepInbox
from realtime.devstack import DevStack
from realtime.devstack.aws import LocalAws
from realtime.devstack.database import (
    load_jurisdiction,
    load_people,
    lookup,
    migrate,
    using_database,
)
from realtime.devstack.memory import MemoryQueue, MemoryStore
from realtime.devstack.stack import BUCKET
from realtime.domain import config
from realtime.domain.config import BULK, CORE, Config
from realtime.domain.interfaces import Sends, Store
from realtime.domain.scraped_object import RUN_ID_METADATA, SCRAPED_AT_METADATA, parse_key, time_of
from realtime.files.root import folders
from realtime.models import File, Outcome, ScrapeRun
from tests import oracle, rows
from tests.contracts import backends
from tests.support import messages_in

TEMPLATE = "template"
# One message in this many is delivered twice.
TWICE = 10
# Differences printed for one schedule.
SHOWN = 40


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    logging.disable(logging.CRITICAL)
    # Released messages are visible again at once.
    sources.RELEASE_SECONDS = (0, 0)
    stack = DevStack()
    if options.endpoint:
        stack.aws = _Elsewhere(options.endpoint)
    with stack:
        bench = _Bench(stack, options)
        expected = bench.core()
        if options.plain:
            for line in _summary(bench.differences_to_plain_core(expected)):
                print(line)
            return 0
        failures = 0
        for number in range(options.schedules):
            for run_size in options.run_size:
                rng = random.Random(f"{seed} {number} {run_size}")
                actual, problems = bench.ours(rng, run_size, f"ours_{number}_{run_size}")
                found = list(rows.differences(expected, actual))
                failures += len(found) + len(problems)
                for line in [*problems, *found][:SHOWN]:
                    print(line)
                print(
                    f"schedule {number}, runs of {run_size}: {len(found)} differences", flush=True
                )
    return 1 if failures else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.oracle", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--jurisdiction", metavar="ABBR", help="default: the folder's name")
    parser.add_argument("--people", type=Path, metavar="FOLDER", help="people to load first")
    parser.add_argument(
        "--schedules", type=int, default=1, metavar="N", help="number of schedules (1)"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the schedules (random)")
    parser.add_argument(
        "--run-size", type=int, action="append", metavar="N", help="messages a run (300)"
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="only compare the oracle with core as it is, without the repairs: what these change",
    )
    parser.add_argument("--importer", choices=[BULK, CORE], default=BULK, help="import_realtime's")
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        help="running S3 and SQS, such as ministack, which is faster than the default",
    )
    parser.add_argument(
        "--store",
        choices=["s3", "memory", "file", "gs"],
        default="s3",
        help="where files are kept: S3, with SQS, or one of the others, with messages in memory;"
        " S3 and SQS take most of the time",
    )
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="without messages: files are put into the store instead, and imports sweep it",
    )
    options = parser.parse_args(arguments)
    options.run_size = options.run_size or [300]
    options.jurisdiction = options.jurisdiction or options.folders[0].resolve().name
    return options


class _Elsewhere(LocalAws):
    """S3 and SQS at a given endpoint, which is neither started nor stopped here."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint = endpoint

    @property
    def endpoint(self) -> str:
        return self._endpoint

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


class _Bench:
    """Runs both imports, each into its own database."""

    def __init__(self, stack: DevStack, options: argparse.Namespace) -> None:
        self._stack = stack
        self._token = secrets.token_hex(4)
        self._options = options
        abbr = options.jurisdiction.lower()
        self._abbr = "usa" if abbr == "us" else abbr
        self._state = lookup(abbr)
        with using_database(stack.postgres.create_database(TEMPLATE)):
            migrate()
            load_jurisdiction(abbr)
            if options.people:
                print(f"{load_people(options.people)} people", flush=True)

    def core(self) -> list[str]:
        """A dump of the database after core's import."""
        began = time.monotonic()
        with using_database(self._stack.postgres.create_database("core", template=TEMPLATE)):
            scrapes = [
                oracle.read(sorted(folder.glob("*.json"))) for folder in self._options.folders
            ]
            refused = oracle.import_scrapes(scrapes, self._state.jurisdiction_id)
            expected = rows.dump()
        for file in refused:
            print(f"core refuses {file.id}: {file.why[:200]}")
        count = sum(len(scrape) for scrape in scrapes)
        print(f"core: {count} files, {time.monotonic() - began:.0f} s", flush=True)
        return expected

    def differences_to_plain_core(self, expected: list[str]) -> Iterator[str]:
        """What the repairs of the oracle change; the lines of plain core begin with a minus."""
        with using_database(self._stack.postgres.create_database("plain", template=TEMPLATE)):
            scrapes = [
                oracle.read(sorted(folder.glob("*.json"))) for folder in self._options.folders
            ]
            oracle.import_plain(scrapes, self._state.jurisdiction_id)
            return rows.differences(rows.dump(), expected)

    def ours(self, rng: random.Random, run_size: int, name: str) -> tuple[list[str], list[str]]:
        """A dump of the database after our import, and problems other than differences."""
        place = self._place(name)
        url = self._stack.postgres.create_database(name, template=TEMPLATE)
        self._config = config.load(
            {
                "DATABASE_URL": url,
                "S3_REALTIME_BASE": config.Bucket(place.store.bucket).url,
                "SQS_QUEUE_URL": "https://given.to.those.who.ask",
            }
        )
        problems: list[str] = []
        with using_database(url):
            for folder in self._options.folders:
                delivery = _Delivery(place, self._abbr, self._state)
                delivery.messages(folder)
                problems += self._deliver(delivery.shuffled(rng), run_size, delivery, folder)
            dump = rows.dump()
        self._stack.postgres.drop_database(name)
        place.close()
        return dump, problems

    def _place(self, name: str) -> "_Place":
        kinds: dict[str, Callable[[], _Place]] = {
            "s3": lambda: _Aws(self._stack.aws, f"{name}-{self._token}"),
            "memory": _Memory,
            "file": _Folder,
            "gs": _Google,
        }
        place = kinds[self._options.store]()
        return _Swept(place) if self._options.sweep else place

    def _deliver(
        self, bodies: list[str], run_size: int, delivery: "_Delivery", folder: Path
    ) -> list[str]:
        began = time.monotonic()
        received = 0
        while bodies:
            delivery.send(bodies[:run_size])
            del bodies[:run_size]
            received += self._import(run_size, delivery.place)
            _progress(f"{folder}: {received} received, {len(bodies)} left")
        while more := self._import(run_size, delivery.place):
            received += more
        outcomes = Counter(
            File.objects.filter(run_id=delivery.run_id).values_list("outcome", flat=True)
        )
        summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        _progress("")
        print(f"{folder}: {summary}; {time.monotonic() - began:.0f} s", flush=True)
        run = ScrapeRun.objects.get(run_id=delivery.run_id)
        problems = [] if run.finalized_at else [f"{folder}: its run is not final"]
        if run.closed_at:
            print(f"{folder}: closed, {run.closed}")
        if outcomes[Outcome.DEFERRED]:
            problems.append(f"{folder}: files are still parked")
        if delivery.place.waiting():
            problems.append(f"{folder}: messages are still in the queue")
        return problems

    def _import(self, run_size: int, place: "_Place") -> int:
        messages = place.inbox(self._config)
        limits = import_run.Limits(run_size, until_empty=False, must_stop=lambda: False)
        report = import_run.run(self._config, messages, place.store, limits, self._options.importer)
        assert report.received == sum(report.outcomes.values())
        return report.received


class _Place(Protocol):
    """The store and queue of one schedule."""

    @property
    def store(self) -> Store: ...

    @property
    def queue(self) -> Sends: ...

    def stores(self, put: Callable[[], object], body: str) -> None:
        """Store a file by `put` now, or when `body`, its message, is sent."""

    def inbox(self, settings: Config) -> sources.Inbox: ...

    def waiting(self) -> int: ...

    def close(self) -> None: ...


class _Aws:
    def __init__(self, aws: LocalAws, name: str) -> None:
        # The name is unique: others may use the same endpoint.
        self._url = aws.create_queue(name)
        bucket = f"{BUCKET}-{name}".replace("_", "-")
        aws.create_bucket(bucket)
        self._sqs = aws.sqs()
        self.store = S3Store(bucket, aws.s3())
        self.queue = SqsQueue(self._url, self._sqs, wait=0)

    def stores(self, put: Callable[[], object], body: str) -> None:
        put()

    def inbox(self, settings: Config) -> sources.Inbox:
        return sources.QueueInbox(self.queue, settings.visibility_timeout)

    def waiting(self) -> int:
        return messages_in(self._sqs, self._url)

    def close(self) -> None:
        self._sqs.delete_queue(QueueUrl=self._url)


class _Memory:
    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore()
        self.queue = MemoryQueue()

    def stores(self, put: Callable[[], object], body: str) -> None:
        put()

    def inbox(self, settings: Config) -> sources.Inbox:
        return sources.QueueInbox(self.queue, settings.visibility_timeout)

    def waiting(self) -> int:
        return len(self.queue.receive(1, 0))

    def close(self) -> None:
        """Nothing to do."""


class _Folder(_Memory):
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        super().__init__(FolderStore(self._folder.name))

    def close(self) -> None:
        self._folder.cleanup()


class _Google(_Memory):
    def __init__(self) -> None:
        self._server = ExitStack()
        endpoint = self._server.enter_context(backends.fake_google())
        super().__init__(backends.google(endpoint).store(False))

    def close(self) -> None:
        self._server.close()


class _Swept:
    """A store without a queue: a file is there from the moment in which its message would be sent.
    It can be sent twice, too: that is another upload."""

    def __init__(self, place: _Place) -> None:
        self.store = place.store
        self.queue = self
        self.close = place.close
        self._bucket = config.Bucket(self.store.bucket)
        self._ends = RunEnds(self.store, prefix="")
        self._puts: dict[str, Callable[[], object]] = {}

    def stores(self, put: Callable[[], object], body: str) -> None:
        self._puts[body] = put

    def send(self, bodies: Sequence[str]) -> list[int]:
        for body in bodies:
            self._puts.get(body, lambda: None)()
        return self._ends.send(bodies)

    def inbox(self, settings: Config) -> sources.Inbox:
        return SweepInbox(Sweep(self.store, settings))

    def waiting(self) -> int:
        left = folders(self.store, self._bucket)
        return sum(1 for folder in left for _ in self.store.list(folder))


class _Delivery:
    """Uploads the files of one scrape as a run, and sends their messages."""

    def __init__(self, place: _Place, abbr: str, state: Any) -> None:
        self.place = place
        self._abbr = abbr
        self._state = state
        self.run_id = uuid.uuid4()
        self._bodies: list[str] = []

    def messages(self, folder: Path) -> None:
        """Upload the files of a folder and prepare their messages and the end message."""
        paths = sorted(folder.glob("*.json"))
        ticks = [file.ticks for file in oracle.read(paths) if file.ticks]
        began, ended = time_of(min(ticks)), time_of(max(ticks) + 10)
        sent: Counter[str] = Counter()
        for path in paths:
            key = f"{self._abbr}/{path.name}"
            sent[parse_key(key).object_type] += 1
            metadata = {
                RUN_ID_METADATA: str(self.run_id),
                SCRAPED_AT_METADATA: began.isoformat(),
            }
            body = self._add_message(file_path=key, file_archiving_enabled=True)
            put = partial(self.place.store.put, key, path.read_bytes(), metadata)
            self.place.stores(put, body)
        self._add_message(
            run_finished={
                "started_at": began.isoformat(),
                "finished_at": ended.isoformat(),
                "objects": dict(sent),
                "scrapers": {},
            }
        )

    def shuffled(self, rng: random.Random) -> list[str]:
        bodies = self._bodies + rng.sample(self._bodies, len(self._bodies) // TWICE)
        rng.shuffle(bodies)
        return bodies

    def send(self, bodies: Sequence[str]) -> None:
        for at in range(0, len(bodies), BATCH):
            refused = self.place.queue.send(bodies[at : at + BATCH])
            assert not refused

    def _add_message(self, **fields: Any) -> str:
        body = json.dumps(
            {
                "bucket": self.place.store.bucket,
                "jurisdiction_id": self._state.jurisdiction_id,
                "jurisdiction_name": self._state.name,
                "run_id": str(self.run_id),
                **fields,
            }
        )
        self._bodies.append(body)
        return body


def _summary(lines: Iterable[str]) -> Iterator[str]:
    """How many rows of each type differ in which fields, with an example of each."""
    there: dict[bool, dict[Any, list[dict[str, Any]]]] = {
        True: defaultdict(list),
        False: defaultdict(list),
    }
    for line in lines:
        row = json.loads(line[1:])
        there[line[0] == "-"][row[""], row.get("bill"), row.get("identifier")].append(row)
    found: dict[str, list[str]] = defaultdict(list)
    for name in there[True].keys() | there[False].keys():
        plain, repaired = there[True][name], there[False][name]
        while plain and repaired:
            pairs = [(_unlike(one, two), one, two) for one in plain for two in repaired]
            unlike, one, two = min(pairs, key=lambda pair: len(pair[0]))
            plain.remove(one)
            repaired.remove(two)
            found[f"{name[0]}: {', '.join(unlike)}"].append(str(name))
        for left, word in ((plain, "in plain core only"), (repaired, "with the repairs only")):
            found[f"{name[0]} {word}"] += [str(name)] * len(left)
    for what, names in sorted(found.items()):
        if names:
            yield f"{len(names)} of {what}; one is {names[0]}"


def _unlike(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
