"""`manage.py prune_realtime`: deletes old rows of the ledger."""

from typing import Any

from django.core.management.base import CommandParser

from realtime.ledger import retention
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import deadline, positive

_NAMES = ("files", "runs", "messages", "flags", "changes", "import_runs")


class Command(LedgerCommand):
    help = (
        "Delete old rows of the ledger, to keep it small: scrape runs finalized or closed more than"
        " --days ago, once a newer run is final, with their files; and files of no run imported"
        " that long ago; flags that were resolved that long ago; changes in the log older than"
        " REALTIME_CHANGES_DAYS; and import runs older than REALTIME_IMPORT_RUNS_DAYS. Core's"
        " tables are not touched. Also notes the titles of bills that something else than imports"
        " has written, so that the page finds them. Run it daily. Safe to kill and to repeat."
        + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=positive,
            metavar="N",
            help="keep rows younger than this many days (default: REALTIME_LEDGER_DAYS, by which"
            " the page prunes, too). Use at least the queue's retention period: a message that"
            " comes again after its row was deleted is imported again, and failed files can no"
            " longer be retried",
        )
        self.add_time_limit(parser)
        self.add_json(parser)

    def handle(self, **options: Any) -> None:
        with self.database() as config:
            done = retention.prune_all(config, options["days"], deadline(options["time_limit"]))
        figures = {name: done.counts.get(name, 0) for name in _NAMES}
        self.print_counts(
            figures,
            options["json"],
            "nothing to delete",
            before="deleted: ",
            not_told=done.not_told,
        )
        if not options["json"]:
            for name, events in done.not_told.items():
                self.stdout.write(f"receiver {name} was never told of {events} of these changes")
