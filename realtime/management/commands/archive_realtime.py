"""Moves imported files out of the bucket's root."""

import json
import sys
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from realtime import archive
from realtime.config import Config
from realtime.errors import RealtimeError
from realtime.management.abbreviations import jurisdictions
from realtime.management.limits import deadline, positive
from realtime.s3 import S3Store

_NAMES = (archive.ARCHIVED, archive.FAILED, archive.DELETED, archive.GONE, archive.LATER)


class Command(BaseCommand):
    help = (
        "Move imported files to archived/, and those that can never be imported to failed/, so"
        " that they are not processed again. Can be killed and repeated at any time."
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
            "--time-limit",
            type=positive,
            metavar="SECONDS",
            help="stop after about SECONDS; the next call goes on",
        )
        parser.add_argument("--json", action="store_true", help="print the counts as JSON, last")

    def handle(self, **options: Any) -> None:
        config: Config = settings.REALTIME
        try:
            config.require_database()
            ids = list(jurisdictions(options["jurisdiction"]).values())
            store = S3Store(config.bucket.name)
            must_stop = deadline(options["time_limit"])
            counts = archive.archive(store, config, ids, must_stop, self._progress)
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        except (DatabaseError, InterfaceError) as exc:
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
            self.stdout.write(told or "nothing to move")

    def _progress(self, counts: Counter[str]) -> None:
        if sys.stderr.isatty():
            self.stderr.write(f"{sum(counts.values())} files looked at", ending="\r")
