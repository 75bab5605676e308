"""Keeps the ledger small."""

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from realtime import ledger, prune
from realtime.config import Config
from realtime.errors import RealtimeError
from realtime.management.limits import deadline, positive
from realtime.work import database_needed


class Command(BaseCommand):
    help = (
        "Delete the ledger's rows of scrape runs that have been final for --days, and of files of"
        " no run that were imported that long ago. Core's tables are not touched. Can be killed and"
        " repeated at any time."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=positive,
            default=30,
            metavar="N",
            help="keep what is younger (default: 30); keep at least as long as the queue keeps its"
            " messages, since what is forgotten would be imported again",
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
            with database_needed():
                before = ledger.database_now() - timedelta(days=options["days"])
                counts = prune.prune(before, deadline(options["time_limit"]))
        except (RealtimeError, OverflowError) as exc:
            raise CommandError(str(exc)) from exc
        finally:
            if config.has_database:
                connection.close()
        figures = {name: counts[name] for name in ("files", "runs", "messages")}
        if options["json"]:
            self.stdout.write(json.dumps(figures))
        else:
            told = ", ".join(f"{count} {name}" for name, count in figures.items())
            self.stdout.write(f"forgotten: {told}")
