"""Simulates more scrapers than any one machine has: what breaks first, at what load.

Scrapes of many legislatures arrive at the pace of scrapers. Workers take up to 300 messages, the
oldest first, and import them jurisdiction by jurisdiction, one batch at a time for each
jurisdiction, as `import_realtime` does. The database does so much work a second and no more. The
service times are measured ones. The same seed gives the same figures.

What is left out: failures, parked files, reading the page, and the other users of the database.
"""

import heapq
import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.prices import Deployment, Prices

DAY = 86_400.0
# Seconds of arrivals that are handled as one.
_BIN = 5.0
# What a run waits for a jurisdiction that another one imports, and when its messages come again.
_PATIENCE, _AGAIN = 20.0, (5.0, 45.0)
# A setup whose oldest file has waited for so many seconds does not keep up: there it ends.
_TOO_OLD = 3_600.0


@dataclass(frozen=True)
class Service:
    """Measured seconds of a worker: to start a process, to begin a run and end it, for a batch of
    one jurisdiction whatever is in it, and for a file; and the share of the latter two that is the
    database's CPU."""

    start: float = 0.9
    run: float = 0.15
    batch: float = 0.09
    file: float = 0.0032
    database: float = 0.35


@dataclass(frozen=True)
class Load:
    """Scrapes: of so many `legislatures`, each once within `hours`, at random times. The number of
    files is lognormal. A scraper publishes `pace` files a second: a bill and its votes, at core's
    default of 60 requests a minute."""

    legislatures: int = 56
    hours: float = 6.0
    median_files: float = 4_000.0
    sigma: float = 0.8
    pace: float = 2.5


@dataclass(frozen=True)
class Setup:
    """What imports: `way` is cron, schedule, event source or follow. `cores` are the database's;
    with `one_machine`, the workers share them, too."""

    way: str = "cron"
    workers: int = 10
    cores: float = 4.0
    one_machine: bool = False
    every: float = 120.0
    run_files: int = 300
    window: float = 20.0
    time_limit: float = 900.0


WAYS = ("cron", "schedule", "event source", "follow")


@dataclass
class Outcome:
    """Seconds from scraped to visible of all files, in bins of a second, and what it took. What
    does not keep up has figures for its beginning only."""

    lags: Counter[int] = field(default_factory=Counter)
    oldest: float = 0.0
    busy_seconds: float = 0.0
    invocations: int = 0
    database_seconds: float = 0.0
    most_workers: int = 0
    ended: float = 0.0
    batches: int = 0

    @property
    def keeps_up(self) -> bool:
        return self.oldest < _TOO_OLD

    def percentile(self, percent: float) -> float:
        """Of the lags, nearest rank."""
        rank, seen = math.ceil(self.lags.total() * percent / 100), 0
        for lag in sorted(self.lags):
            seen += self.lags[lag]
            if seen >= rank:
                return float(lag)
        return 0.0


# Seconds, legislature, files.
Arrival = tuple[float, int, int]


def arrivals(load: Load, seed: int) -> Iterator[Arrival]:
    """The files that scrapers publish, as they arrive in the queue, the earliest first."""
    chance = random.Random(seed)
    bins: dict[int, Counter[int]] = defaultdict(Counter)
    for legislature in range(load.legislatures):
        files = max(int(chance.lognormvariate(math.log(load.median_files), load.sigma)), 1)
        began = chance.uniform(0, load.hours * 3600)
        for number in range(files):
            bins[int((began + number / load.pace) // _BIN)][legislature] += 1
    for number in sorted(bins):
        for legislature, count in sorted(bins[number].items()):
            yield (number + 0.5) * _BIN, legislature, count


@dataclass
class _Worker:
    """A process, and what is left of its run: (arrived, files) by legislature."""

    started: float
    left: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    waits_since: float | None = None
    imports: bool = False


class Simulation:
    """One setup, and the files that come to it: as `arrivals` gives them."""

    def __init__(
        self, coming: Iterable[Arrival], setup: Setup, service: Service, seed: int = 1
    ) -> None:
        self._setup, self._service = setup, service
        self._chance = random.Random(seed)
        self._coming = deque(coming)
        self._queue: deque[Arrival] = deque()
        self._waiting = 0
        self._again: list[tuple[float, float, int, int]] = []
        self._locked: dict[int, float] = {}
        self._importing = 0
        self._workers = 0
        self._events: list[tuple[float, int, str, _Worker | None]] = []
        self._number = 0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Simulate until everything is imported, or it is plain that this will take too long."""
        starts = self._setup.workers if self._setup.way == "follow" else 1
        for _ in range(starts):
            self._at(0.0, "start", None)
        while self._events and self.outcome.keeps_up:
            now, _, what, worker = heapq.heappop(self._events)
            self._arrive(now)
            if what == "start":
                self._start(now)
            elif what == "take" and worker:
                self._take(now, worker)
            elif worker:
                self._import(now, worker)
        return self.outcome

    def _at(self, when: float, what: str, worker: _Worker | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, what, worker))

    def _arrive(self, now: float) -> None:
        while self._coming and self._coming[0][0] <= now:
            one = self._coming.popleft()
            self._queue.append(one)
            self._waiting += one[2]
        while self._again and self._again[0][0] <= now:
            _, arrived, legislature, files = heapq.heappop(self._again)
            self._queue.appendleft((arrived, legislature, files))
            self._waiting += files
        if self._queue:
            self.outcome.oldest = max(self.outcome.oldest, now - self._queue[0][0])

    def _done(self) -> bool:
        return not (self._coming or self._queue or self._again)

    def _start(self, now: float) -> None:
        """Start a process, if fewer than the most work; and say when the next one starts."""
        setup, way = self._setup, self._setup.way
        if way in ("cron", "schedule") and not self._done():
            self._at(now + setup.every, "start", None)
        if way == "event source" and not self._done():
            # An invocation begins when a batch is full or its window has passed.
            full = self._waiting >= setup.run_files
            self._at(now + (0.5 if full else setup.window), "start", None)
            if not self._waiting:
                return
        if self._workers == setup.workers:
            return
        self._workers += 1
        self.outcome.most_workers = max(self.outcome.most_workers, self._workers)
        self.outcome.invocations += 1
        # Lambda keeps functions warm.
        cold = 0.0 if way == "event source" else self._service.start
        if setup.one_machine:
            cold *= max(self._workers / setup.cores, 1.0)
        self._at(now + cold, "take", _Worker(now))

    def _take(self, now: float, worker: _Worker) -> None:
        setup = self._setup
        wanted = setup.run_files
        out_of_time = setup.way != "follow" and now - worker.started > setup.time_limit
        if not self._queue or out_of_time:
            if setup.way == "follow" and not self._done():
                self._at(now + 1.0, "take", worker)
                return
            self._end(now, worker)
            return
        while self._queue and wanted:
            arrived, legislature, files = self._queue.popleft()
            took = min(files, wanted)
            worker.left.setdefault(legislature, []).append((arrived, took))
            wanted -= took
            self._waiting -= took
            if took < files:
                self._queue.appendleft((arrived, legislature, files - took))
        self.outcome.busy_seconds += self._service.run
        self._at(now + self._service.run, "import", worker)

    def _import(self, now: float, worker: _Worker) -> None:
        """Import the next batch of a run, of a legislature that no other run imports now."""
        if worker.imports:
            worker.imports = False
            self._importing -= 1
        if not worker.left:
            if self._setup.way != "event source":
                self._at(now, "take", worker)
            else:
                self._end(now, worker)
            return
        free = [one for one in worker.left if self._locked.get(one, 0.0) <= now]
        if not free:
            since = worker.waits_since if worker.waits_since is not None else now
            worker.waits_since = since
            if now - since >= _PATIENCE:
                self._release(now, worker)
                return
            until = min(self._locked[one] for one in worker.left)
            self.outcome.busy_seconds += until - now
            self._at(max(until, now + 0.001), "import", worker)
            return
        legislature = max(free, key=lambda one: sum(files for _, files in worker.left[one]))
        files = worker.left.pop(legislature)
        count = sum(n for _, n in files)
        alone = self._service.batch + self._service.file * count
        database = alone * self._service.database
        self._importing += 1
        # Cores are shared by those who import now.
        if self._setup.one_machine:
            took = alone * max(self._importing / self._setup.cores, 1.0)
        else:
            crowded = max(self._importing * self._service.database / self._setup.cores, 1.0)
            took = alone - database + database * crowded
        self.outcome.database_seconds += database
        self.outcome.batches += 1
        self.outcome.busy_seconds += took
        end = now + took
        self._locked[legislature] = end
        for arrived, n in files:
            self.outcome.lags[int(end - arrived)] += n
        self.outcome.ended = max(self.outcome.ended, end)
        worker.imports, worker.waits_since = True, None
        self._at(end, "import", worker)

    def _release(self, now: float, worker: _Worker) -> None:
        for legislature, files in worker.left.items():
            for arrived, n in files:
                visible = now + self._chance.uniform(*_AGAIN)
                heapq.heappush(self._again, (visible, arrived, legislature, n))
        worker.left.clear()
        worker.waits_since = None
        self._at(now, "import", worker)

    def _end(self, now: float, worker: _Worker) -> None:
        self._workers -= 1
        self.outcome.busy_seconds += self._service.start


def figures(load: Load, setup: Setup, service: Service, seed: int = 1) -> dict[str, Any]:
    """What a day of this setup comes to."""
    done = Simulation(arrivals(load, seed), setup, service, seed).run()
    files = done.lags.total()
    return {
        "files": files,
        "keeps up": done.keeps_up,
        "lag p50": done.percentile(50),
        "lag p95": done.percentile(95),
        "oldest": done.oldest,
        "workers": done.most_workers,
        "files a batch": files / max(done.batches, 1),
        "database": done.database_seconds / max(done.ended, 1.0) / setup.cores,
        "dollars": _dollars(setup, done),
    }


def _dollars(setup: Setup, done: Outcome) -> float:
    """Of a day: what runs the imports, and the requests to S3 and SQS."""
    prices, deployment = Prices(), Deployment()
    files = done.lags.total()
    s3 = files * (2 * prices.s3_put_copy_list + prices.s3_get_and_others) / 1000
    sqs = files * 0.3 / 1e6 * prices.sqs
    if setup.way in ("schedule", "event source"):
        compute = prices.function(done.invocations, done.busy_seconds * deployment.gigabytes)
    else:
        # A host with two cores runs what two workers compute at a time.
        hosts = max(math.ceil(done.busy_seconds / max(done.ended, 1.0) / 2), 1)
        compute = hosts * 24 * prices.host_hour
    return compute + s3 + sqs


def compared(service: Service, times: Sequence[int], seed: int = 1) -> list[dict[str, Any]]:
    """Each way under the load of all legislatures, and under so many `times` that."""
    return [
        {"times": n, "way": way, **figures(_multiplied(n), Setup(way=way), service, seed)}
        for n in times
        for way in WAYS
    ]


def relieved(service: Service, times: int, seed: int = 1) -> list[dict[str, Any]]:
    """What helps under `times` the load: more workers, larger runs, a larger database, and groups
    of legislatures that each have a database and a queue of their own."""
    setup, load = Setup(way="follow"), _multiplied(times)
    workers, cores = 4 * times, 1.6 * times
    remedies = {
        "as it is": (load, setup),
        "runs of 3,000 files": (load, replace(setup, run_files=3000)),
        f"{workers} workers": (load, replace(setup, workers=workers)),
        f"{workers} workers, {cores:g} cores": (load, replace(setup, workers=workers, cores=cores)),
        "ten groups, each with a database": (_multiplied(max(times // 10, 1)), setup),
    }
    return [
        {"remedy": name, **figures(load, how, service, seed)}
        for name, (load, how) in remedies.items()
    ]


def predicted(files: Sequence[int], workers: int, cores: float, service: Service) -> float:
    """Seconds until as many workers have imported files that are all there, so many of each
    legislature, interleaved, on one machine with so many cores."""
    setup = Setup(way="follow", workers=workers, cores=cores, one_machine=True)
    left, coming = list(files), list[Arrival]()
    while any(left):
        coming += [(0.0, legislature, 1) for legislature, count in enumerate(left) if count]
        left = [max(count - 1, 0) for count in left]
    return Simulation(coming, setup, service).run().ended


def _multiplied(times: int) -> Load:
    load = Load()
    return replace(load, legislatures=load.legislatures * times)
