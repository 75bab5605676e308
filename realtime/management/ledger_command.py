"""What the commands share that work with the ledger and AWS, and need no worker slot."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from realtime.consumer.context import database_needed
from realtime.domain.config import Config
from realtime.domain.errors import RealtimeError
from realtime.management.limits import positive


class LedgerCommand(BaseCommand):
    """A command whose every error is one line, and which leaves no connection behind."""

    requires_system_checks: list[str] = []

    def add_json(self, parser: CommandParser, what: str = "counts") -> None:
        parser.add_argument("--json", action="store_true", help=f"print the {what} as JSON, last")

    def add_jurisdiction(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--jurisdiction",
            action="append",
            default=[],
            metavar="ABBR",
            help="only this jurisdiction's files (repeatable; usa for Congress)",
        )

    def add_time_limit(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--time-limit",
            type=positive,
            metavar="SECONDS",
            help="stop after about SECONDS; the next call goes on",
        )

    @contextmanager
    def database(self) -> Iterator[Config]:
        """The settings, for work with the database, whose connection is closed afterwards.

        Raises CommandError when they are wrong or the database or AWS cannot be reached.
        """
        config: Config = settings.REALTIME
        try:
            config.require_database()
            with database_needed():
                yield config
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        except (DatabaseError, InterfaceError) as exc:
            line = " ".join(str(exc).split())
            raise CommandError(f"the database refused: {line}") from exc
        finally:
            if config.has_database:
                connection.close()

    def print_counts(
        self, counts: Mapping[str, Any], as_json: bool, nothing: str, before: str = ""
    ) -> None:
        if as_json:
            self.stdout.write(json.dumps(counts))
        else:
            told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            self.stdout.write(f"{before}{told}" if told else nothing)
