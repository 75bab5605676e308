"""Sends failed files again."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from realtime import resend
from realtime.config import Config
from realtime.errors import RealtimeError
from realtime.management.abbreviations import jurisdictions
from realtime.s3 import S3Store
from realtime.sqs import SqsQueue

_NAMES = (resend.RETRIED, resend.LATER, resend.GONE, resend.REFUSED)


class Command(BaseCommand):
    help = (
        "Put failed files back and send them again, once what failed them has been mended. They"
        " keep their place in the scrape order, so that an old file does not replace a newer one."
        " Can be killed and repeated at any time."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--jurisdiction",
            action="append",
            default=[],
            metavar="ABBR",
            help="only this jurisdiction's files (repeatable; usa for Congress)",
        )
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="KEY",
            help="only this file: its full key, before or after it was moved to failed/, or its"
            " name (repeatable)",
        )
        parser.add_argument("--json", action="store_true", help="print the counts as JSON, last")

    def handle(self, **options: Any) -> None:
        config: Config = settings.REALTIME
        try:
            config.require_database()
            counts = resend.retry(
                S3Store(config.bucket.name),
                SqsQueue(config.require_queue()),
                config,
                jurisdictions(options["jurisdiction"]),
                options["key"],
                self.stderr.write,
            )
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        except DatabaseError as exc:
            line = " ".join(str(exc).split())
            raise CommandError(f"the database cannot be reached: {line}") from exc
        finally:
            if config.has_database:
                connection.close()
        figures = {name: counts[name] for name in _NAMES}
        if options["json"]:
            self.stdout.write(json.dumps(figures))
        else:
            told = ", ".join(f"{n} {name}" for name, n in figures.items() if n)
            self.stdout.write(told or "no failed files")
