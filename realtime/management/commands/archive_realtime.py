"""`manage.py archive_realtime`: moves finished files to archived/ and failed/."""

from collections import Counter
from itertools import count
from typing import Any

from django.core.management.base import CommandParser

from realtime.backends.request_counts import counted_into
from realtime.backends.stores import store_of
from realtime.consumer.context import logged_as_run
from realtime.consumer.record import Record
from realtime.domain.jurisdictions import jurisdictions
from realtime.files import archive
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import deadline
from realtime.management.progress_line import Progress
from realtime.models import Way
from realtime.monitoring.report import Report

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
        counts: Counter[str] = Counter()
        with (
            self.database() as config,
            counted_into(requests),
            Progress(self.stderr) as progress,
        ):
            files = count(1)
            ids = list(jurisdictions(options["jurisdiction"]).values())
            store = store_of(config.bucket)
            must_stop = deadline(options["time_limit"])
            with logged_as_run(), Record(config, Way.ARCHIVE).of(Report(), lambda: counts):
                counts += archive.archive(
                    store,
                    config,
                    ids,
                    must_stop,
                    lambda: progress.show(f"{next(files)} files looked at"),
                )
        figures = {name: counts[name] for name in _NAMES}
        self.print_counts(figures, options["json"], nothing="nothing to move", requests=requests)
        if counts[archive.LATER] and not options["json"]:
            self.next("archive_realtime", "moves what is left for later")
