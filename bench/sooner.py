"""Replays a scrape, to measure how much sooner than by batch import its files become visible.

The clock is simulated. Files are published at the times they were scraped. A real import run, in a
process of its own, begins every two minutes, as with cron. The seconds it takes are added to the
clock; idle time between runs is skipped. A file counts as visible when the run that imported it has
ended.
"""

import pickle
import statistics
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import connection

from bench import programs, whole
from bench.data import Scrape
from bench.emulator import Emulator
from bench.importing import CORE, import_once, scratch
from bench.programs import MANAGE
from realtime.devstack import EmbeddedPostgres

# Seconds between two starts of import_realtime; the scrape begins half way between two.
EVERY = 120.0
# Seconds that Lambda collects messages for.
WINDOW = 20.0
# Seconds that a scrape is followed for; before its first file, and after its last; and from one
# look at what is visible to the next.
FOLLOWED, STARTING, ENDING, LOOK = 90.0, 5.0, 10.0, 0.05
# Seconds from scraped to queued.
PUBLISHING = 1.0
# Seconds to scrape a bill: at least one page, and core requests 60 a minute without --fastmode.
A_BILL = 1.0

Times = Mapping[str, float]


def replay(
    postgres: EmbeddedPostgres,
    emulator: Emulator,
    template: str,
    whose: tuple[str, str],
    scrape: Scrape,
) -> dict[str, Any]:
    """The lead time over batch import, by pace and type, and the seconds of core's import."""
    paces = {"as its ids say": own_pace(scrape), "a bill a second": polite_pace(scrape)}
    polite = paces["a bill a second"]
    with scratch(postgres, template, nullcontext):
        core = import_once(CORE, whose[1], pickle.dumps(scrape))
    paced = {
        name: _paced(postgres, emulator, template, whose, scrape, times)
        for name, times in paces.items()
    }
    by_cron = {name: _lags(one) for name, one in paced.items()}
    often = _paced(postgres, emulator, template, whose, scrape, polite, WINDOW, warm=True)
    return {
        "emulator": emulator.name,
        "every seconds": EVERY,
        "look seconds": LOOK,
        "core seconds": core.seconds,
        "paces": paced,
        "lags": {
            "cron or schedule, every 120 s": by_cron["a bill a second"],
            "event source, every 20 s, warm": _lags(often),
            "--follow": _followed(postgres, emulator, template, whose, scrape, polite),
        },
    }


def own_pace(scrape: Scrape) -> Times:
    """Seconds from the first object to each, by id, from the times in the ids."""
    ticks = {data["_id"]: _ticks(data["_id"]) for data in _objects(scrape)}
    first = min(filter(None, ticks.values()))
    return {one: (at - first) / 1e7 if at else 0.0 for one, at in ticks.items()}


def polite_pace(scrape: Scrape) -> Times:
    """The same in the same order, if each bill and event took A_BILL seconds and the rest none."""
    pages = {data["_id"] for name in ("bill", "event") for data in scrape[name]}
    times, clock = {}, 0.0
    for one, _ in sorted(own_pace(scrape).items(), key=lambda item: item[1]):
        clock += A_BILL if one in pages else 0.0
        times[one] = clock
    return times


def _objects(scrape: Scrape) -> list[dict[str, Any]]:
    return [data for objects in scrape.values() for data in objects]


def _ticks(scrape_id: str) -> int:
    try:
        return uuid.UUID(scrape_id).time
    except ValueError:
        return 0


def _paced(
    postgres: EmbeddedPostgres,
    emulator: Emulator,
    template: str,
    whose: tuple[str, str],
    scrape: Scrape,
    times: Times,
    every: float = EVERY,
    warm: bool = False,
) -> dict[str, Any]:
    """Runs begin `every` so many seconds; those that are `warm` need no time to start."""
    end = max(times.values())
    with scratch(postgres, template, nullcontext) as url:
        place = emulator.place()
        variables = programs.environment(**place.environment, DATABASE_URL=url)
        scraped = [times[data["_id"]] for data in _objects(scrape)]
        files = whole.messages(scrape, whose, place.store.bucket, run_id=str(uuid.uuid4()))
        coming = sorted(zip(scraped, files, strict=True), key=lambda pair: pair[0])
        visible: dict[str, float] = {}
        clock, took = every / 2, list[float]()
        while coming or len(visible) < len(files):
            due = [file for at, file in coming if at + PUBLISHING <= clock]
            coming = coming[len(due) :]
            place.publish(due)
            run = programs.run((*MANAGE, "import_realtime", "--until-empty", "--json"), variables)
            seconds = run.report["seconds"]["total"] if warm else run.seconds
            took.append(seconds)
            new = _imported() - visible.keys()
            if not (new or coming or due):
                raise RuntimeError(f"{len(files) - len(visible)} files never became visible")
            visible.update(dict.fromkeys(new, clock + seconds))
            clock += every * (1 + seconds // every)
    by_type: dict[str, list[tuple[float, float]]] = {}
    for (key, _, _), at in zip(files, scraped, strict=True):
        name = key.rpartition("/")[2].rpartition("_")[0]
        by_type.setdefault(name, []).append((at, visible[key]))
    return {
        "scrape seconds": end,
        "runs": len(took),
        "run seconds": statistics.median(took),
        "lags": sorted(visible[key] - at for (key, _, _), at in zip(files, scraped, strict=True)),
        "types": {name: _figures(end, some) for name, some in by_type.items() if name != _STATIC},
    }


def _lags(paced: dict[str, Any]) -> dict[str, float]:
    """Percentiles of seconds from scraped to visible; takes these out of the result."""
    lags = paced.pop("lags")
    return {f"p{percent}": _rank(lags, percent) for percent in (50, 95)}


def _followed(
    postgres: EmbeddedPostgres,
    emulator: Emulator,
    template: str,
    whose: tuple[str, str],
    scrape: Scrape,
    times: Times,
) -> dict[str, float]:
    """The same of a process that follows, by the real clock, for the first FOLLOWED seconds."""
    objects = sorted(_objects(scrape), key=lambda data: times[data["_id"]])
    with scratch(postgres, template, nullcontext) as url:
        place = emulator.place()
        variables = programs.environment(**place.environment, DATABASE_URL=url)
        file_of = dict(
            zip(
                (data["_id"] for data in _objects(scrape)),
                whole.messages(scrape, whose, place.store.bucket),
                strict=True,
            )
        )
        limit = ("--time-limit", str(int(FOLLOWED + STARTING + ENDING)))
        process = programs.Running((*MANAGE, "import_realtime", "--follow", *limit), variables)
        began = time.monotonic() + STARTING
        scraped: dict[str, float] = {}
        visible: dict[str, float] = {}
        while (now := time.monotonic() - began) < FOLLOWED + ENDING:
            due = []
            while objects and times[objects[0]["_id"]] <= min(now, FOLLOWED):
                one = objects.pop(0)["_id"]
                due.append(file_of[one])
                scraped[due[-1][0]] = times[one]
            place.publish(due)
            seen = _imported() - visible.keys()
            visible.update(dict.fromkeys(seen, time.monotonic() - began))
            time.sleep(LOOK)
        process.wait()
    if missing := scraped.keys() - visible.keys():
        raise RuntimeError(f"{len(missing)} files never became visible")
    return _lags({"lags": sorted(visible[key] - at for key, at in scraped.items())})


# Left out: a single file, whose time in a generated scrape is made up.
_STATIC = "jurisdiction"


def _imported() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT key FROM realtime_file WHERE outcome NOT IN ('deferred', 'failed')")
        return {key for (key,) in cursor.fetchall()}


def _figures(end: float, files: Sequence[tuple[float, float]]) -> dict[str, Any]:
    sooner = sorted(end - visible for _, visible in files)
    return {
        "files": len(files),
        "sooner": {
            "min": sooner[0],
            **{f"p{percent}": _rank(sooner, percent) for percent in (25, 50, 75)},
            "max": sooner[-1],
        },
        "ours": statistics.median(visible - at for at, visible in files),
        "batch": statistics.median(end - at for at, _ in files),
    }


def _rank(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]
