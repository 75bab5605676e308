"""`manage.py changes_realtime`: prints what imports changed in core's tables."""

import json
import time
from typing import Any

from django.core.management.base import CommandParser

from realtime.domain.jurisdictions import jurisdictions
from realtime.ledger.changes import Cursor, read
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.monitoring.change_events import cloud_event, line

# Seconds between two looks of --follow.
_POLL = 1.0


class Command(LedgerCommand):
    help = (
        "Print what imports and finalizations changed in core's tables, in an order that never"
        " changes: rows inserted, updated, deleted, marked and merged, runs finalized and closed."
        " Each change has a cursor; go on after it with --since and miss none. Changes are kept for"
        " REALTIME_CHANGES_DAYS days." + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            default="",
            metavar="CURSOR",
            help="only changes after this one (default: all that are kept)",
        )
        parser.add_argument(
            "--jurisdiction",
            default="",
            metavar="ABBR",
            help="only changes of this jurisdiction, such as wy, or usa for Congress",
        )
        parser.add_argument(
            "--follow", action="store_true", help="wait for more changes until interrupted"
        )
        parser.add_argument(
            "--json", action="store_true", help="print a CloudEvent (1.0, JSON) a line"
        )

    def handle(self, *, since: str, jurisdiction: str, follow: bool, **options: Any) -> None:
        with self.database():
            after = Cursor.parse(since) if since else Cursor()
            (jurisdiction_id,) = jurisdictions([jurisdiction]).values() if jurisdiction else ("",)
            while True:
                for change in read(after, jurisdiction_id):
                    after = change.cursor
                    text = json.dumps(cloud_event(change)) if options["json"] else line(change)
                    self.stdout.write(text)
                self.stdout.flush()
                if not follow:
                    return
                time.sleep(_POLL)
