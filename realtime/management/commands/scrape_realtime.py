"""`manage.py scrape_realtime`: core's scrape; each object is published as it is scraped."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.domain.errors import RealtimeError
from realtime.producer import scrape


class Command(BaseCommand):
    """Takes core's own arguments: `scrape_realtime MODULE [scraper [k=v …]] [options]`."""

    help = (
        "Run core's scrape with core's own arguments, and publish each object as it is scraped:"
        " MODULE [scraper [k=v ...]] [options]. Needs no database."
    )
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        # Bypass Django's parser: its own options clash with core's.
        sys.exit(scrape.main(argv[2:], f"{argv[0]} {argv[1]}"))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "arguments", nargs=argparse.REMAINDER, help="as `scrape_realtime --help` says"
        )

    def handle(self, *, arguments: list[str], **options: Any) -> None:
        try:
            scrape.scrape(arguments, "scrape_realtime")
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
