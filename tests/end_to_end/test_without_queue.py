"""A store without a queue, as its users see it: commands that find what scrapers stored."""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import scrapes
from tests.end_to_end.test_follow import WORKERS, bills, following
from tests.support import CompletedText, wait_until

Manage = Callable[..., CompletedText]
Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def here(database_url: str, store: Path) -> dict[str, str]:
    """PostgreSQL and a folder, and nothing else."""
    return {**os.environ, "DATABASE_URL": database_url, "S3_REALTIME_BASE": store.as_uri()}


@pytest.fixture
def environment(here: dict[str, str]) -> dict[str, str]:
    return here


def scraped(folder: Path, *files: dict[str, Any]) -> Path:
    """A folder as core's scrape leaves it."""
    folder.mkdir(exist_ok=True)
    for data in files:
        (folder / f"{scrapes.type_of(data)}_{uuid.uuid4()}.json").write_text(json.dumps(data))
    return folder


def as_json(done: CompletedText) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def in_root(store: Path) -> list[Path]:
    kept = ("archived", "failed", ".realtime")
    return [
        path
        for path in store.rglob("*")
        if path.is_file() and path.relative_to(store).parts[0] not in kept
    ]


def test_published_as_a_run__swept__imported_finalized_and_archived(
    here: dict[str, str], store: Path, tmp_path: Path, run_manage: Manage, rows: Query
) -> None:
    files = [scrapes.jurisdiction(), *(scrapes.bill(f"HB {n}") for n in range(5))]
    folder = scraped(tmp_path / "wy", *files, scrapes.vote_event(files[1]))
    publish = ("publish_realtime", str(folder), "--jurisdiction", "wy", "--run", "--json")
    run_id = as_json(run_manage(*publish, env=here))["run_id"]
    limited = as_json(run_manage("import_realtime", "--max-messages", "2", "--json", env=here))
    assert limited["received"] == 2
    report = as_json(run_manage("import_realtime", "--until-empty", "--json", env=here))
    # The rest, and the end of the run.
    assert report["received"] == 6
    assert bills(rows) == 5
    assert rows("SELECT run_id::text, closed FROM realtime_run WHERE finalized_at > '1970-01-01'")
    assert report["finalized"] == [run_id]
    assert in_root(store) == []
    assert as_json(run_manage("import_realtime", "--json", env=here))["received"] == 0


@pytest.mark.usefixtures("session")
def test_follow__no_queue__each_file_imported_as_it_comes_and_nothing_held_meanwhile(
    here: dict[str, str], store: Path, tmp_path: Path, run_manage: Manage, rows: Query
) -> None:
    with following(here) as process:
        for number in (1, 2):
            folder = scraped(tmp_path / f"wy{number}", scrapes.bill(f"HB {number}"))
            run_manage("publish_realtime", str(folder), "--jurisdiction", "wy", "--run", env=here)
            assert wait_until(lambda n=number: bills(rows) == n, 60), process.log  # type: ignore[misc]
        final = "SELECT count(*) FROM realtime_run WHERE finalized_at IS NOT NULL"
        assert wait_until(lambda: rows(final) == [(2,)], 60)
        assert wait_until(lambda: rows(WORKERS) == [(0,)], 20)
        report = process.stopped()
    # Two files and the ends of two runs.
    assert (report["received"], report["inserted"]) == (4, 2)
    assert in_root(store) == []


@pytest.mark.usefixtures("session")
def test_follow__folder_goes_away_for_a_while__goes_on_in_one_process(
    here: dict[str, str], store: Path, tmp_path: Path, run_manage: Manage, rows: Query
) -> None:
    first, second = (scraped(tmp_path / f"wy{n}", scrapes.bill(f"HB {n}")) for n in (1, 2))
    with following(here) as process:
        run_manage("publish_realtime", str(first), "--jurisdiction", "wy", env=here)
        assert wait_until(lambda: bills(rows) == 1, 60), process.log
        away = store.rename(tmp_path / "away")
        assert wait_until(lambda: "follow-retry" in process.log, 60)
        away.rename(store)
        run_manage("publish_realtime", str(second), "--jurisdiction", "wy", env=here)
        assert wait_until(lambda: bills(rows) == 2, 60), process.log
        assert process.stopped()["inserted"] == 2


@pytest.mark.usefixtures("session")
def test_follow__two_processes_on_one_folder__no_file_read_twice(
    here: dict[str, str], tmp_path: Path, run_manage: Manage, rows: Query
) -> None:
    congress = "ocd-jurisdiction/country:us/government"
    rows(
        "INSERT INTO opencivicdata_legislativesession"
        " (id, jurisdiction_id, identifier, name, classification, start_date, end_date, active)"
        f" VALUES ('{uuid.uuid4()}', '{congress}', '2031', '2031', 'primary', '', '', true)"
    )
    whose = {"jurisdiction": {"id": congress}}
    of_us = [{**scrapes.bill(f"HB {n}"), **whose} for n in range(60)]
    of_wy = [scrapes.bill(f"HB {n}") for n in range(60, 120)]
    with following(here) as one, following(here) as other:
        for abbr, some in (("us", of_us), ("wy", of_wy)):
            folder = scraped(tmp_path / abbr, *some)
            run_manage("publish_realtime", str(folder), "--jurisdiction", abbr, env=here)
        assert wait_until(lambda: bills(rows) == 120, 60), one.log + other.log
        reports = [one.stopped(), other.stopped()]
    assert sum(report["received"] for report in reports) == 120
    assert rows("SELECT count(*) FROM realtime_file") == [(120,)]


@pytest.mark.usefixtures("session")
def test_import__killed_while_it_imports_what_it_found__next_run_imports_all_once(
    here: dict[str, str], store: Path, tmp_path: Path, run_manage: Manage, rows: Query
) -> None:
    folder = scraped(tmp_path / "wy", *(scrapes.bill(f"HB {n}") for n in range(3)))
    run_manage("publish_realtime", str(folder), "--jurisdiction", "wy", env=here)
    rows(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;"
        "CREATE TRIGGER slow BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
        " EXECUTE FUNCTION slow()"
    )
    with following(here) as process:
        sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        assert wait_until(lambda: bool(rows(sleeping)), 60), process.log
    rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    rows("DROP FUNCTION slow CASCADE")
    assert (bills(rows), len(in_root(store))) == (0, 3)
    report = as_json(run_manage("import_realtime", "--until-empty", "--json", env=here))
    assert (report["received"], report["inserted"]) == (3, 3)
    assert rows("SELECT count(*) FROM realtime_suspect") == [(0,)]
    assert in_root(store) == []


def test_retry__no_queue__found_again(
    here: dict[str, str], tmp_path: Path, run_manage: Manage, rows: Query
) -> None:
    folder = scraped(tmp_path / "wy", {**scrapes.bill(), "legislative_session": None})
    run_manage("publish_realtime", str(folder), "--jurisdiction", "wy", env=here)
    assert as_json(run_manage("import_realtime", "--json", env=here))["failed"] == 1
    assert as_json(run_manage("retry_realtime", "--json", env=here))["retried"] == 1
    status = as_json(run_manage("status_realtime", "--json", env=here))
    assert (status["queue"]["visible"], status["queue"]["oldest_source"]) == (1, "store")
    assert as_json(run_manage("import_realtime", "--json", env=here))["failed"] == 1
    assert rows("SELECT count(*) FROM realtime_file") == [(1,)]


def test_check__no_queue__nothing_to_say_of_it(here: dict[str, str], run_manage: Manage) -> None:
    told = run_manage("check", "--tag", "realtime", env=here, check=False)
    assert "SQS" not in told.stdout + told.stderr


@pytest.mark.parametrize(
    "options, why",
    [
        (("--older-than", "5"), "--older-than goes with --sweep"),
        (("--from", "", "--sweep"), "omit --messages"),
        (("--sweep", "--follow"), "run --sweep beside it"),
        (("--sweep", "--messages", "-"), "omit --sweep"),
        (("--sweep", "--directory", "x", "--jurisdiction", "wy"), "--sweep"),
    ],
)
def test_import__options_that_do_not_fit__one_clear_line(
    here: dict[str, str], run_manage: Manage, options: tuple[str, ...], why: str
) -> None:
    beside = {**here, "SQS_QUEUE_URL": "https://sqs.example/1/q"}
    told = run_manage("import_realtime", *options, env=beside, check=False)
    assert told.returncode == 1
    [line] = told.stderr.splitlines()
    assert why in line
