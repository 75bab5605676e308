"""The base of commands that use the ledger and AWS but take no worker slot."""

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
from realtime.management.next_command import told

# For the end of a command's help.
EXIT_STATUS = (
    " Exit status: 0; 1 with one line on standard error when a setting is wrong, or the database or"
    " AWS cannot be reached."
)


class LedgerCommand(BaseCommand):
    """A command that reports every expected error as one line and closes its connection."""

    requires_system_checks: list[str] = []

    def add_json(self, parser: CommandParser, what: str = "counts") -> None:
        parser.add_argument(
            "--json",
            action="store_true",
            help=f"print the {what} as one JSON object on the last line",
        )

    def add_jurisdiction(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--jurisdiction",
            action="append",
            default=[],
            metavar="ABBR",
            help="only files of this jurisdiction, such as wy, or usa for Congress (repeatable)",
        )

    def add_time_limit(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--time-limit",
            type=positive,
            metavar="SECONDS",
            help="stop after about this many seconds; the next call continues (default: no limit)",
        )

    @contextmanager
    def database(self) -> Iterator[Config]:
        """Yield the settings for a block that uses the database; close its connection afterwards.

        Raises CommandError when a setting is wrong, or the database or AWS cannot be reached.
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

    def next(self, command: str, why: str) -> None:
        """Tell which command to try next."""
        self.stdout.write(told(command, why))

    def print_counts(
        self,
        counts: Mapping[str, Any],
        as_json: bool,
        nothing: str,
        before: str = "",
        **only_json: Any,
    ) -> None:
        """Print the counts that are not zero after `before`; `nothing` when all are zero. JSON has
        all counts, and `only_json` beside them."""
        if as_json:
            self.stdout.write(json.dumps({**counts, **only_json}))
        else:
            text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            self.stdout.write(f"{before}{text}" if text else nothing)
