"""Measures a file's whole life, beside core's batch import of the same folder.

A folder is published as one complete scrape run, imported until the queue is empty, which finalizes
the run, and archived: each by a process of its own, as an operator would, with one worker. The
bucket keeps versions, as that of deploy/aws does.
"""

import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import data, prices, programs
from bench.emulator import Emulator, Place
from bench.importing import scratch
from bench.programs import MANAGE
from bench.workers import database_cpu, server_cpu
from realtime.devstack import EmbeddedPostgres

# Options of publish_realtime.
ORDERS: dict[str, tuple[str, ...]] = {"in order": (), "shuffled": ("--shuffle", "1")}
# Beside core's batch import stands what takes its place; core's scrape writes files, too.
BESIDE_CORE = ("import", "archive")
_COMPARED = ("seconds", "cpu_seconds", "database CPU")
# Core's batch import asks the emulator for nothing.
_COSTS = (*_COMPARED, "emulator CPU")
# Longer than any import.
_HELD_SECONDS = 36_000
_IDLE_RUNS = 5

Cost = dict[str, Any]
Life = dict[str, Cost]


@dataclass(frozen=True)
class Folder:
    """Scraped files of one jurisdiction: its abbreviation and id."""

    name: str
    path: Path
    whose: tuple[str, str]

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.glob("*_*.json"))


@contextmanager
def generated(scrape: data.Scrape, whose: tuple[str, str]) -> Iterator[Folder]:
    """A folder with the files of a generated scrape, for the block."""
    with TemporaryDirectory() as path:
        for name, content in data.files_of(scrape):
            Path(path, name).write_bytes(content)
        yield Folder("generated", Path(path), whose)


class Bench:
    """Measures lives of folders on one database server and one emulator."""

    def __init__(self, postgres: EmbeddedPostgres, emulator: Emulator, template: str) -> None:
        self._postgres = postgres
        self._emulator = emulator
        self._template = template

    def warm_up(self, folder: Folder) -> None:
        """Compile the modules: the first run of a program must not be counted."""
        self._by_core(folder)
        self._by_us(folder, ORDERS["in order"])

    def compare(self, folder: Folder, pairs: int) -> dict[str, Any]:
        """Medians of the costs of core's import and of each part of our lives, by the order of
        messages, and of ours ÷ core."""
        lives: dict[str, list[Life]] = {"core": [], **{order: [] for order in ORDERS}}
        for number in range(pairs):
            for way in list(lives) if number % 2 else reversed(lives):
                if way == "core":
                    lives[way].append({"core": self._by_core(folder)})
                else:
                    lives[way].append(self._by_us(folder, ORDERS[way]))
        core = [life["core"] for life in lives.pop("core")]
        finalizing = {way: self._finalizing(folder, ORDERS[way]) for way in lives}
        return {
            "name": folder.name,
            "files": lives["in order"][0]["publish"]["files"],
            "bytes": folder.bytes,
            "pairs": pairs,
            "core": _median(core),
            "orders": {
                way: {
                    "parts": {part: _median([life[part] for life in some]) for part in some[0]},
                    "finalizing": finalizing[way],
                    "ours ÷ core": {
                        cost: statistics.median(
                            sum(life[part][cost] for part in BESIDE_CORE) / theirs[cost]
                            for life, theirs in zip(some, core, strict=True)
                        )
                        for cost in _COMPARED
                    },
                }
                for way, some in lives.items()
            },
        }

    def idle(self) -> Cost:
        """The median cost of runs that find the queue empty."""
        with self._here() as (_, variables):
            return _median([self._cost(_IMPORT, variables) for _ in range(_IDLE_RUNS)])

    def _by_core(self, folder: Folder) -> Cost:
        with self._here() as (_, variables):
            module = (sys.executable, "-m", "bench.batch_import")
            return self._cost((*module, str(folder.path), folder.whose[1]), variables)

    def _by_us(self, folder: Folder, order: Sequence[str]) -> Life:
        with self._here() as (place, variables):
            life = {
                "publish": self._publish(folder, order, variables),
                "import": self._cost(_IMPORT, variables),
                "archive": self._cost((*MANAGE, "archive_realtime", "--json"), variables),
            }
            left = {
                "in the queue": place.waiting(),
                "released": life["import"]["report"]["released"],
                "not finalized": 1 - len(life["import"]["report"]["finalized"]),
                "not archived": life["archive"]["report"]["later"],
            }
        if any(left.values()):
            raise RuntimeError(f"these files did not live their whole life: {left}")
        return life

    def _finalizing(self, folder: Folder, order: Sequence[str]) -> dict[str, Any]:
        """The cost of finalizing alone, and the share of the files that it reads.

        One message is held back until the others are imported, so that a run of its own imports the
        file and finalizes. The cost of starting it is that of one with nothing to do.
        """
        with self._here() as (place, variables):
            files = self._publish(folder, order, variables)["files"]
            held = place.queue.receive(1, _HELD_SECONDS)
            self._cost(_IMPORT, variables)
            place.queue.change_visibility(held, lambda: 0)
            last = self._cost(_IMPORT, variables)
            idle = self._cost(_IMPORT, variables)
        report = last["report"]
        if not report["finalized"]:
            raise RuntimeError(f"the scrape run was not finalized: {report}")
        # The file itself, and those that were parked until it came, which are read again.
        others = report["received"] + report["resumed"]
        reads = last["requests"].get("GetObject", 0) - others
        return {
            **{cost: max(last[cost] - idle[cost], 0.0) for cost in (*_COSTS, "statements")},
            "requests": {"GetObject": reads},
            "reads ÷ files": reads / files,
        }

    def _publish(self, folder: Folder, order: Sequence[str], variables: dict[str, str]) -> Cost:
        where = (str(folder.path), "--jurisdiction", folder.whose[0])
        command = (*MANAGE, "publish_realtime", *where, "--run", "--json", *order)
        cost = self._cost(command, variables)
        return {**cost, "files": cost["report"]["published"]}

    @contextmanager
    def _here(self) -> Iterator[tuple[Place, dict[str, str]]]:
        """A new database, bucket and queue, and the environment that names them."""
        with scratch(self._postgres, self._template, nullcontext) as url:
            place = self._emulator.place(versioned=True)
            yield place, programs.environment(**place.environment, DATABASE_URL=url)

    def _cost(self, command: tuple[str, ...], variables: dict[str, str]) -> Cost:
        before = server_cpu(self._emulator.pid)
        with database_cpu(self._postgres) as used:
            done = programs.run(command, variables)
        used["emulator CPU"] = server_cpu(self._emulator.pid) - before
        report = done.report
        return {
            "seconds": done.seconds,
            "cpu_seconds": done.cpu_seconds,
            **used,
            "statements": report.get("statements", 0),
            "requests": report.get("requests", {}),
            "finalize seconds": report.get("seconds", {}).get("finalize", 0.0),
            "report": report,
        }


_IMPORT = (*MANAGE, "import_realtime", "--until-empty", "--json")


def a_million(size: dict[str, Any], idle: Cost) -> dict[str, Any]:
    """What a million files like those of `size` cost on AWS, delivered in order."""
    parts = size["orders"]["in order"]["parts"]
    importing = Counter(parts["import"]["requests"])
    importing.update(parts["archive"]["requests"])
    measured = prices.Measured(
        files=size["files"],
        bytes=size["bytes"],
        published=parts["publish"]["requests"],
        imported=importing,
        seconds=sum(parts[part]["seconds"] for part in BESIDE_CORE),
        idle=idle["requests"],
        idle_seconds=idle["seconds"],
    )
    return {"of": size["name"], **prices.a_million(measured)}


def _median(costs: Sequence[Cost]) -> Cost:
    names = (*_COSTS, "statements", "finalize seconds")
    operations = dict.fromkeys(name for cost in costs for name in cost["requests"])
    return {
        **{name: statistics.median(cost[name] for cost in costs) for name in names},
        "requests": {
            name: statistics.median(cost["requests"].get(name, 0) for cost in costs)
            for name in operations
        },
    }
