"""`manage.py publish_realtime`: publishes existing files."""

import uuid
from argparse import BooleanOptionalAction
from json import dumps
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.backends.queues import queue_of
from realtime.backends.request_counts import counted_into
from realtime.backends.stores import store_of
from realtime.domain.config import Config
from realtime.domain.errors import RealtimeError
from realtime.management.first_few import FirstFew
from realtime.management.next_command import told
from realtime.management.progress_line import Progress
from realtime.producer import publish_files
from realtime.producer.producer import Producer


class Command(BaseCommand):
    """Publishes the other files when some cannot be published."""

    help = (
        "Publish existing files: a folder scraped by core, people's YAML, or files that a scrape"
        " kept in _realtime_spool/ because the store or the queue did not answer. Uploads each"
        " file, then sends its message. Spooled files are removed once sent. Needs no database."
        " Exit status: 0; 1 after publishing the rest when some file was not published, or when a"
        " setting is wrong."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths",
            nargs="+",
            metavar="SOURCE",
            help="a folder or file, or what else import_realtime --from takes; or a spool",
        )
        parser.add_argument(
            "--jurisdiction",
            metavar="ABBR",
            help="jurisdiction of the files, such as wy; not needed for spooled files, nor where"
            " folders in the source have its name",
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
        paths: list[str],
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
        self._print(report, json, options["verbosity"] > 1)
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
        paths: list[str],
        abbr: str | None,
        run: bool,
        archive: bool,
        shuffle: int | None,
    ) -> None:
        config: Config = settings.REALTIME
        base = config.bucket
        store = store_of(base)
        queue = queue_of(config, store)
        jurisdiction = publish_files.jurisdiction_named(abbr) if abbr else None
        selection = publish_files.select(paths, report, jurisdiction)
        whose = publish_files.owners(selection, jurisdiction, config.max_file_bytes)
        if run and len(whose) > 1:
            names = ", ".join(sorted(one.abbr for one in whose))
            raise CommandError(f"--run takes the scrape of one jurisdiction, these are of {names}")
        with Progress(self.stderr) as progress:
            for folder in selection.spools:
                publish_files.publish_spool(store, queue, base, folder, report, progress=progress)
            if not whose:
                return
            run_id = uuid.uuid4() if run else None
            producer = Producer(store, queue, base, spool=None, run_id=run_id)
            publish_files.publish(
                producer,
                selection,
                whose,
                report,
                max_bytes=config.max_file_bytes,
                file_archiving_enabled=archive,
                shuffle=shuffle,
                progress=progress,
            )

    def _print(self, report: publish_files.Published, as_json: bool, every: bool) -> None:
        skipped = FirstFew(self.stderr.write, every=every)
        for path in report.skipped:
            skipped(f"{path} skipped: not a scraped file and not a person's YAML")
        skipped.rest(" skipped: -v 2 names each")
        for folder in report.busy:
            self.stderr.write(f"{folder} left alone: a running scrape, or another call, sends it")
        problems = FirstFew(self.stderr.write, every=every)
        for problem in report.problems:
            problems(problem)
        problems.rest(": -v 2 names each")
        types = ", ".join(f"{count} {name}" for name, count in sorted(report.types.items()))
        run = f" as run {report.run_id}" if report.run_id else ""
        total = sum(report.types.values())
        self.stdout.write(f"published {total} files{run}{': ' if types else ''}{types}")
        if as_json:
            self.stdout.write(dumps(report.as_dict()))
        elif total:
            why = "imports them, where no timer does"
            self.stdout.write(told("import_realtime --until-empty", why))
