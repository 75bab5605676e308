"""`manage.py receivers_realtime`: who is told of changes, how far, and what went wrong."""

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.delivery.deliver import Delivery
from realtime.ledger import receivers
from realtime.management.acting import operator
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import stopping
from realtime.management.points_in_time import parse_place
from realtime.monitoring.status.told import as_dict, as_line

_HOUR = 3_600


class Command(LedgerCommand):
    help = (
        "List the receivers of REALTIME_CHANGES_URL: how far each has been told of changes, how far"
        " behind it is, and its last error. Import runs deliver as they end; --deliver does it now."
        + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        act = parser.add_mutually_exclusive_group()
        act.add_argument(
            "--deliver", action="store_true", help="first deliver what waits, for an hour at most"
        )
        act.add_argument("--pause", metavar="NAME", help="deliver nothing more to this receiver")
        act.add_argument(
            "--resume",
            metavar="NAME",
            help="deliver to this receiver again, at once and from where it is",
        )
        act.add_argument(
            "--replay",
            metavar="NAME",
            help="deliver everything since --since to this receiver, again or for the first time",
        )
        act.add_argument(
            "--forget", metavar="NAME", help="forget a receiver that no setting names any more"
        )
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, with --pause")
        parser.add_argument(
            "--since",
            default="",
            metavar="CURSOR",
            help="with --replay: a cursor, or a time: 2026-01-31T08:00Z, or 24h ago",
        )
        self.add_time_limit(parser)
        self.add_json(parser, "receivers")

    def handle(self, *, replay: str | None, since: str, **options: Any) -> None:
        if bool(replay) != bool(since):
            raise CommandError("--replay and --since belong together")
        if options["reason"] and not options["pause"]:
            raise CommandError("--reason goes with --pause")
        with self.database() as config:
            if options["deliver"]:
                with stopping(options["time_limit"], signals=True) as must_stop:
                    Delivery(config, must_stop).now(_HOUR)
            acts: tuple[tuple[str | None, str, Callable[[str], bool]], ...] = (
                (
                    options["pause"],
                    "it is paused already",
                    lambda name: receivers.pause(name, operator(), options["reason"]),
                ),
                (options["resume"], "it is neither paused nor failing", receivers.resume),
                (
                    replay,
                    "",
                    lambda name: receivers.replay(name, parse_place("--since", since)),
                ),
                (options["forget"], "", receivers.forget),
            )
            for name, otherwise, act in acts:
                if name and not act(name):
                    raise CommandError(_why_not(name, otherwise))
            self._print(options["json"])

    def _print(self, as_json: bool) -> None:
        found = receivers.progress()
        if as_json:
            self.stdout.write(json.dumps({"list": [as_dict(one) for one in found]}))
            return
        for one in found:
            self.stdout.write(as_line(one))
        if not found:
            self.stdout.write("no receivers: REALTIME_CHANGES_URL names one")


def _why_not(name: str, otherwise: str) -> str:
    known = [one.row.name for one in receivers.progress()]
    if name in known and otherwise:
        return f"{name}: {otherwise}"
    return f"no receiver is called {name!r}; known are: {', '.join(known) or 'none'}"
