"""Scrapes like those of the legislatures whose files are the hardest to tell apart, made up."""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack import DevStack
from tests.schedules import content
from tests.schedules.check import Checker
from tests.schedules.plan import RunPlan, Schedule, Scraped, Step
from tests.support import TRIED, Aws

# The real scrapes have about ten times as much as is tried in a hurry.
LONG = bool(os.environ.get("REALTIME_TEST_LONG"))
SHARE = 1 if LONG else 10
RUNS_OF = (7, 300) if LONG else (25,)
What = dict[str, Any]


@pytest.fixture
def checker(
    stack: DevStack, seeded_template: str, aws: Aws, django_db_blocker: _DatabaseBlocker
) -> Iterator[Checker]:
    with django_db_blocker.unblock():
        checker = Checker(stack, seeded_template, aws)
        yield checker
        checker.close()


def virginia(rng: random.Random) -> Iterator[What]:
    """Nearly each vote is scraped from two pages, which differ, and both make one row."""
    bills = _bills(rng, 180 // SHARE)
    yield from (what for _, what in bills)
    for number in range(377 // SHARE):
        at, bill = rng.choice(bills)
        action = rng.randint(1, 3)
        for _ in range(1 if rng.random() < 0.01 else 2):
            yield _vote(rng, number, bill["n"], of=at, action=action)


def colorado(rng: random.Random) -> Iterator[What]:
    """Several votes of one day, of one chamber and with one motion: one row for all of them."""
    bills = _bills(rng, 200 // SHARE)
    yield from (what for _, what in bills)
    for at, bill in bills:
        for number in range(rng.randint(0, 3)):
            for chamber in rng.choices(["lower", "upper"], k=rng.randint(1, 3)):
                yield _vote(
                    rng, number, bill["n"], of=at, chamber=chamber, action=rng.choice([None, 1])
                )


def guam(rng: random.Random) -> Iterator[What]:
    """Each bill three times, the same but for its `_id`, all within a second."""
    bills = [what for _, what in _bills(rng, 277 // SHARE)]
    yield from (bill for bill in bills for _ in range(3))
    for number, bill in enumerate(bills):
        if number % 3 == 0:
            # Any of the three may be the one that a vote names.
            of = 1 + 3 * number + rng.randrange(3)
            yield _vote(rng, number, bill["n"], of=of, action=1)


def northern_marianas(rng: random.Random) -> Iterator[What]:
    """Bills that say something else each time they are repeated, their actions too."""
    at = 1
    for number in range(1, 1 + 240 // SHARE):
        repeats = rng.randint(1, 4)
        for version in range(1, 1 + repeats):
            yield _bill(rng, number, version)
        if rng.random() < 0.6:
            of = at + rng.randrange(repeats)
            yield _vote(rng, number, number, of=of, action=rng.choice([None, 1, 2, 3]))
            at += 1
        at += repeats


@pytest.mark.parametrize("run_of", RUNS_OF)
@pytest.mark.parametrize("scrape", [virginia, colorado, guam, northern_marianas])
def test_import__scrape_whose_files_share_rows__ends_as_cores_batch_import(
    checker: Checker, scrape: Callable[[random.Random], Iterator[What]], run_of: int
) -> None:
    rng = random.Random(run_of)
    jurisdiction = {"type": "jurisdiction", "sessions": 1, "version": 1}
    # A vote's version grows from file to file, whichever row it is of.
    files = [
        Scraped(0, 0, {"version": number, **what})
        for number, what in enumerate((jurisdiction, *scrape(rng)))
    ]
    order = list(range(len(files)))
    order += rng.sample(order, len(order) // 10)
    rng.shuffle(order)
    steps = []
    for at in range(0, len(order), run_of):
        steps.append(Step("send", files=tuple(order[at : at + run_of])))
        steps.append(Step("import", limit=300))
    schedule = Schedule((0, 1, 2, 3), (RunPlan(0, 1),), tuple(files), tuple(steps))
    checker.check(schedule)
    TRIED["scrapes whose files share rows"].update(checker.tried)


def _bills(rng: random.Random, count: int) -> list[tuple[int, What]]:
    """Bills and the numbers of their files, after the jurisdiction's."""
    return [(number, _bill(rng, number, 1)) for number in range(1, count + 1)]


def _bill(rng: random.Random, number: int, version: int) -> What:
    return {
        "type": "bill",
        "n": number,
        "version": version,
        "actions": rng.randint(0, 3),
        "sponsors": rng.sample([0, 2, 3], rng.randint(0, 2)),
        "versions": rng.randint(0, 2),
    }


def _vote(rng: random.Random, number: int, bill: int, **more: Any) -> What:
    voters = [rng.randrange(len(content.PEOPLE)) for _ in range(rng.randint(0, 4))]
    return {
        "type": "vote_event",
        "n": number,
        "bill": bill,
        "voters": voters,
        **more,
    }
