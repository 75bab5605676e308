"""How much sooner than by batch import a scrape becomes visible: a replay of it against the clock.

The clock is a number. Real files are published when the scrape had made them, and real import
runs, processes of their own, begin every two minutes as cron's do; what a run takes is added to the
clock, and the time between two runs, in which nothing happens, is not waited for. A file is visible
once the run that imported it has ended.
"""

import pickle
import statistics
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

# Seconds: between two starts of import_realtime, and from scraped to queued. A scrape begins half
# way between two starts.
EVERY = 120.0
PUBLISHING = 1.0
# Core asks a site sixty times a minute, unless it is told --fastmode; a bill is a page at least.
A_BILL = 1.0

Times = Mapping[str, float]


def replay(
    postgres: EmbeddedPostgres,
    emulator: Emulator,
    template: str,
    whose: tuple[str, str],
    scrape: Scrape,
) -> dict[str, Any]:
    """The distribution of "sooner" by type and pace, and what core's batch import took."""
    paces = {"as its ids say": own_pace(scrape), "a bill a second": polite_pace(scrape)}
    with scratch(postgres, template, nullcontext):
        core = import_once(CORE, whose[1], pickle.dumps(scrape))
    return {
        "emulator": emulator.name,
        "every seconds": EVERY,
        "core seconds": core.seconds,
        "paces": {
            name: _paced(postgres, emulator, template, whose, scrape, times)
            for name, times in paces.items()
        },
    }


def own_pace(scrape: Scrape) -> Times:
    """Seconds from the first object to each, by id, as the times in the ids say."""
    ticks = {data["_id"]: _ticks(data["_id"]) for data in _objects(scrape)}
    first = min(filter(None, ticks.values()))
    return {one: (at - first) / 1e7 if at else 0.0 for one, at in ticks.items()}


def polite_pace(scrape: Scrape) -> Times:
    """The same, in the same order, if every bill and event took a second and the rest nothing."""
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
) -> dict[str, Any]:
    end = max(times.values())
    with scratch(postgres, template, nullcontext) as url:
        place = emulator.place()
        variables = programs.environment(**place.environment, DATABASE_URL=url)
        scraped = [times[data["_id"]] for data in _objects(scrape)]
        files = whole.messages(scrape, whose, place.store.bucket, run_id=str(uuid.uuid4()))
        coming = sorted(zip(scraped, files, strict=True), key=lambda pair: pair[0])
        visible: dict[str, float] = {}
        clock, took = EVERY / 2, []
        while coming or len(visible) < len(files):
            due = [file for at, file in coming if at + PUBLISHING <= clock]
            coming = coming[len(due) :]
            place.publish(due)
            run = programs.run((*MANAGE, "import_realtime", "--until-empty", "--json"), variables)
            took.append(run.seconds)
            new = _imported() - visible.keys()
            if not (new or coming or due):
                raise RuntimeError(f"{len(files) - len(visible)} files never became visible")
            visible.update(dict.fromkeys(new, clock + run.seconds))
            clock += EVERY * (1 + run.seconds // EVERY)
    by_type: dict[str, list[tuple[float, float]]] = {}
    for (key, _, _), at in zip(files, scraped, strict=True):
        name = key.rpartition("/")[2].rpartition("_")[0]
        by_type.setdefault(name, []).append((at, visible[key]))
    return {
        "scrape seconds": end,
        "runs": len(took),
        "run seconds": statistics.median(took),
        "types": {name: _figures(end, some) for name, some in by_type.items() if name != _STATIC},
    }


# One file, made by hand for generated scrapes.
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
