"""`manage.py pause_realtime`: parks the files of a jurisdiction instead of importing them."""

from typing import Any

from django.core.management.base import CommandParser

from realtime.ledger import pauses
from realtime.management.acting import add_whose, operator, option, whose
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand


class Command(LedgerCommand):
    help = (
        "Pause jurisdictions: from now on their files are parked instead of imported, and their"
        " scrape runs are not finalized. Nothing is lost: messages are acknowledged, parked files"
        " do not expire, and resume_realtime imports them. A batch that is under way is finished."
        + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_whose(parser, "--all pauses those that have never been seen, too")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, for others to read")

    def handle(self, *, reason: str, **options: Any) -> None:
        with self.database():
            for abbr, jurisdiction_id in whose(options).items():
                new = pauses.pause(jurisdiction_id, operator(), reason)
                self.stdout.write(f"{abbr} {'is' if new else 'was already'} paused")
                self.next(f"resume_realtime {option(abbr)}", "ends the pause")
