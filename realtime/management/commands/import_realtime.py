"""`manage.py import_realtime`: one import run."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.consumer import run as import_run
from realtime.consumer.sources import GivenInbox, Inbox, QueueInbox, read_given
from realtime.domain.config import BULK, CORE, Config
from realtime.domain.errors import RealtimeError
from realtime.domain.jurisdictions import jurisdictions
from realtime.management.limits import positive, statement_seconds, stopping
from realtime.monitoring.report import Report


class Command(BaseCommand):
    help = (
        "Receive messages from the queue, import the files they name into core's database, and"
        " acknowledge them. Run it every few minutes, from cron, a timer or Lambda, or let it go on"
        " with --follow. Safe to start at any time: when all workers are busy it says so and exits"
        " 0. With --directory it"
        " imports a folder instead, to find out why files fail. Exit status: 0 when the run did its"
        " work, even if files failed; 1 with one line on standard error when a setting is wrong, or"
        " the database or AWS cannot be reached."
    )
    requires_system_checks: list[str] = []
    # Passed by callers in Python, such as the Lambda handler.
    stealth_options = ("stdin",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-messages",
            type=positive,
            metavar="N",
            help="receive at most N messages (default: REALTIME_MAX_MESSAGES, else 300)",
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
            help="repeat, --max-messages at a time, until the queue is empty; do not wait for"
            " delayed messages",
        )
        parser.add_argument(
            "--follow",
            action="store_true",
            help="do not end: wait for messages and import each within seconds, until SIGTERM,"
            " SIGINT or --time-limit. A worker slot and a database connection are taken only while"
            " something is imported; when the database, S3 or SQS goes away, it is tried again",
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
            "--directory",
            type=Path,
            metavar="DIR",
            help="import the scraped files or people's YAML in this folder, without queue and"
            " bucket, and say why each failed file fails (-v 2: with traceback). The folder is not"
            " changed. Needs --jurisdiction",
        )
        parser.add_argument(
            "--jurisdiction",
            metavar="ABBR",
            help="jurisdiction of the files in --directory, such as wy",
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
        do = self._import_directory if options["directory"] else self._import_messages
        try:
            config.require_database()
            with stopping(limit, signals=True) as must_stop:
                report = do(config, options, must_stop)
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        self._print(report, options["json"])
        return None

    def _import_messages(
        self, config: Config, options: Mapping[str, Any], must_stop: Callable[[], bool]
    ) -> Report:
        if options["jurisdiction"]:
            raise CommandError("--jurisdiction goes with --directory: messages name their own")
        store = S3Store(config.bucket.name)
        limits = import_run.Limits(
            max_messages=options["max_messages"] or config.max_messages,
            until_empty=options["until_empty"],
            must_stop=must_stop,
        )
        if options["follow"]:
            return self._follow(config, options, store, limits)
        inbox = self._inbox(config, options["messages"], options.get("stdin"))
        report = import_run.run(config, inbox, store, limits, options["importer"])
        if isinstance(inbox, GivenInbox):
            report.released_messages = inbox.released
        return report

    def _follow(
        self,
        config: Config,
        options: Mapping[str, Any],
        store: S3Store,
        limits: import_run.Limits,
    ) -> Report:
        from realtime.consumer.follow import follow

        if options["messages"] or options["until_empty"]:
            raise CommandError("--follow takes what comes: omit --messages and --until-empty")
        return follow(config, SqsQueue(config.require_queue()), store, limits, options["importer"])

    def _import_directory(
        self, config: Config, options: Mapping[str, Any], must_stop: Callable[[], bool]
    ) -> Report:
        # Imported here to keep runs from the queue fast to start.
        from realtime.consumer import directory

        if any(options[name] for name in ("messages", "max_messages", "until_empty", "follow")):
            raise CommandError(
                "--directory takes no messages: omit --messages, --max-messages, --until-empty and"
                " --follow"
            )
        if not options["jurisdiction"]:
            raise CommandError("--directory needs --jurisdiction")
        [(abbr, jurisdiction_id)] = jurisdictions([options["jurisdiction"]]).items()

        def tell(failure: directory.Failure) -> None:
            self.stdout.write(str(failure))
            if failure.traceback and (options["traceback"] or options["verbosity"] > 1):
                self.stdout.write(failure.traceback)

        return directory.run(
            config,
            options["directory"],
            abbr,
            jurisdiction_id,
            must_stop,
            tell,
            options["importer"],
        )

    def _inbox(self, config: Config, messages: str | None, stdin: Any) -> Inbox:
        if messages:
            return read_given((stdin or sys.stdin).read())
        return QueueInbox(SqsQueue(config.require_queue()), config.visibility_timeout)

    def _print(self, report: Report, as_json: bool) -> None:
        if as_json:
            if report.note:
                self.stderr.write(report.note)
            self.stdout.write(json.dumps(report.as_dict()))
        else:
            self.stdout.write(report.summary())
