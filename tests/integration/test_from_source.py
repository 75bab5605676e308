"""`import_realtime --from`: each kind of source ends as core's batch import of its files."""

import io
import json
import os
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from openstates.data.models import Bill, Event, LegislativeSession, VoteEvent

from realtime.backends.postgres import locks
from realtime.backends.stores import store_of
from realtime.consumer import from_source
from realtime.consumer.follow_source import _Following, follow_source
from realtime.consumer.from_source import Watcher
from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.domain.config import load, parse_base
from realtime.models import File, ScrapeRun
from realtime.monitoring.report import Report
from realtime.sources.open_source import open_source
from tests import oracle, rows, scrapes, source_makers
from tests.contracts import backends
from tests.fault_proxy import AwsProxy, refusal
from tests.integration.test_convergence import a_scrape
from tests.scrape_runs import Run
from tests.scrapes import Mail
from tests.source_makers import Files
from tests.support import Aws, run_manage
from tests.unit.test_hostile_sources import BAD_LINES, BAD_NAMES, MOST, add_file

Import = Callable[..., dict[str, Any]]
Expected = Callable[[Files], list[str]]


@pytest.fixture
def import_from(database: str) -> Import:
    """Run the command; returns its report. What it says besides is its `told`."""

    def run(source: object, *options: str, **settings: str) -> dict[str, Any]:
        out, err = io.StringIO(), io.StringIO()
        config = load({"DATABASE_URL": database, **settings})
        with override_settings(REALTIME=config):
            arguments = ("--from", str(source), "--json", *options)
            call_command("import_realtime", *arguments, stdout=out, stderr=err)
        *told, last = out.getvalue().splitlines()
        report: dict[str, Any] = json.loads(last)
        assert report["received"] == sum(report[outcome] for outcome in scrapes.OUTCOMES)
        report["told"] = [*told, *err.getvalue().splitlines()]
        return report

    return run


@pytest.fixture
def expected(stack: DevStack, seeded_template: str, tmp_path: Path) -> Iterator[Expected]:
    """What core's batch import leaves."""
    name = f"truth_{tmp_path.name[-20:]}_{os.getpid()}".lower()

    def import_whole(files: Files) -> list[str]:
        whole = tmp_path / "whole"
        whole.mkdir()
        for file, body in files.items():
            (whole / file).write_bytes(body)
        truth = stack.postgres.create_database(name, template=seeded_template)
        with using_database(truth):
            oracle.import_scrape(whole, scrapes.WYOMING.jurisdiction_id)
            return rows.dump()

    yield import_whole
    stack.postgres.drop_database(name)


def a_shuffled_scrape(seed: int) -> dict[str, bytes]:
    rng = random.Random(seed)
    files = list(a_scrape(rng))
    rng.shuffle(files)
    return source_makers.named(*files)


@pytest.mark.parametrize(
    ("kind", "as_run"),
    [
        *((kind, True) for kind in source_makers.ON_DISK),
        ("folder", False),
        *(pytest.param(kind, False, marks=pytest.mark.long) for kind in source_makers.ON_DISK),
    ],
)
def test_from__each_kind_of_source__ends_as_cores_batch_import_and_again_changes_nothing(
    kind: str, as_run: bool, import_from: Import, expected: Expected, tmp_path: Path
) -> None:
    files = a_shuffled_scrape(len(kind))
    source = source_makers.ON_DISK[kind](files, tmp_path)
    options = ["--run"] if as_run else []

    first = import_from(source, *options)
    assert (first["received"], first["failed"]) == (len(files), 0), first["told"]
    assert list(rows.differences(expected(files), rows.dump())) == []
    assert len(first["finalized"]) == as_run
    if as_run:
        run = ScrapeRun.objects.get()
        assert run.finalized_at and not run.closed
        assert kind != "manifest" or str(run.run_id) == source_makers.RUN

    before = rows.dump()
    again = import_from(source, *options)
    assert (again["received"], again["ignored"]) == (len(files), len(files))
    assert "fetch" not in again["seconds"], "nothing is read again"
    assert list(rows.differences(before, rows.dump())) == []


@pytest.fixture(scope="module")
def google() -> Iterator[str]:
    with backends.fake_google() as endpoint:
        yield endpoint


@pytest.fixture
def upload(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Path], str]:
    """Put what is in a folder into a new store of this scheme; returns its URL."""

    def put(scheme: str, folder: Path) -> str:
        if scheme == "file":
            (tmp_path / "store").mkdir()
            base = f"file://{tmp_path}/store"
        elif scheme == "gs":
            endpoint = request.getfixturevalue("google")
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
            base = backends.google(endpoint).store(False).bucket
        else:
            aws: Aws = request.getfixturevalue("aws")
            for name, value in aws.environment.items():
                monkeypatch.setenv(name, value)
            base = aws.environment["S3_REALTIME_BASE"]
        store = store_of(parse_base(base))
        for path in folder.rglob("*"):
            if path.is_file():
                metadata = {"scraped-at": "2031-01-01T00:00:00+00:00"}
                store.put(f"scrapes/{path.relative_to(folder)}", path.read_bytes(), metadata)
        return base

    return put


PLACES = {
    "folder": "scrapes/_data",
    "manifest": "scrapes/bucket/wy/_manifest.json",
    "json lines": "scrapes/lake",
    "tgz": "scrapes/wy.tar.gz",
}
# Of each pair, one in the default run.
QUICK = {("file", "tgz"), ("s3", "manifest"), ("s3", "folder"), ("gs", "json lines")}


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.long)
        for pair in product(["file", "s3", "gs"], PLACES)
    ],
)
def test_from__a_prefix_of_a_store__ends_as_cores_batch_import(
    scheme: str,
    kind: str,
    upload: Callable[[str, Path], str],
    import_from: Import,
    expected: Expected,
    tmp_path: Path,
) -> None:
    files = a_shuffled_scrape(7)
    made = tmp_path / "made"
    made.mkdir()
    source_makers.ON_DISK[kind](files, made)
    url = f"{upload(scheme, made)}/{PLACES[kind]}"

    first = import_from(url, "--run")
    assert (first["received"], first["failed"]) == (len(files), 0), first["told"]
    assert list(rows.differences(expected(files), rows.dump())) == []
    assert len(first["finalized"]) == 1

    again = import_from(url, "--run")
    assert again["ignored"] == len(files)
    if scheme == "s3" and kind in ("folder", "manifest"):
        assert first["requests"]["GetObject"] < 1.1 * len(files) + 2
        assert "GetObject" not in again["requests"]


class Script:
    """What happens to a source while it is followed: a step each time that it was looked at."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)
        self.told: list[str] = []

    def follow(self, source: Path, database: str) -> Report:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Following, "_pause", lambda following, seconds: self._next())
            config = load({"DATABASE_URL": database})
            watcher = Watcher(lambda failure: self.told.append(failure.name))
            opened = open_source(str(source))
            return follow_source(config, opened, lambda: not self._steps, watcher)

    def _next(self) -> None:
        self._steps.pop(0)()


def nothing() -> None:
    pass


def test_follow__lines_added_in_cores_order__all_in_though_sessions_come_last(
    database: str, expected: Expected, tmp_path: Path
) -> None:
    files = a_shuffled_scrape(5)
    lake = tmp_path / "lake"
    lake.mkdir()
    # Core uploads class by class, and the jurisdiction nearly last.
    by_file = dict(sorted(source_makers.in_lake(files).items()))
    [sessions] = [by_file.pop(name) for name in list(by_file) if name.startswith("jurisdiction")]

    def add(name: str, lines: bytes) -> Callable[[], object]:
        (lake / name).parent.mkdir(parents=True, exist_ok=True)
        return lambda: (lake / name).write_bytes(lines)

    added = [add(name, lines) for name, lines in by_file.items()]
    script = Script(*added, nothing, add("jurisdiction/wy/jurisdiction.jsonl", sessions), nothing)
    report = script.follow(lake, database)

    assert report.outcomes["inserted"] > len(files) / 2
    assert len(script.told) == len(set(script.told)), "what has to wait is told of once"
    assert list(rows.differences(expected(files), rows.dump())) == []
    again = Script(nothing).follow(lake, database)
    assert again.received == 0, "files that are in as a whole are not opened again"


def test_follow__by_command__imports_what_is_there_until_its_time_is_up(
    import_from: Import, tmp_path: Path
) -> None:
    files = source_makers.named(scrapes.jurisdiction(), scrapes.bill())
    source = source_makers.json_lines(files, tmp_path)
    report = import_from(source, "--follow", "--time-limit", "2")
    assert (report["received"], report["inserted"], report["unchanged"]) == (2, 1, 1)


def test_follow__source_goes_away__tried_again_and_goes_on_when_it_is_back(
    database: str, tmp_path: Path
) -> None:
    lake, away = tmp_path / "lake", tmp_path / "away"
    files = source_makers.named(scrapes.jurisdiction(), scrapes.bill())
    source_makers.json_lines(files, tmp_path)

    def add() -> None:
        (lake / "wy").mkdir()
        (lake / "wy/bill.jsonl").write_text(json.dumps(scrapes.bill("HB 2")))

    report = Script(
        lambda: lake.rename(away), nothing, lambda: away.rename(lake), add, nothing
    ).follow(lake, database)
    assert report.outcomes["inserted"] == 2


def test_follow__file_that_grows__only_its_new_lines_imported(
    database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "wy"
    folder.mkdir()
    (folder / "jurisdiction.jsonl").write_text(json.dumps(scrapes.jurisdiction()))
    lines = [json.dumps(scrapes.bill(f"HB {number}")) + "\n" for number in range(3)]
    bills = folder / "bill.jsonl"

    def grow(until: int) -> Callable[[], object]:
        return lambda: bills.write_text("".join(lines[:until]))

    report = Script(grow(1), grow(3), nothing).follow(folder, database)
    assert Bill.objects.count() == 3
    assert report.types["bill"] == {"received": 4, "inserted": 3, "ignored": 1}


def test_from_as_a_run__a_member_fails__nothing_deleted_until_it_is_mended(
    import_from: Import, tmp_path: Path
) -> None:
    bill = scrapes.bill()
    old = source_makers.named(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "stale"))
    (tmp_path / "1").mkdir()
    import_from(source_makers.tgz(old, tmp_path / "1"), "--run")
    newer, other = {**bill, "_id": scrapes.fresh_id()}, scrapes.bill("HB 2")
    vote = scrapes.vote_event(newer, "new")
    new = source_makers.named(scrapes.jurisdiction(), newer, vote, other)
    broken = next(name for name in new if other["_id"] in name)

    (tmp_path / "2").mkdir()
    first = import_from(
        source := source_makers.folder({**new, broken: b"{"}, tmp_path / "2"), "--run"
    )
    assert (first["failed"], len(first["finalized"])) == (1, 1)
    assert any("bad-json" in line and broken in line for line in first["told"])
    assert any("deleted nothing: failed-files" in line for line in first["told"])
    assert VoteEvent.objects.count() == 2
    assert File.objects.get(outcome="failed").key.endswith(broken)

    (source / "wy" / broken).write_bytes(new[broken])
    second = import_from(source, "--run")
    assert second["failed"] == 0 and len(second["finalized"]) == 1
    assert VoteEvent.objects.get().motion_text == "new"
    assert not File.objects.filter(outcome="failed").exists()


def test_from_as_a_run__one_archive_of_it_is_none__closed_and_nothing_deleted(
    import_from: Import, tmp_path: Path
) -> None:
    source_makers.tgz(source_makers.named(scrapes.jurisdiction(), scrapes.bill()), tmp_path)
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    report = import_from(tmp_path, "--run")
    assert (report["failed"], report["inserted"], len(report["finalized"])) == (1, 1, 1)
    assert any(line.startswith("a.tgz: bad-archive") for line in report["told"])
    assert ScrapeRun.objects.get().closed == "failed-files"


def test_from_as_a_run__imported_before_without__still_all_of_the_run(
    import_from: Import, tmp_path: Path
) -> None:
    bill = scrapes.bill()
    old = source_makers.named(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "stale"))
    (tmp_path / "1").mkdir()
    import_from(source_makers.folder(old, tmp_path / "1"))
    newer = {**bill, "_id": scrapes.fresh_id()}
    new = source_makers.named(newer, scrapes.vote_event(newer, "new"))
    (tmp_path / "2").mkdir()
    source = source_makers.folder(new, tmp_path / "2")
    import_from(source)
    report = import_from(source, "--run")
    assert (report["unchanged"], len(report["finalized"])) == (2, 1)
    assert VoteEvent.objects.get().motion_text == "new"


def test_from_as_a_run__members_may_end_otherwise_by_now__read_again_and_imported(
    import_from: Import, tmp_path: Path
) -> None:
    files = source_makers.named(scrapes.jurisdiction(), scrapes.bill())
    for kind in ("tgz", "json lines"):
        (tmp_path / kind).mkdir()
        source = source_makers.ON_DISK[kind](files, tmp_path / kind)
        import_from(source, "--run")
        # What names may mean has changed, so that each file is imported once more.
        File.objects.update(referents=None)
        ScrapeRun.objects.update(finalized_at=None, step="", cursor=None)
        Bill.objects.update(title="spoiled")
        again = import_from(source, "--run")
        assert len(again["finalized"]) == 1
        assert Bill.objects.get().title == "Of bridges", "it was read again"


def test_from_as_a_run__closes_an_older_one_of_the_bucket__its_files_read_from_there(
    import_from: Import, aws: Aws, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Run(Mail(aws, database))
    older.publish(scrapes.jurisdiction(), scrapes.bill())
    older.mail.run()
    File.objects.update(referents=None)
    Bill.objects.update(title="spoiled")
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    source = source_makers.folder(source_makers.named(scrapes.bill("HB 2")), tmp_path)
    report = import_from(source, "--run", S3_REALTIME_BASE=aws.environment["S3_REALTIME_BASE"])
    assert len(report["finalized"]) == 2 and older.row.closed == "unfinished"
    assert Bill.objects.get(identifier="HB 1").title == "Of bridges"


def test_from__without_run__deletes_nothing_and_belongs_to_none(
    import_from: Import, tmp_path: Path
) -> None:
    bill = scrapes.bill()
    for number, motion in enumerate(("old", "new")):
        (tmp_path / str(number)).mkdir()
        files = source_makers.named(
            scrapes.jurisdiction(), scrapes.event(motion), bill, scrapes.vote_event(bill, motion)
        )
        import_from(source_makers.tgz(files, tmp_path / str(number)))
    assert VoteEvent.objects.count() == 2
    assert not Event.objects.filter(deleted=True).exists()
    assert not ScrapeRun.objects.exists()


def test_from__archive_of_several_jurisdictions__each_imported_as_its_folder_says(
    import_from: Import, tmp_path: Path
) -> None:
    dc = "ocd-jurisdiction/country:us/district:dc/government"
    bill = {**scrapes.bill("B 1", actions=0), "jurisdiction": {"id": dc, "name": "DC"}}
    bill["from_organization"] = '~{"classification": "legislature"}'
    LegislativeSession.objects.create(jurisdiction_id=dc, identifier=scrapes.SESSION, name="x")
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in source_makers.named(scrapes.jurisdiction(), scrapes.bill()).items():
            archive.writestr(f"_data/wy/{name}", content)
        archive.writestr(f"_data/dc/bill_{bill['_id']}.json", json.dumps(bill))
    wrong = import_from(path, "--jurisdiction", "wy")
    assert any(f"{bill['_id']}.json: wrong-jurisdiction" in line for line in wrong["told"])
    report = import_from(path)
    assert (report["inserted"], report["ignored"], report["failed"]) == (1, 2, 0)
    assert Bill.objects.filter(legislative_session__jurisdiction_id=dc).count() == 1
    with pytest.raises(CommandError, match=r"one jurisdiction, .* files of dc, wy"):
        import_from(path, "--run")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("nowhere",), "nowhere does not exist"),
        (("README.md",), "README.md is neither"),
        (("tests/data",), "holds no scraped files"),
        (("s3://",), "SOURCE is 's3://'"),
        (("ftp://x/y",), "SOURCE is 'ftp://x/y'"),
        (("",), "SOURCE is empty"),
        (("file:///nowhere/at/all",), "file:///nowhere/at/all"),
        ((".", "--directory", "."), "omit --directory"),
        ((".", "--messages", "-"), "takes no messages"),
        ((".", "--run", "--follow"), "omit it with --follow"),
        ((".", "--jurisdiction", "zz"), "'zz' is not an abbreviation"),
    ],
)
def test_from__wrong_source_or_options__one_clear_line(
    options: tuple[str, ...], problem: str, import_from: Import
) -> None:
    with pytest.raises(CommandError) as raised:
        import_from(*options)
    assert problem in str(raised.value) and "\n" not in str(raised.value)


def test_from__nothing_says_whose_it_is__jurisdiction_asked_for_and_nothing_imported(
    import_from: Import, tmp_path: Path
) -> None:
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "bill.jsonl").write_text(json.dumps(scrapes.bill()))
    with pytest.raises(CommandError, match="--jurisdiction is missing"):
        import_from(tmp_path / "lines")
    report = import_from(tmp_path / "lines", "--jurisdiction", "wy")
    assert report["received"] == 1


@pytest.mark.parametrize("kind", ["tgz", "json lines", "manifest"])
def test_publish__a_source__imported_as_if_it_had_been_scraped(
    kind: str, aws: Aws, database: str, expected: Expected, tmp_path: Path
) -> None:
    mail = Mail(aws, database)
    files = a_shuffled_scrape(9)
    source = source_makers.ON_DISK[kind](files, tmp_path)
    environment = {**os.environ, **aws.environment}
    run_manage("publish_realtime", str(source), "--run", env=environment)
    while mail.run().received:
        pass
    assert ScrapeRun.objects.get().finalized_at
    assert list(rows.differences(expected(files), rows.dump())) == []


def test_from__told_to_stop__rest_released_and_next_call_goes_on(
    database: str, tmp_path: Path
) -> None:
    files = source_makers.named(
        scrapes.jurisdiction(), *(scrapes.bill(f"HB {n}") for n in range(9))
    )
    source, config = source_makers.tgz(files, tmp_path), load({"DATABASE_URL": database})
    done: list[int] = []
    watcher = Watcher(print, progress=lambda count, known: done.append(count))

    def run(until: int) -> Report:
        opened = open_source(str(source))
        return from_source.run(
            config, opened, lambda: max(done, default=0) >= until, watcher, as_run=True
        )

    first = run(until=1)
    assert first.received == 10 and first.outcomes["released"] == 4
    assert not first.finalized and ScrapeRun.objects.get().finished_at is None
    second = run(until=99)
    assert (second.outcomes["ignored"], second.outcomes["inserted"]) == (6, 4)
    assert len(second.finalized) == 1


def test_from__one_object_cannot_be_read_now__released_and_the_others_imported(
    aws: Aws, proxy: AwsProxy, import_from: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    bills = [scrapes.bill(f"HB {number}") for number in range(3)]
    files = source_makers.named(scrapes.jurisdiction(), *bills)
    for name, content in files.items():
        aws.s3.put_object(Bucket=aws.bucket, Key=f"wy/{name}", Body=content)
    for name, value in {**aws.environment, "AWS_ENDPOINT_URL": proxy.endpoint}.items():
        monkeypatch.setenv(name, value)
    refused = bills[1]["_id"]
    proxy.rule = lambda request: (
        refusal(503, "SlowDown")
        if request.operation == "GetObject" and refused in request.path
        else None
    )
    url = f"s3://{aws.bucket}/wy"
    report = import_from(url, "--run")
    assert (report["inserted"], report["released"], report["finalized"]) == (2, 1, [])
    assert any("has no end yet" in line for line in report["told"])
    proxy.rule = lambda request: None
    report = import_from(url, "--run")
    assert (report["ignored"], report["inserted"], len(report["finalized"])) == (3, 1, 1)


def test_from_as_a_run__jurisdiction_busy_and_no_member_readable__run_has_no_end(
    import_from: Import, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_source, "PATIENT", 0.1)
    name = f"bill_{scrapes.fresh_id()}.json"
    source = source_makers.folder({name: b"{"}, tmp_path)
    number = locks.number(scrapes.WYOMING.jurisdiction_id)
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, number])
        report = import_from(source, "--run")
    assert (report["released"], report["finalized"]) == (1, [])
    assert import_from(source, "--run")["failed"] == 1


def test_from__hostile_lines_and_members_between_good_ones__each_told_and_the_good_imported(
    import_from: Import, tmp_path: Path
) -> None:
    folder = tmp_path / "wy"
    folder.mkdir()
    bills = iter(range(1, 1000))

    def good() -> bytes:
        return json.dumps(scrapes.bill(f"HB {next(bills)}")).encode()

    (folder / "jurisdiction_1.json").write_text(json.dumps(scrapes.jurisdiction()))
    lines = [line for bad in BAD_LINES.values() for line in (bad, good())]
    (folder / "bill.jsonl").write_bytes(b"\n".join(lines))

    def members(tar: tarfile.TarFile) -> None:
        for name in BAD_NAMES:
            add_file(tar, name.format("bill_bad.json"), good())
            add_file(tar, f"wy/bill_{scrapes.fresh_id()}.json", good())

    with tarfile.open(folder / "a.tgz", "w:gz") as tar:
        members(tar)
    before = sorted(tmp_path.rglob("*"))
    settings = {"REALTIME_MAX_FILE_BYTES": str(MOST)}

    report = import_from(folder, "--verbosity", "2", **settings)
    bad = len(BAD_LINES) + len(BAD_NAMES)
    assert (report["failed"], report["inserted"]) == (bad, bad)
    told = [line for line in report["told"] if line.startswith(("a.tgz#", "bill.jsonl#"))]
    assert len(told) == bad and Bill.objects.count() == bad
    assert sorted(tmp_path.rglob("*")) == before
    again = import_from(folder, **settings)
    assert (again["failed"], again["ignored"], again["inserted"]) == (bad, bad + 1, 0)
