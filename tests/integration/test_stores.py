"""Imports from a folder and from Google Cloud Storage, with PostgreSQL and SQS."""

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from _pytest.fixtures import SubRequest
from django.db import connection
from openstates.data.models import Bill, VoteEvent

from realtime.backends.stores import store_of
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError
from realtime.domain.interfaces import Store
from realtime.domain.run_context import RunContext
from realtime.domain.scraped_object import RUN_ID_METADATA, SCRAPED_AT_METADATA
from realtime.files import archive, redrive
from realtime.finalization.finalize import finalize_complete
from realtime.ledger import locations
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.contracts import backends
from tests.fault_proxy import AwsProxy
from tests.scrape_runs import Run, import_only
from tests.scrapes import Mail
from tests.support import Aws, CompletedText


class StoredMail(Mail):
    """Mail whose files are in another store than S3."""

    def __init__(self, aws: Aws, database_url: str, base: Bucket, **settings: str) -> None:
        environment = {**aws.environment, "S3_REALTIME_BASE": base.url}
        super().__init__(
            replace(aws, bucket=base.name, environment=environment), database_url, **settings
        )
        self.store: Store = store_of(base)  # type: ignore[assignment]

    def put(self, data: dict[str, Any] | bytes, key: str = "", **metadata: str) -> str:
        key = key or self.key(data)  # type: ignore[arg-type]
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.store.put(key, body, metadata)
        return key


@pytest.fixture(scope="module")
def google() -> Iterator[str]:
    with backends.fake_google() as endpoint:
        yield endpoint


@pytest.fixture(params=["file", "gs"])
def base(request: SubRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    if request.param == "file":
        (tmp_path / "store").mkdir()
        return Bucket(str(tmp_path / "store"))
    endpoint: str = request.getfixturevalue("google")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
    return Bucket(backends.google(endpoint).store(False).bucket, "pre/")


@pytest.fixture
def mail(aws: Aws, database: str, base: Bucket) -> StoredMail:
    """Wyoming's legislative session is in."""
    mail = StoredMail(aws, database, base)
    publish(mail, scrapes.jurisdiction())
    mail.run()
    return mail


def publish(mail: StoredMail, *files: dict[str, Any], **fields: Any) -> list[str]:
    """As a scraper does, below the prefix."""
    prefix = mail.config.bucket.prefix
    stamp = {SCRAPED_AT_METADATA: datetime.now(UTC).isoformat(timespec="microseconds")}
    keys = [mail.put(data, f"{prefix}{mail.key(data)}", **stamp) for data in files]
    for key in keys:
        mail.send(mail.message(key, **fields))
    return keys


def archived(mail: StoredMail, key: str) -> str:
    prefix = mail.config.bucket.prefix
    return f"{prefix}archived/{datetime.now(UTC):%Y-%m-%d}/{key.removeprefix(prefix)}"


def test_import__any_store__parked_resumed_and_archived_as_from_s3(mail: StoredMail) -> None:
    bill = scrapes.bill()
    parked = publish(mail, scrapes.vote_event(bill))
    assert mail.run().outcomes["deferred"] == 1
    keys = [*parked, *publish(mail, bill)]
    bodies = {archived(mail, key): mail.store.get(key, 99_999) for key in keys}
    report = mail.run()
    assert (report.outcomes["inserted"], report.resumed) == (1, 1)
    moved = {key: mail.store.get(key, 99_999) for key in bodies}
    assert {key: (file.body, file.object.metadata) for key, file in moved.items()} == {
        key: (file.body, file.object.metadata) for key, file in bodies.items()
    }
    assert mail.keys(f"{mail.config.bucket.prefix}wy/") == []
    assert set(File.objects.values_list("bucket", flat=True)) == {mail.config.bucket.name}
    assert not File.objects.filter(archived_at=None).exists()
    for key in keys:
        mail.send(mail.message(key))
    assert mail.run().outcomes["ignored"] == 2


def test_import__overwritten_while_it_is_parked__newer_upload_imported(mail: StoredMail) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill, motion="first")
    [key] = publish(mail, vote)
    mail.run()
    mail.put({**copy.deepcopy(vote), "motion_text": "second"}, key)
    publish(mail, bill)
    mail.run()
    assert VoteEvent.objects.get().motion_text == "second"
    assert sorted(File.objects.filter(key=key).values_list("outcome", flat=True)) == [
        "inserted",
        "superseded",
    ]


@pytest.mark.parametrize(
    ("base", "step"),
    [
        *(("file", step) for step in ("plan", "rename_all", "archived")),
        *(("gs", step) for step in ("plan", "put", "delete_all", "archived")),
    ],
    indirect=["base"],
)
def test_run__killed_after_a_step_of_archiving__archive_finishes(
    mail: StoredMail, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    keys = publish(mail, scrapes.bill("HB 1"), scrapes.bill("HB 2"))
    holder = locations if step in ("plan", "archived") else mail.store
    does = getattr(holder, step)

    def die(*arguments: object, **named: object) -> object:
        does(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(holder, step, die)
        patch.setattr(archive, "THREADS", 1)
        with pytest.raises(Killed):
            mail.run()
    archive.archive(mail.store, mail.config)
    assert mail.keys(f"{mail.config.bucket.prefix}wy/") == []
    assert {archived(mail, key) for key in keys} <= set(mail.keys())
    assert not File.objects.filter(archived_at=None).exists()


def test_run__newer_upload_while_it_archives__survives_and_what_was_imported_too(
    mail: StoredMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scrapes.bill(title="First")
    newer = {**copy.deepcopy(first), "title": "Second"}
    [key] = publish(mail, first)
    plan = locations.plan

    def overwritten_then(*arguments: Any) -> Any:
        mail.put(newer, key, **{SCRAPED_AT_METADATA: datetime.now(UTC).isoformat()})
        return plan(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(locations, "plan", overwritten_then)
        mail.run()
    assert b"Second" in (mail.store.get(key, 9999).body or b"")
    [moved] = File.objects.filter(key=key).values_list("archived_key", flat=True)
    assert b"First" in (mail.store.get(moved, 9999).body or b"")
    mail.send(mail.message(key))
    assert mail.run().outcomes["updated"] == 1
    assert mail.keys(f"{mail.config.bucket.prefix}wy/") == []


def test_archive__archiving_off__files_deleted(aws: Aws, database: str, base: Bucket) -> None:
    mail = StoredMail(aws, database, base, FILE_ARCHIVING_ENABLED="false")
    publish(mail, scrapes.jurisdiction(), scrapes.bill())
    mail.run()
    assert mail.keys() == []


def test_archive__later_and_another_object_at_its_place__replaced_as_by_a_copy(
    aws: Aws, database: str, base: Bucket
) -> None:
    mail = StoredMail(aws, database, base, REALTIME_ARCHIVE="later")
    keys = publish(mail, scrapes.jurisdiction(), scrapes.bill())
    mail.run()
    # What a call that was killed had written.
    mail.store.put(archived(mail, keys[1]), b"", {})
    assert archive.archive(mail.store, mail.config) == {"archived": 2}
    assert mail.store.head(archived(mail, keys[1])).size == File.objects.get(key=keys[1]).size


def test_retry__cause_fixed__same_file_imported_and_failed_copy_removed(mail: StoredMail) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE opencivicdata_bill ADD CONSTRAINT no CHECK (identifier <> 'HB 13')"
        )
    run_id = "4e4f3f0e-0000-4000-8000-000000000001"
    prefix = mail.config.bucket.prefix
    data = scrapes.bill("HB 13")
    key = mail.put(data, f"{prefix}{mail.key(data)}", **{RUN_ID_METADATA: run_id})
    mail.send(mail.message(key))
    assert mail.run().outcomes["failed"] == 1
    assert mail.keys(f"{prefix}failed/") == [f"{prefix}failed/{key.removeprefix(prefix)}"]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opencivicdata_bill DROP CONSTRAINT no")
    told: list[str] = []
    counts = redrive.retry(mail.store, mail.queue, mail.config, {}, [], told.append)
    assert (dict(+counts), told) == ({"retried": 1}, [])
    assert mail.keys(f"{prefix}failed/") == []
    assert mail.store.head(key).metadata[RUN_ID_METADATA] == run_id
    mail.run()
    assert scrapes.outcomes([key]) == {key: "inserted"}
    assert mail.keys(f"{prefix}wy/") == []


def test_run__complete__finalized_from_its_archived_files(mail: StoredMail) -> None:
    first = Run(mail)
    bill = scrapes.bill()
    keys = publish(mail, bill, scrapes.vote_event(bill), run_id=first.id)
    first.objects = {"bill": 1, "vote_event": 1}
    first.end()
    mail.run()
    second = Run(mail)
    again = scrapes.bill(title="Of tunnels")
    keys += publish(mail, again, scrapes.vote_event(again, motion="other"), run_id=second.id)
    second.objects = {"bill": 1, "vote_event": 1}
    second.end()
    mail.run()
    assert ScrapeRun.objects.filter(finalized_at=None).count() == 0
    assert [vote.motion_text for vote in VoteEvent.objects.all()] == ["other"]
    assert Bill.objects.get().title == "Of tunnels"
    assert {archived(mail, key) for key in keys} <= set(mail.keys())


def test_google__what_scrapers_and_imports_ask__needs_the_permissions_that_its_page_names(
    aws: Aws, database: str, google: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = backends.google(google).store(False).bucket
    with AwsProxy(google) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.endpoint)
        mail = StoredMail(aws, database, Bucket(name), REALTIME_ARCHIVE="later")
        publish(mail, scrapes.jurisdiction(), scrapes.bill())
        mail.put(b"{}", "wy/bill_1.json")
        mail.send(mail.message("wy/bill_1.json"))
        assert set(proxy.requests) == {"storage.objects.insert"}
        mail.run()
        archive.archive(mail.store, mail.config)
        redrive.retry(mail.store, mail.queue, mail.config, {}, [], lambda told: None)
        assert mail.keys("failed/") == []
    # Google asks for storage.objects.create and .get, and .delete to overwrite, for `insert` and
    # `rewrite`; `read` is .get.
    asked = {operation.removeprefix("storage.objects.") for operation in proxy.requests}
    assert asked == {"insert", "get", "read", "rewrite", "delete", "list"}


def test_archive__files_of_a_folder__are_renamed_and_never_written_again(
    aws: Aws, database: str, tmp_path: Path
) -> None:
    mail = StoredMail(aws, database, Bucket(str(tmp_path)))
    keys = publish(mail, scrapes.jurisdiction(), *(scrapes.bill(f"HB {n}") for n in range(5)))
    files = {archived(mail, key): (tmp_path / key).stat() for key in keys}
    mail.run()
    for key, before in files.items():
        after = (tmp_path / key).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_archive__folder_was_copied_and_copied_back__files_of_an_open_run_read_again(
    aws: Aws, database: str, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mail = StoredMail(aws, database, Bucket(str(store)))
    publish(mail, scrapes.jurisdiction())
    run = Run(mail)
    bill = scrapes.bill()
    publish(mail, bill, run_id=run.id)
    mail.run()
    subprocess.run(["cp", "-r", store, tmp_path / "copy"], check=True)
    subprocess.run(["rm", "-r", store], check=True)
    subprocess.run(["cp", "-r", tmp_path / "copy", store], check=True)
    run.objects = {"bill": 1}
    run.end()
    import_only(mail)
    Bill.objects.update(title="changed by somebody")
    list(
        finalize_complete(
            RunContext(mail.config, mail.store, must_stop=lambda: False, replay_all=True)
        )
    )
    assert ScrapeRun.objects.get().finalized_at is not None
    assert Bill.objects.get().title == bill["title"]


def test_archive__folder_is_gone__is_a_wrong_setting_and_nothing_is_recorded(
    aws: Aws, database: str, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mail = StoredMail(aws, database, Bucket(str(store)), REALTIME_ARCHIVE="later")
    publish(mail, scrapes.jurisdiction(), scrapes.bill())
    mail.run()
    store.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="there is no folder"):
        archive.archive(mail.store, mail.config)
    assert File.objects.filter(archived_at=None).count() == 2
    (tmp_path / "elsewhere").rename(store)
    assert archive.archive(mail.store, mail.config) == {"archived": 2}


def test_commands__any_store__publish_import_and_archive(
    environment: dict[str, str],
    base: Bucket,
    tmp_path: Path,
    run_manage: Callable[..., CompletedText],
) -> None:
    scrape = tmp_path / "_data" / "wy"
    scrape.mkdir(parents=True)
    for data in (scrapes.jurisdiction(), scrapes.bill(), scrapes.event()):
        name = f"{scrapes.type_of(data)}_{data['_id'].rpartition('/')[2]}.json"
        (scrape / name).write_text(json.dumps(data))
    environment = {**environment, "REALTIME_BASE": base.url, "REALTIME_ARCHIVE": "later"}
    environment |= {n: v for n, v in os.environ.items() if n == "STORAGE_EMULATOR_HOST"}
    del environment["S3_REALTIME_BASE"]
    run_manage("publish_realtime", str(scrape), "--jurisdiction", "wy", "--run", env=environment)
    done = run_manage("import_realtime", "--until-empty", "--json", env=environment)
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["inserted"], report["failed"], len(report["finalized"])) == (2, 0, 1)
    done = run_manage("archive_realtime", "--json", env=environment)
    assert json.loads(done.stdout.splitlines()[-1])["archived"] == 3
