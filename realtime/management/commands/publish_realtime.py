"""`manage.py publish_realtime`: publishes existing files."""

import time
import uuid
from argparse import BooleanOptionalAction
from json import dumps
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from realtime.backends.request_counts import counted_into
from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.domain.errors import RealtimeError
from realtime.producer import publish_files
from realtime.producer.producer import Producer


class Command(BaseCommand):
    """Publishes the other files when some cannot be published."""

    help = (
        "Publish existing files: a folder scraped by core, people's YAML, or files that a scrape"
        " kept in _realtime_spool/ because S3 or SQS did not answer. Uploads each file, then sends"
        " its message. Spooled files are removed once sent. Needs no database. Exit status: 0; 1"
        " after publishing the rest when some file was not published, or when a setting is wrong."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or folder")
        parser.add_argument(
            "--jurisdiction",
            metavar="ABBR",
            help="jurisdiction of the files, such as wy; not needed for spooled files",
        )
        parser.add_argument(
            "--run",
            action="store_true",
            help="publish the files as one complete scrape run, which is then finalized as after a"
            " scrape",
        )
        parser.add_argument(
            "--archive",
            action=BooleanOptionalAction,
            default=False,
            help="ask the importer to archive the files, even with FILE_ARCHIVING_ENABLED=false",
        )
        parser.add_argument(
            "--shuffle", type=int, metavar="SEED", help="publish in random order, with this seed"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="print the report as one JSON object on the last line",
        )

    def handle(
        self,
        *,
        paths: list[Path],
        jurisdiction: str | None,
        run: bool,
        archive: bool,
        shuffle: int | None,
        json: bool,
        **options: Any,
    ) -> None:
        report = publish_files.Published()
        try:
            with counted_into(report.requests):
                self._publish(report, paths, jurisdiction, run, archive, shuffle)
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        self._print(report, json)
        if report.has_no_end:
            raise CommandError(
                f"run {report.run_id} has no end, because of the files above: what was published is"
                " imported, but nothing is deleted or marked for the run. Repair or remove these"
                " files and publish all again with --run"
            )
        if report.problems:
            count = len(report.problems)
            raise CommandError(f"{count} {'problem' if count == 1 else 'problems'}: see above")

    def _publish(
        self,
        report: publish_files.Published,
        paths: list[Path],
        abbr: str | None,
        run: bool,
        archive: bool,
        shuffle: int | None,
    ) -> None:
        base = settings.REALTIME.bucket
        store, queue = S3Store(base.name), SqsQueue(settings.REALTIME.require_queue())
        jurisdiction = publish_files.jurisdiction_named(abbr) if abbr else None
        selection = publish_files.select(paths, report)
        if selection.files and jurisdiction is None:
            raise CommandError("--jurisdiction is missing: the files do not name theirs")
        if jurisdiction:
            publish_files.refuse_foreign(selection.files, jurisdiction)
        for folder in selection.spools:
            publish_files.publish_spool(store, queue, base, folder, report)
        if jurisdiction is None or not selection.files:
            return
        producer = Producer(store, queue, base, spool=None, run_id=uuid.uuid4() if run else None)
        publish_files.publish(
            producer,
            selection.files,
            jurisdiction,
            report,
            file_archiving_enabled=archive,
            shuffle=shuffle,
            progress=_Progress(self.stderr, len(selection.files)),
        )

    def _print(self, report: publish_files.Published, as_json: bool) -> None:
        for path in report.skipped:
            self.stderr.write(f"{path} skipped: not a scraped file and not a person's YAML")
        for folder in report.busy:
            self.stderr.write(f"{folder} left alone: a running scrape, or another call, sends it")
        for problem in report.problems:
            self.stderr.write(problem)
        types = ", ".join(f"{count} {name}" for name, count in sorted(report.types.items()))
        run = f" as run {report.run_id}" if report.run_id else ""
        total = sum(report.types.values())
        self.stdout.write(f"published {total} files{run}{': ' if types else ''}{types}")
        if as_json:
            self.stdout.write(dumps(report.as_dict()))


class _Progress:
    """Shows progress on standard error: in place on a terminal, else one line every 5 seconds."""

    def __init__(self, stream: OutputWrapper, total: int) -> None:
        self._stream = stream
        self._total = total
        self._interval = 0.2 if stream.isatty() else 5.0
        self._next = time.monotonic() + self._interval

    def __call__(self, done: int) -> None:
        if time.monotonic() < self._next and not (self._stream.isatty() and done == self._total):
            return
        self._next = time.monotonic() + self._interval
        text = f"{done} of {self._total} files"
        if self._stream.isatty():
            self._stream.write(f"\r{text}", ending="\n" if done == self._total else "")
        else:
            self._stream.write(text)
        self._stream.flush()
