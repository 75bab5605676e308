"""`manage.py changes_realtime`: prints what imports changed in core's tables."""

import json
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from realtime.backends.postgres.listening import Listener
from realtime.backends.postgres.locks import connect_as
from realtime.consumer.context import database_needed
from realtime.domain.bill_identifiers import as_stored
from realtime.domain.changes import ChangeFilter
from realtime.domain.config import READER_NAME
from realtime.domain.errors import Unavailable
from realtime.domain.jurisdictions import jurisdictions
from realtime.ledger import changes
from realtime.ledger.changes import START, Cursor
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import stopping
from realtime.management.points_in_time import parse_place
from realtime.monitoring.change_events import cloud_event, line

# Seconds between two looks of --follow, when no notice comes: a notice tells of a commit, but the
# change is to be read only once older transactions have ended. And between two tries to connect.
_POLL, _RECONNECT = 1.0, 5.0


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
            help="only changes after this one, or since a time: 2026-01-31T08:00Z, or 24h ago"
            " (default: all that are kept; with --bill and --follow only new ones)",
        )
        parser.add_argument(
            "--jurisdiction",
            default="",
            metavar="ABBR",
            help="only changes of this jurisdiction, such as wy, or usa for Congress",
        )
        parser.add_argument(
            "--bill",
            default="",
            metavar="IDENTIFIER",
            help='only changes of the bills with this identifier, such as "HB 12", and of their'
            " vote events; needs --jurisdiction",
        )
        parser.add_argument(
            "--follow", action="store_true", help="wait for more changes until interrupted"
        )
        parser.add_argument(
            "--json", action="store_true", help="print a CloudEvent (1.0, JSON) a line"
        )

    def handle(
        self, *, since: str, jurisdiction: str, bill: str, follow: bool, **options: Any
    ) -> None:
        if bill and not jurisdiction:
            raise CommandError("--bill needs --jurisdiction: others have a bill of that name, too")
        with self.database(), stopping(None, signals=follow) as must_stop:
            connect_as(READER_NAME)
            wanted = ChangeFilter(
                tuple(jurisdictions([jurisdiction]).values()) if jurisdiction else (),
                bill=as_stored(bill) if bill else "",
            )
            beginning = changes.end() if bill and follow else START
            after = parse_place("--since", since) if since else beginning
            if Cursor.is_one(since) and after != START and not changes.has_all_after(after):
                self.stderr.write(
                    f"{after} is older than all changes that are kept: some that came after it may"
                    " have been deleted (REALTIME_CHANGES_DAYS)"
                )
            printed = _Printed(wanted, after, self._print_json if options["json"] else self._print)
            if not follow:
                printed.go_on(must_stop)
                return
            self._follow(printed, must_stop)

    def _follow(self, printed: "_Printed", must_stop: Callable[[], bool]) -> None:
        """Print what comes. When the database goes away, connect again, and go on."""
        listener: Listener | None = None
        while not must_stop():
            try:
                with database_needed():
                    if listener is None:
                        connect_as(READER_NAME)
                        listener = Listener(changes.CHANNEL)
                        if listener.deaf:
                            self.stderr.write(f"{listener.deaf}: looking every {_POLL:g} s")
                    printed.go_on(must_stop)
                    self.stdout.flush()
                    listener.wait(_POLL)
            except Unavailable as exc:
                if must_stop():
                    return
                self.stderr.write(f"{exc}; trying again")
                connection.close()
                listener = None
                time.sleep(_RECONNECT)

    def _print(self, change: changes.Logged) -> None:
        self.stdout.write(line(change))

    def _print_json(self, change: changes.Logged) -> None:
        self.stdout.write(json.dumps(cloud_event(change)))


class _Printed:
    """Where the reader is."""

    def __init__(
        self, wanted: ChangeFilter, after: Cursor, show: Callable[[changes.Logged], None]
    ) -> None:
        self._wanted = wanted
        self._after = after
        self._show = show

    def go_on(self, must_stop: Callable[[], bool]) -> None:
        """Print what can be read by now."""
        end = changes.end(self._after)
        for change in changes.read(self._after, self._wanted, end):
            self._show(change)
            self._after = change.cursor
            if must_stop():
                return
        # Past what is not wanted, too: it is not looked at again.
        self._after = max(self._after, end)
