"""`manage.py retry_realtime`: sends failed files again."""

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.domain.jurisdictions import jurisdictions
from realtime.files import redrive
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand

_NAMES = (redrive.RETRIED, redrive.LATER, redrive.GONE, redrive.REFUSED)


class Command(LedgerCommand):
    help = (
        "Send failed files again, once the cause of their failure is fixed: put them back to their"
        " keys and send their messages. They keep their place in the scrape order, so that an old"
        " file does not replace a newer one. Without options all failed files are sent. Safe to"
        " kill and to repeat." + EXIT_STATUS + " What was done until then is printed all the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_jurisdiction(parser)
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="KEY",
            help="only this file: its full key, before or after the move to failed/, or its file"
            " name (repeatable)",
        )
        self.add_json(parser)

    def handle(self, **options: Any) -> None:
        counts: Counter[str] = Counter()
        try:
            with self.database() as config:
                redrive.retry(
                    S3Store(config.bucket.name),
                    SqsQueue(config.require_queue()),
                    config,
                    jurisdictions(options["jurisdiction"]),
                    options["key"],
                    self.stderr.write,
                    counts,
                )
        except CommandError:
            if counts:
                self._print(counts, options["json"])
            raise
        self._print(counts, options["json"])

    def _print(self, counts: Counter[str], as_json: bool) -> None:
        figures = {name: counts[name] for name in _NAMES}
        self.print_counts(figures, as_json, nothing="no failed files")
