"""`manage.py import_realtime --directory`: a folder, a database, and nothing of AWS."""

import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openstates.data.models import Bill, Person, VoteEvent

from realtime.consumer import batches
from realtime.consumer.from_source import Watcher, run
from realtime.domain.config import load
from realtime.domain.errors import RetryLater
from realtime.domain.results import FetchedFile
from realtime.ledger import files as ledger_files
from realtime.models import File
from realtime.sources.open_source import open_source
from tests import scrapes
from tests.support import CompletedText

Import = Callable[..., CompletedText]
ADA = "ocd-person/9995703e-90eb-4d20-a2f6-bfd9542102bd"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the jurisdiction's file, so that the legislative session is known."""
    put(tmp_path, scrapes.jurisdiction())
    return tmp_path


def put(folder: Path, data: dict[str, Any], name: str = "") -> Path:
    name = name or f"{scrapes.type_of(data)}_{data['_id'].replace('/', '-')}.json"
    (folder / name).write_text(json.dumps(data))
    return folder / name


@pytest.fixture
def import_folder(folder: Path, database: str, run_manage: Import) -> Import:
    def run(*options: str, check: bool = True) -> CompletedText:
        environment = {**os.environ, "DATABASE_URL": database}
        arguments = ("--directory", str(folder), "--jurisdiction", "wy", *options)
        return run_manage("import_realtime", *arguments, env=environment, check=check)

    return run


def report_of(result: CompletedText) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert report["received"] == sum(report[outcome] for outcome in scrapes.OUTCOMES)
    return report


def test_directory__files_good_and_bad__good_imported_and_bad_explained(
    folder: Path, import_folder: Import
) -> None:
    bill = scrapes.bill()
    put(folder, bill)
    put(folder, scrapes.vote_event(bill))
    wrong = put(folder, {**scrapes.bill("HB 2"), "actions": [{"classification": 7}]})
    lost = put(folder, scrapes.vote_event(scrapes.bill("HB 3")))
    (folder / "bill_cut.json").write_text("{")
    (folder / "legislature").mkdir()
    person = f"id: {ADA}\nname: Ada Plainsman\nparty:\n- name: Whigs\nroles: []\n"
    (folder / "legislature" / "Ada.yml").write_text(person)
    before = sorted(folder.rglob("*"))

    result = import_folder("--json")

    report = report_of(result)
    assert (report["unchanged"], report["inserted"], report["failed"]) == (1, 2, 4)
    assert set(report) >= {"types", "seconds", "lag_seconds", "statements", "resumed"}
    assert VoteEvent.objects.get().bill == Bill.objects.get()
    told = dict(line.split(": ", 1) for line in result.stdout.splitlines()[:-1])
    assert told[wrong.name].startswith("invalid in actions.0.")
    assert told[lost.name].startswith("unresolved: never came: bill HB 3")
    assert told["bill_cut.json"].startswith("bad-json: ")
    assert told["Ada.yml"].startswith("invalid in party.0.name: ")
    assert sorted(folder.rglob("*")) == before
    assert set(File.objects.values_list("outcome", flat=True)) == {"unchanged", "inserted"}


def test_directory__imported_again__unchanged_files_ignored_and_fixed_ones_imported(
    folder: Path, import_folder: Import
) -> None:
    bill, other = scrapes.bill(), scrapes.bill("HB 2")
    put(folder, bill)
    vote = put(folder, scrapes.vote_event(other))
    broken = put(folder, {**other, "actions": [{"classification": 7}]})
    assert report_of(import_folder("--json"))["failed"] == 2

    put(folder, other, broken.name)
    report = report_of(import_folder("--json"))
    assert (report["ignored"], report["inserted"], report["failed"]) == (2, 2, 0)
    assert VoteEvent.objects.get().bill.identifier == "HB 2"

    changed = {**bill, "title": "Of roads"}
    put(folder, changed)
    report = report_of(import_folder("--json"))
    assert (report["updated"], report["ignored"]) == (1, 3)
    assert vote.exists()


def test_directory__older_than_the_imported_version__superseded(
    folder: Path, import_folder: Import
) -> None:
    old, new = scrapes.bill(title="Old"), scrapes.bill(title="New")
    person = {"id": ADA, "party": [{"name": "Republican"}], "roles": []}
    path = put(folder, new)
    ada = put(folder, {**person, "name": "Ada New"}, "person_1.json")
    import_folder()
    path.unlink()
    put(folder, old)
    put(folder, {**person, "name": "Ada Old"}, ada.name)
    os.utime(ada, (time.time() - 9999,) * 2)
    assert report_of(import_folder("--json"))["superseded"] == 2
    assert (Bill.objects.get().title, Person.objects.get().name) == ("New", "Ada New")


def test_directory__larger_than_a_batch__imported_in_order_a_batch_at_a_time(
    folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        bill = scrapes.bill(f"HB {number}")
        put(folder, bill, f"bill_{number}.json")
        put(folder, {**bill, "title": "Newer", "_id": scrapes.fresh_id()}, f"bill_0{number}.json")
        put(folder, scrapes.vote_event(bill))
    held = []

    def import_group(*arguments: Any) -> Any:
        held.append(sum(isinstance(one, FetchedFile) for one in gc.get_objects()))
        return batches.import_group(*arguments)

    monkeypatch.setattr("realtime.consumer.from_source.BATCH_SIZE", 4)
    monkeypatch.setattr("realtime.consumer.from_source.import_group", import_group)
    gc.collect()
    config = load({"DATABASE_URL": database})
    report = run(config, open_source(str(folder), "wy"), lambda: False, Watcher(print))
    assert (report.received, report.outcomes["inserted"], report.outcomes["updated"]) == (22, 14, 7)
    assert set(Bill.objects.values_list("title", flat=True)) == {"Newer"}
    assert max(held) <= 4


def test_directory__interrupted_after_half_of_a_batch__all_of_it_released(
    folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        put(folder, scrapes.bill(f"HB {number}"))
    record, alone = ledger_files.record, 0

    def record_one(results: Any, *more: Any) -> Any:
        nonlocal alone
        results = list(results)
        if len(results) > 1:
            raise TypeError("these cannot be recorded together")
        alone += 1
        if alone > 1:
            raise RetryLater("the database interrupts")
        return record(results, *more)

    monkeypatch.setattr(ledger_files, "record", record_one)
    config = load({"DATABASE_URL": database})
    report = run(config, open_source(str(folder), "wy"), lambda: False, Watcher(print))
    assert (report.received, report.outcomes["released"]) == (3, 3)
    assert not Bill.objects.exists()


def test_directory__unexpected_error__traceback_when_asked_for(
    folder: Path, import_folder: Import
) -> None:
    put(folder, {**scrapes.bill(), "actions": [{"classification": 7}]})
    assert "Traceback" not in import_folder().stdout
    for option in (("-v", "2"), ("--traceback",)):
        printed = import_folder(*option).stdout
        assert "Traceback" in printed
        *_, summary, advice = printed.splitlines()
        assert summary.startswith("2 received: 1 ignored, 1 failed")
        assert advice.startswith("next: mend these files")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--directory", "nowhere", "--jurisdiction", "wy"), "nowhere does not exist"),
        (("--directory", "."), "--directory needs --jurisdiction"),
        (("--directory", ".", "--jurisdiction", "zz"), "'zz' is not an abbreviation"),
        (("--directory", ".", "--jurisdiction", "wy", "--messages", "-"), "takes no messages"),
        (("--jurisdiction", "wy"), "goes with --directory"),
    ],
)
def test_directory__wrong_options__one_clear_line_and_status_1(
    run_manage: Import, options: tuple[str, ...], problem: str
) -> None:
    nowhere = {**os.environ, "DATABASE_URL": "postgres://reader@127.0.0.1:1/openstates"}
    result = run_manage("import_realtime", *options, env=nowhere, check=False)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert problem in result.stderr
