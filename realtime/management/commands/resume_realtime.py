"""`manage.py resume_realtime`: imports a paused jurisdiction's files again."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.ledger import pauses
from realtime.management.acting import ALL, add_whose, operator, whose
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand


class Command(LedgerCommand):
    help = (
        "Resume paused jurisdictions: the next import runs import the files that were parked"
        " meanwhile. When the breaker paused one, mend the cause first, or it will trip again;"
        " --force says that what tripped it is meant." + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_whose(parser, "--all ends every pause")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, for others to read")
        parser.add_argument(
            "--force",
            action="store_true",
            help="let the breaker pass the files that were parked: they fail or shrink on purpose",
        )

    def handle(self, *, reason: str, force: bool, **options: Any) -> None:
        with self.database():
            for abbr, jurisdiction_id in whose(options).items():
                parked = pauses.resume(jurisdiction_id, operator(), reason, force=force)
                still = pauses.open_pause(jurisdiction_id)
                if parked is None and still:
                    raise CommandError(f"{abbr} is paused with all others: resume --all")
                told = "was not paused" if parked is None else f"is resumed: {parked} files parked"
                if still:
                    told += f"; all jurisdictions are still paused, see --{ALL}"
                self.stdout.write(f"{abbr} {told}")
                if parked and not still:
                    self.next("import_realtime --until-empty", "imports them, where no timer does")
