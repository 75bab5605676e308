"""`manage.py status_realtime`: the state of imports, for people and monitors."""

import json
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from realtime.backends.postgres.locks import connect_as
from realtime.consumer.context import database_needed
from realtime.domain.config import ONLOOKER_NAME, Config
from realtime.domain.errors import RealtimeError, Unavailable
from realtime.domain.jurisdictions import jurisdictions
from realtime.management.limits import positive
from realtime.monitoring.status.as_json import as_dict
from realtime.monitoring.status.queue_depth import ask
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.monitoring.status.snapshot import Status, status
from realtime.monitoring.status.staleness import behind

if TYPE_CHECKING:
    from realtime.monitoring.status.screen import Live

_EVERY = 5


class Command(BaseCommand):
    help = (
        "Show the state of imports: the queue, the workers, lag from scraped to visible, scrape"
        " runs and what blocks them, parked, failed and unarchived files. Only reads, takes no"
        " worker slot, and shows the rest when AWS cannot be reached. Exit status: 0; 1 with one"
        " line on standard error when a setting is wrong, the database cannot be reached or, with"
        " --max-age, imports are behind; 130 when interrupted."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--jurisdiction",
            metavar="ABBR",
            help="only this jurisdiction, such as wy, or usa for Congress; queue and workers always"
            " cover all",
        )
        parser.add_argument(
            "--hours",
            type=positive,
            default=24,
            metavar="N",
            help="show lag, and final and closed runs, of the last N hours (default: 24)",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=positive,
            const=_EVERY,
            metavar="SECONDS",
            help=f"repeat every SECONDS (default: {_EVERY}) until interrupted, also while the"
            " database or AWS cannot be reached",
        )
        parser.add_argument(
            "--max-age",
            type=positive,
            metavar="MINUTES",
            help="for a monitor: exit with status 1 when a message in the queue, or an ended scrape"
            " run that is not final, has waited longer than this; docs/operations.md has details",
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object on the last line"
        )

    def handle(self, **options: Any) -> None:
        config: Config = settings.REALTIME
        if options["watch"] and options["max_age"]:
            raise CommandError("--max-age cannot be combined with --watch")
        try:
            config.require_database()
            named = [options["jurisdiction"]] if options["jurisdiction"] else []
            read_status = _StatusReader(
                config,
                next(iter(jurisdictions(named).values()), ""),
                timedelta(hours=options["hours"]),
            )
            if options["watch"]:
                with suppress(KeyboardInterrupt):
                    self._watch(read_status, options["watch"], options["json"])
                return
            found = read_status()
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt as exc:
            raise CommandError("interrupted", returncode=130) from exc
        finally:
            if config.has_database:
                connection.close()
        findings = None
        if options["max_age"]:
            findings = behind(found, timedelta(minutes=options["max_age"]), bool(config.queue_url))
        if options["json"]:
            self.stdout.write(json.dumps(as_dict(found, findings)))
        else:
            self._live().show(found)
        if findings:
            sentences = "; ".join(findings)
            raise CommandError(f"behind by more than {options['max_age']} min: {sentences}")

    def _watch(self, read_status: "_StatusReader", seconds: int, as_json: bool) -> None:
        if as_json:
            while True:
                try:
                    self.stdout.write(json.dumps(as_dict(read_status())))
                    self.stdout.flush()
                except Unavailable as exc:
                    self.stderr.write(str(exc))
                time.sleep(seconds)
        with self._live() as live:
            last: Status | None = None
            while True:
                try:
                    last = read_status()
                    live.show(last)
                except Unavailable as exc:
                    live.show(last, problem=str(exc))
                time.sleep(seconds)

    def _live(self) -> "Live":
        # Imported here: --json does not need Rich.
        from realtime.monitoring.status.screen import Live

        # Rich writes its own line ends.
        self.stdout.ending = ""
        return Live(cast(TextIO, self.stdout))


class _StatusReader:
    """Reads the status from AWS, then the database. Raises Unavailable for the database only."""

    def __init__(self, config: Config, jurisdiction_id: str, window: timedelta) -> None:
        self._config = config
        self._jurisdiction_id = jurisdiction_id
        self._window = window

    def __call__(self) -> Status:
        queue = ask(self._config.queue_url)
        try:
            if connection.connection is None or not connection.is_usable():
                connect_as(ONLOOKER_NAME)
        except DatabaseError as exc:
            line = " ".join(str(exc).split())
            raise Unavailable(f"the database cannot be reached: {line}") from exc
        with database_needed(), read_only_transaction():
            return status(queue, self._config.max_workers, self._jurisdiction_id, self._window)
