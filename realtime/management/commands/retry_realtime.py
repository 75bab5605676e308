"""Sends failed files again."""

from typing import Any

from django.core.management.base import CommandParser

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.files import redrive
from realtime.management.abbreviations import jurisdictions
from realtime.management.ledger_command import LedgerCommand

_NAMES = (redrive.RETRIED, redrive.LATER, redrive.GONE, redrive.REFUSED)


class Command(LedgerCommand):
    help = (
        "Put failed files back and send them again, once what failed them has been mended. They"
        " keep their place in the scrape order, so that an old file does not replace a newer one."
        " Can be killed and repeated at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_jurisdiction(parser)
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="KEY",
            help="only this file: its full key, before or after it was moved to failed/, or its"
            " name (repeatable)",
        )
        self.add_json(parser)

    def handle(self, **options: Any) -> None:
        with self.database() as config:
            counts = redrive.retry(
                S3Store(config.bucket.name),
                SqsQueue(config.require_queue()),
                config,
                jurisdictions(options["jurisdiction"]),
                options["key"],
                self.stderr.write,
            )
        figures = {name: counts[name] for name in _NAMES}
        self.print_counts(figures, options["json"], nothing="no failed files")
