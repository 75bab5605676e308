"""`manage.py archive_realtime`: moves finished files to archived/ and failed/."""

import sys
from collections import Counter
from typing import Any

from django.core.management.base import CommandParser

from realtime.backends.request_counts import counted_into
from realtime.backends.s3 import S3Store
from realtime.domain.jurisdictions import jurisdictions
from realtime.files import archive
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import deadline

_NAMES = (archive.ARCHIVED, archive.FAILED, archive.DELETED, archive.GONE, archive.LATER)


class Command(LedgerCommand):
    help = (
        "Move imported files to archived/YYYY-MM-DD/ and failed files to failed/. Run it every few"
        " minutes, from cron or a timer. An original is deleted only after its copy is verified."
        " Safe to kill and to repeat." + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_jurisdiction(parser)
        self.add_time_limit(parser)
        self.add_json(parser)

    def handle(self, **options: Any) -> None:
        requests: Counter[str] = Counter()
        with self.database() as config, counted_into(requests):
            ids = list(jurisdictions(options["jurisdiction"]).values())
            store = S3Store(config.bucket.name)
            must_stop = deadline(options["time_limit"])
            counts = archive.archive(store, config, ids, must_stop, self._progress)
        figures = {name: counts[name] for name in _NAMES}
        self.print_counts(figures, options["json"], nothing="nothing to move", requests=requests)

    def _progress(self, counts: Counter[str]) -> None:
        if sys.stderr.isatty():
            self.stderr.write(f"{sum(counts.values())} files processed", ending="\r")
