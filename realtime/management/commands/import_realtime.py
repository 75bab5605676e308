"""`manage.py import_realtime`: one import run."""

import json
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.backends.stores import store_of
from realtime.consumer import run as import_run
from realtime.consumer.sources import GivenInbox, Inbox, QueueInbox, read_given
from realtime.consumer.sweep import Sweep, SweepInbox
from realtime.delivery.deliver import Delivery
from realtime.domain.config import BULK, CORE, Config
from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Store
from realtime.domain.jurisdictions import jurisdictions
from realtime.management.first_few import FirstFew
from realtime.management.limits import positive, statement_seconds, stopping
from realtime.management.next_command import after_import
from realtime.management.progress_line import Progress
from realtime.monitoring.report import Report

if TYPE_CHECKING:
    from realtime.backends.sqs import SqsQueue

# Minutes after which the message of a file that lies in the root is taken to be lost, and the most
# that can be asked for: ten years, so that the time is one that a calendar has.
LOST_AFTER, LONGEST_AGE = 15, 5_256_000


class Command(BaseCommand):
    help = (
        "Receive messages from the queue, import the files they name into core's database, and"
        " acknowledge them. Without SQS_QUEUE_URL take what lies in the store's root instead, the"
        " oldest first. Run it every few minutes, from cron, a timer or Lambda, or let it go on"
        " with --follow. Safe to start at any time: when all workers are busy it says so and exits"
        " 0. With --from it imports a folder, JSON lines or an archive instead. Exit status: 0 when"
        " the run did its work, even if files failed; 1 with one line on standard error when a"
        " setting is wrong, or the database or AWS cannot be reached."
    )
    requires_system_checks: list[str] = []
    # Passed by callers in Python, such as the Lambda handler.
    stealth_options = ("stdin",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-messages",
            type=positive,
            metavar="N",
            help="receive at most N messages, or take N files, at once (default:"
            " REALTIME_MAX_MESSAGES, else 300)",
        )
        parser.add_argument(
            "--time-limit",
            type=positive,
            metavar="SECONDS",
            help="finish within this many seconds: commit what is done, cancel the statement that"
            " still runs, and release the other messages (default: no limit)",
        )
        parser.add_argument(
            "--until-empty",
            action="store_true",
            help="repeat, --max-messages at a time, until the queue is empty, or nothing new is in"
            " the root; do not wait for delayed messages",
        )
        parser.add_argument(
            "--follow",
            action="store_true",
            help="do not end: wait for messages, or files (with --from, for what is added to the"
            " source), and import each within seconds, until SIGTERM, SIGINT or --time-limit. A"
            " worker slot and a database connection are taken only while something is imported;"
            " when the database, the store or the queue goes away, it is tried again",
        )
        parser.add_argument(
            "--sweep",
            action="store_true",
            help="take files from the store's root though there is a queue: those whose message was"
            " lost. The ledger has no outcome for them",
        )
        parser.add_argument(
            "--older-than",
            type=_minutes,
            metavar="MINUTES",
            help="sweep only files that were uploaded so long ago (default:"
            f" {LOST_AFTER} beside a queue, else all)",
        )
        parser.add_argument(
            "--importer",
            choices=[BULK, CORE],
            default=BULK,
            help="which importers write the rows: bulk, the set-based ones (default), or core's"
            " own, which write the same rows with many times the statements, for comparison",
        )
        parser.add_argument(
            "--messages",
            metavar="-",
            choices=["-"],
            help="read messages from standard input instead of the queue: Lambda's SQS event, or"
            " one JSON object a line; no message is deleted from any queue",
        )
        parser.add_argument(
            "--from",
            dest="source",
            metavar="SOURCE",
            help="import this as it is, without queue and copy: a folder or file of scraped files"
            " or people's YAML, a .jsonl of core's own --realtime, a .tar.gz, .tgz or .zip of them,"
            " or a _manifest.json that names such; a path or a URL (s3://, gs://, file://)."
            " Says why each failed file fails (-v 2: with"
            " traceback). What is in already is not read again. The source is not changed",
        )
        parser.add_argument(
            "--directory",
            dest="directory",
            metavar="DIR",
            help="the same, of a folder; needs --jurisdiction",
        )
        parser.add_argument(
            "--jurisdiction",
            metavar="ABBR",
            help="jurisdiction of the files in --from or --directory, such as wy, where the source"
            " does not say, by a folder of that name",
        )
        parser.add_argument(
            "--run",
            action="store_true",
            help="with --from: it is one finished scrape, of one jurisdiction. Finalize it: delete"
            " or mark what it does not hold any more, unless one of its files has failed",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="print the report as one JSON object on the last line",
        )

    def handle(self, **options: Any) -> str | None:
        config: Config = settings.REALTIME
        limit = options["time_limit"]
        seconds = statement_seconds(config.statement_timeout, limit)
        config = replace(config, statement_timeout=seconds)
        # An empty one is no source, and not the queue.
        from_source = options["source"] is not None or options["directory"] is not None
        do = self._import_source if from_source else self._import_messages
        try:
            config.require_database()
            with stopping(limit, signals=True) as must_stop:
                # A run that has work until its time is up tells of it all the same.
                delivery = Delivery(config, must_stop.afterwards)
                delivery.register()
                report = do(config, options, must_stop, delivery)
                delivery.end()
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        self._print(report, options)
        return None

    def _import_messages(
        self,
        config: Config,
        options: Mapping[str, Any],
        must_stop: Callable[[], bool],
        delivery: Delivery,
    ) -> Report:
        if options["jurisdiction"]:
            raise CommandError(
                "--jurisdiction goes with --directory or --from: messages name their own"
            )
        if options["run"]:
            raise CommandError("--run goes with --from: messages name their own")
        if options["older_than"] and config.queue_url and not options["sweep"]:
            raise CommandError("--older-than goes with --sweep")
        store = store_of(config.bucket)
        limits = import_run.Limits(
            max_messages=options["max_messages"] or config.max_messages,
            until_empty=options["until_empty"],
            must_stop=must_stop,
        )
        if options["follow"]:
            return self._follow(config, options, store, limits, delivery)
        inbox = self._inbox(config, options, store)
        with Progress(self.stderr) as progress:
            report = import_run.run(
                config, inbox, store, limits, options["importer"], progress=progress.counts
            )
        if isinstance(inbox, GivenInbox):
            report.released_messages = inbox.released
        delivery.now()
        return report

    def _follow(
        self,
        config: Config,
        options: Mapping[str, Any],
        store: Store,
        limits: import_run.Limits,
        delivery: Delivery,
    ) -> Report:
        from realtime.consumer.follow import (
            LISTED_EVERY,
            REQUESTED_EVERY,
            Arrivals,
            QueueArrivals,
            RootArrivals,
            follow,
        )

        if options["messages"] or options["until_empty"]:
            raise CommandError("--follow takes what comes: omit --messages and --until-empty")
        if not config.queue_url:
            on_disk = config.bucket.scheme == "file"
            seconds = LISTED_EVERY if on_disk else REQUESTED_EVERY
            arrivals: Arrivals = RootArrivals(self._sweep(config, options, store), seconds)
        elif options["sweep"]:
            raise CommandError("--follow takes what the queue tells: run --sweep beside it, hourly")
        else:
            arrivals = QueueArrivals(_queue(config), config.visibility_timeout)
        tell = delivery.in_background
        return follow(config, arrivals, store, limits, options["importer"], tell)

    def _sweep(self, config: Config, options: Mapping[str, Any], store: Store) -> Sweep:
        minutes = options["older_than"] or (LOST_AFTER if config.queue_url else 0)
        return Sweep(store, config, timedelta(minutes=minutes))

    def _import_source(
        self,
        config: Config,
        options: Mapping[str, Any],
        must_stop: Callable[[], bool],
        delivery: Delivery,
    ) -> Report:
        # Imported here to keep runs from the queue fast to start.
        from realtime.consumer import from_source
        from realtime.consumer.follow_source import follow_source
        from realtime.sources.open_source import open_source

        text, option = options["source"], "--from"
        if options["directory"] is not None:
            if text is not None:
                raise CommandError("--directory and --from are one: omit --directory")
            text, option = options["directory"], "--directory"
            if not options["jurisdiction"]:
                raise CommandError("--directory needs --jurisdiction")
        unfit = ("messages", "max_messages", "until_empty", "sweep", "older_than")
        if any(options[name] for name in unfit):
            raise CommandError(
                f"{option} takes no messages: omit --messages, --max-messages, --until-empty,"
                " --sweep and --older-than"
            )
        if options["follow"] and options["run"]:
            raise CommandError(
                "--run makes one finished scrape of what is there: omit it with --follow"
            )
        abbr = options["jurisdiction"] or ""
        if abbr:
            jurisdictions([abbr])

        failures = FirstFew(self.stdout.write, every=options["verbosity"] > 1)

        def tell(failure: from_source.Failure) -> None:
            if options["directory"]:
                # Without its subfolder, as always.
                failure = replace(failure, name=failure.name.rpartition("/")[2])
            progress.erase()
            is_told = failures(str(failure), failure.problem.reason)
            if is_told and failure.traceback and options["traceback"] | (options["verbosity"] > 1):
                self.stdout.write(failure.traceback)

        def say(text: str) -> None:
            progress.erase()
            (self.stderr if options["json"] else self.stdout).write(text)

        with Progress(self.stderr) as progress:
            watcher = from_source.Watcher(tell, say, progress)
            source, importer = open_source(text, abbr), options["importer"]
            if options["follow"]:
                tell_of = delivery.in_background
                return follow_source(config, source, must_stop, watcher, importer, tell_of)
            report = from_source.run(
                config, source, must_stop, watcher, importer, as_run=options["run"]
            )
        failures.rest(": -v 2 names each")
        delivery.now()
        return report

    def _inbox(self, config: Config, options: Mapping[str, Any], store: Store) -> Inbox:
        if options["messages"]:
            if options["sweep"]:
                raise CommandError("--messages names what to import: omit --sweep")
            return read_given((options.get("stdin") or sys.stdin).read())
        if options["sweep"] or not config.queue_url:
            return SweepInbox(self._sweep(config, options, store))
        return QueueInbox(_queue(config), config.visibility_timeout)

    def _print(self, report: Report, options: Mapping[str, Any]) -> None:
        if options["json"]:
            if report.note:
                self.stderr.write(report.note)
            self.stdout.write(json.dumps(report.as_dict()))
            return
        self.stdout.write(report.summary())
        records_none = bool(options["source"] or options["directory"]) and not options["run"]
        for line in after_import(report, of_source=records_none):
            self.stdout.write(line)


def _minutes(text: str) -> int:
    minutes = positive(text)
    if minutes > LONGEST_AGE:
        raise ArgumentTypeError(f"{text} minutes are more than {LONGEST_AGE}")
    return minutes


def _queue(config: Config) -> "SqsQueue":
    # Loaded only where there is one.
    from realtime.backends.sqs import SqsQueue

    return SqsQueue(config.queue_url)
