"""Commands that act for a person: on whose behalf, and on which jurisdictions."""

import getpass
import socket
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from realtime.domain.jurisdictions import jurisdictions
from realtime.ledger import pauses

ALL = "all"


def operator() -> str:
    """Who calls: user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def add_whose(parser: CommandParser, about_all: str) -> None:
    """Require either jurisdictions or --all."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--jurisdiction",
        action="append",
        default=[],
        metavar="ABBR",
        help="this jurisdiction, such as wy, or usa for Congress (repeatable)",
    )
    which.add_argument(f"--{ALL}", action="store_true", help=f"every jurisdiction; {about_all}")


def option(name: str) -> str:
    """The option that means what `whose` calls so."""
    return f"--{ALL}" if name == ALL else f"--jurisdiction {name}"


def whose(options: Mapping[str, Any]) -> dict[str, str]:
    """The ids of the jurisdictions meant, by what to call them.

    Raises ConfigurationError for an abbreviation that core does not know.
    """
    return {ALL: pauses.ALL} if options[ALL] else jurisdictions(options["jurisdiction"])
