"""Commands killed at each of their effects on the outside: normal runs then end as core does.

The places are read from the source, so that a new one is tried, or fails the first test, without
anyone thinking of it.
"""

import secrets
import signal
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from pytest_django.plugin import _DatabaseBlocker

from realtime.consumer import sources
from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from tests import crash_points, crash_scenario, rows
from tests.conftest import fresh_aws
from tests.crash_points import Effect, Site
from tests.crash_scenario import Material, World
from tests.support import REAL_DATA

SITES = crash_points.sites()
# Places that the scenario does not come to, and why that is no gap.
ELSEWHERE = {
    **{
        Site("database", f"ledger.{caller}"): (
            "only the page does; one transaction, with the record of what was done"
        )
        for caller in (
            "failures.discard",
            "failures.undiscard",
            "failures._mark",
            "flags.reopen",
            "flags.resolve",
        )
    },
    Site("database", "finalization.finalize._give_up"): (
        "only where finalizing a run breaks, which no scrape is known to do; one statement, which"
        " counts: the next attempt decides anew"
    ),
    Site("database", "finalization.finalize._close_broken"): (
        "the same; one transaction, and the next attempt decides anew"
    ),
    Site("database", "ledger.receivers.register"): (
        "only where a setting names a receiver; one statement, which every delivery repeats"
    ),
    **{
        Site("database", f"ledger.receivers.{name}"): "only an operator does; one statement"
        for name in ("forget", "pause", "replay")
    },
    Site("database", "consumer.unimportable._park"): (
        "only where a jurisdiction is paused; one transaction, like that of files that fail unread"
    ),
    Site("database", "ledger.pauses.pause"): (
        "only an operator or the breaker pauses; one statement, committed before any file is parked"
    ),
    Site("database", "ledger.pauses.resume"): (
        "only an operator resumes; one transaction, which is all that it does"
    ),
    Site("database", "ledger.run_notices._undo_foreign_ends"): (
        "only where another jurisdiction ended the run before its first file came; commits with the"
        " import of that file"
    ),
    Site("database", "importers.core.merging._merge"): (
        "only where a person's file lists another; within the savepoint of that file, or with the"
        " decision about the person at the end of its run"
    ),
    Site("database", "importers.core.people._note"): (
        "only of people, in the savepoint of their file"
    ),
    Site("database", "finalization.people.merge_listed"): (
        "only where a person's file lists another; commits with the progress of the finalization"
    ),
    Site("database", "ledger.files.doubt"): (
        "only where a file leaves the row that it was applied to; commits with that"
    ),
    Site("database", "ledger.titles.note_all"): (
        "only prune_realtime, which notes the titles that are left at its next call"
    ),
    Site("database", "ledger.import_runs.begin_again"): (
        "only --follow begins again in a row; one statement, which changes the record of runs alone"
    ),
    Site("sqs.wait", "consumer.follow.QueueArrivals.wait"): (
        "only --follow waits; a message received so comes again, like any other received one"
    ),
    **{
        Site(effect, caller): "only without a queue; test_without_queue kills such imports"
        for effect, caller in (
            ("s3.put", "backends.queues.RunEnds.send"),
            ("s3.folders", "files.root.folders"),
            ("s3.list", "consumer.sweep.Sweep._listed"),
            ("s3.get", "consumer.sweep.SweepInbox._messages"),
            ("s3.copy", "files.archive.archive_run_ends"),
            ("s3.delete_all", "files.archive.archive_run_ends"),
        )
    },
    Site("database", "importers.bulk.deleting.delete"): (
        "only where another app's table refers to core's in a way that SQL alone does not serve"
    ),
    Site("s3.head", "consumer.fetching._is_gone"): (
        "only where a retried file's object is missing when it is read; only reads"
    ),
    Site("s3.head", "files.archive._put"): (
        "only where a run finds the copy of one that was killed; only reads"
    ),
    **{
        Site("database", f"consumer.from_source._Import.{name}"): (
            "only of a source that is a run; test_from_source kills its import at every commit"
        )
        for name in ("_end", "_fail", "_record_unread")
    },
    Site("database", "consumer.from_source._Import._remember"): (
        "only where a source is followed; one transaction, and what it says is found out again"
    ),
    **{
        Site(effect, f"sources.{caller}"): "only where a source is in a store; only reads"
        for effect, caller in (
            ("s3.get", "open_source._get"),
            ("s3.get", "store_tree.StoreTree.open"),
            ("s3.get", "store_tree.StoreTree.read"),
            ("s3.list", "store_tree.StoreTree.files"),
        )
    },
}
if (REAL_DATA / "wy").is_dir():
    ELSEWHERE[Site("database", "importers.linking._relink")] = (
        "Wyoming's vote events name no actions; the generated ones do"
    )
Trace = dict[Site, list[Effect]]
NewDatabase = Callable[[], AbstractContextManager[str]]
NewWorld = Callable[[], AbstractContextManager[World]]


@pytest.fixture(scope="module")
def material() -> Material:
    wyoming = REAL_DATA / "wy"
    return crash_scenario.real(wyoming) if wyoming.is_dir() else crash_scenario.generated()


@pytest.fixture(scope="module")
def new_database(
    stack: DevStack, seeded_template: str, django_db_blocker: _DatabaseBlocker
) -> NewDatabase:
    @contextmanager
    def new() -> Iterator[str]:
        name = f"crash_{secrets.token_hex(6)}"
        url = stack.postgres.create_database(name, template=seeded_template)
        with django_db_blocker.unblock(), using_database(url):
            yield url
        stack.postgres.drop_database(name)

    return new


@pytest.fixture(scope="module")
def expected(material: Material, new_database: NewDatabase) -> list[str]:
    with new_database():
        material.truth()
        return rows.dump()


@pytest.fixture(scope="module")
def new_world(
    stack: DevStack,
    material: Material,
    new_database: NewDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> NewWorld:
    @contextmanager
    def new() -> Iterator[World]:
        with pytest.MonkeyPatch.context() as patch, new_database() as url:
            patch.setattr(sources, "RELEASE_SECONDS", (0, 0))
            yield World(material, fresh_aws(stack), url, tmp_path_factory.mktemp("by-hand"))

    return new


@pytest.fixture(scope="module")
def trace(
    new_world: NewWorld, expected: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Trace:
    """What the commands of the scenario do when nothing kills them, by place."""
    found: Trace = defaultdict(list)
    folder = tmp_path_factory.mktemp("traces")
    with new_world() as world:
        for number, step in enumerate(world.steps()):
            if not step.command:
                step.usually()
                continue
            path = folder / f"{number}.jsonl"
            result = world.run({**step.environ, "CRASH_TRACE": str(path)}, step.command)
            assert result.returncode == 0, result.stderr
            for effect in crash_points.read_trace(number, path):
                found[effect.site].append(effect)
            # For what waits a moment, as a file whose message was not acknowledged.
            step.usually()
        assert_ended_well(world, expected)
    return found


def assert_ended_well(world: World, expected: list[str]) -> None:
    assert world.problems() == []
    assert list(rows.differences(expected, rows.dump())) == []


def test_scenario__every_place_that_acts_on_the_outside__is_visited(trace: Trace) -> None:
    assert crash_points.misnamed() == []
    assert set(ELSEWHERE) <= set(SITES), "an exception is no longer needed"
    assert sorted(set(SITES) - set(trace) - set(ELSEWHERE)) == []


def test_source__effects_of_the_scenario__are_all_known_from_it(trace: Trace) -> None:
    lasting = {site for site, effects in trace.items() if any(e.lasts for e in effects)}
    assert sorted(lasting - set(SITES)) == []


def cases() -> Iterator[object]:
    """Each place, before and after; by default half of the places, each on one side."""
    for site in SITES:
        if site in ELSEWHERE:
            continue
        by_default = ("before", "after", "", "")[zlib.crc32(str(site).encode()) % 4]
        for when in ("before", "after"):
            marks = [] if when == by_default else [pytest.mark.long]
            yield pytest.param(site, when, marks=marks, id=f"{when} {site}")


@pytest.mark.parametrize(("site", "when"), cases())
def test_killed__at_a_crash_point__later_runs_end_as_core_does(
    site: Site, when: str, trace: Trace, new_world: NewWorld, expected: list[str]
) -> None:
    lasting = [effect for effect in trace[site] if effect.lasts]
    if not lasting:
        # What it writes lasts when its caller commits, which is a place of its own.
        assert trace[site]
        return
    first, last = lasting[0], lasting[-1]
    # The first time ever, or the first time in the last command that does it.
    point = first if when == "before" else next(e for e in lasting if e.step == last.step)
    with new_world() as world:
        for number, step in enumerate(world.steps()):
            if number == point.step:
                at = {"CRASH_AT": str(point), "CRASH_WHEN": when, "CRASH_NUMBER": str(point.number)}
                result = world.run({**step.environ, **at}, step.command)
                assert result.returncode == -signal.SIGKILL, f"never came to {point}"
            step.usually()
        world.imported()
        world.archived()
        assert_ended_well(world, expected)
