"""Shows what an operator needs to see."""

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
from realtime.management.abbreviations import jurisdictions
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
        "Show how long files take from scraped to visible, what waits and why: the queue, the"
        " workers, scrape runs, parked and failed files. Reads only, takes no worker, and works"
        " with the database alone when AWS cannot be reached."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--jurisdiction",
            metavar="ABBR",
            help="only this jurisdiction (usa for Congress); queue and workers are always of all",
        )
        parser.add_argument(
            "--hours",
            type=positive,
            default=24,
            metavar="N",
            help="lag, and the runs that are over, of the last N hours (default: 24)",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=positive,
            const=_EVERY,
            metavar="SECONDS",
            help=f"show it again every SECONDS (default: {_EVERY}) until interrupted, through"
            " outages of the database and of AWS",
        )
        parser.add_argument(
            "--max-age",
            type=positive,
            metavar="MINUTES",
            help="for a monitor: exit with status 1 when something has waited for longer, a"
            " message in the queue or a scrape run that has ended; docs/operations.md says exactly",
        )
        parser.add_argument(
            "--json", action="store_true", help="print the status as one JSON object, last"
        )

    def handle(self, **options: Any) -> None:
        config: Config = settings.REALTIME
        if options["watch"] and options["max_age"]:
            raise CommandError("--max-age answers once: leave --watch away")
        try:
            config.require_database()
            named = [options["jurisdiction"]] if options["jurisdiction"] else []
            look = _Looking(
                config,
                next(iter(jurisdictions(named).values()), ""),
                timedelta(hours=options["hours"]),
            )
            if options["watch"]:
                with suppress(KeyboardInterrupt):
                    self._watch(look, options["watch"], options["json"])
                return
            found = look()
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt as exc:
            raise CommandError("interrupted", returncode=130) from exc
        finally:
            if config.has_database:
                connection.close()
        late = None
        if options["max_age"]:
            late = behind(found, timedelta(minutes=options["max_age"]), bool(config.queue_url))
        if options["json"]:
            self.stdout.write(json.dumps(as_dict(found, late)))
        else:
            self._live().show(found)
        if late:
            raise CommandError(f"behind by more than {options['max_age']} min: {'; '.join(late)}")

    def _watch(self, look: "_Looking", seconds: int, as_json: bool) -> None:
        if as_json:
            while True:
                try:
                    self.stdout.write(json.dumps(as_dict(look())))
                    self.stdout.flush()
                except Unavailable as exc:
                    self.stderr.write(str(exc))
                time.sleep(seconds)
        with self._live() as live:
            last: Status | None = None
            while True:
                try:
                    last = look()
                    live.show(last)
                except Unavailable as exc:
                    live.show(last, problem=str(exc))
                time.sleep(seconds)

    def _live(self) -> "Live":
        # The other ways to look need none of it.
        from realtime.monitoring.status.screen import Live

        # Rich ends its lines itself.
        self.stdout.ending = ""
        return Live(cast(TextIO, self.stdout))


class _Looking:
    """Asks AWS, then the database. Raises Unavailable when the latter cannot be reached."""

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
