"""Keeps the ledger small."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.ledger import files as ledger_files
from realtime.ledger import retention
from realtime.management.ledger_command import LedgerCommand
from realtime.management.limits import deadline, positive


class Command(LedgerCommand):
    help = (
        "Delete the ledger's rows of scrape runs that have been final for --days, and of files of"
        " no run that were imported that long ago. Core's tables are not touched. Can be killed and"
        " repeated at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=positive,
            default=30,
            metavar="N",
            help="keep what is younger (default: 30); keep at least as long as the queue keeps its"
            " messages, since what is forgotten would be imported again",
        )
        self.add_time_limit(parser)
        self.add_json(parser)

    def handle(self, **options: Any) -> None:
        with self.database():
            try:
                before = ledger_files.database_now() - timedelta(days=options["days"])
            except OverflowError as exc:
                raise CommandError(f"--days {options['days']}: {exc}") from exc
            counts = retention.prune(before, deadline(options["time_limit"]))
        figures = {name: counts[name] for name in ("files", "runs", "messages")}
        self.print_counts(figures, options["json"], "nothing to forget", before="forgotten: ")
