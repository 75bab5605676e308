"""`manage.py prune_realtime`: deletes old rows of the ledger."""

from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.ledger import files as ledger_files
from realtime.ledger import retention
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import deadline, positive

_NAMES = ("files", "runs", "messages", "flags", "changes")


class Command(LedgerCommand):
    help = (
        "Delete old rows of the ledger, to keep it small: scrape runs finalized or closed more than"
        " --days ago, once a newer run is final, with their files; and files of no run imported"
        " that long ago; flags that were resolved that long ago; and changes in the log older than"
        " REALTIME_CHANGES_DAYS. Core's tables are not touched. Run it daily. Safe to kill and to"
        " repeat." + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=positive,
            default=30,
            metavar="N",
            help="keep rows younger than this many days (default: 30). Use at least the queue's"
            " retention period: a message that comes again after its row was deleted is imported"
            " again, and failed files can no longer be retried",
        )
        self.add_time_limit(parser)
        self.add_json(parser)

    def handle(self, **options: Any) -> None:
        with self.database() as config:
            now, must_stop = ledger_files.database_now(), deadline(options["time_limit"])
            before = _ago(now, options["days"], "--days")
            changes_before = _ago(now, config.changes_days, "REALTIME_CHANGES_DAYS")
            counts = retention.prune(before, must_stop)
            counts["changes"] = retention.prune_changes(changes_before, must_stop)
        figures = {name: counts[name] for name in _NAMES}
        self.print_counts(figures, options["json"], "nothing to delete", before="deleted: ")


def _ago(now: datetime, days: int, name: str) -> datetime:
    try:
        return now - timedelta(days=days)
    except OverflowError as exc:
        raise CommandError(f"{name} {days}: {exc}") from exc
