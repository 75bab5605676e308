"""Clients of AWS, or of anything that speaks its protocols; the `AWS_` variables are boto3's.

Made by botocore alone: what boto3 adds takes a quarter as long again to load.
"""

from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import parse_timestamp

from realtime.domain.errors import ConfigurationError

# What access logs and CloudTrail know our requests by.
USER_AGENT = "openstates-realtime"


def client(
    service: str, threads: int, attempts: int = 4, connecting: float = 5, silence: float = 30
) -> Any:
    """A client for use from `threads` threads at once.

    A request that fails in passing is tried `attempts` times; each time, one that finds nobody is
    given up after `connecting` seconds, and one that stays silent after `silence` seconds. Raises
    ConfigurationError when a setting is missing.
    """
    try:
        return _session().create_client(
            service,
            config=Config(
                max_pool_connections=threads + 2,
                # Of fixed text: botocore's own is made anew for each request, a tenth of its time.
                user_agent=USER_AGENT,
                connect_timeout=connecting,
                read_timeout=silence,
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )
    except (BotoCoreError, ValueError) as exc:
        raise ConfigurationError(f"AWS is not set up for {service}: {exc}") from exc


@cache
def _session() -> botocore.session.Session:
    # One, so that credentials are asked for once.
    session = botocore.session.get_session()
    parsers = session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=timestamp)
    return session


def timestamp(value: Any) -> datetime:
    """The time that botocore reads in what a service sends, aware; ValueError if it is none."""
    # As HTTP's headers have it. botocore guesses the format, which takes ten times as long.
    if isinstance(value, str) and value.endswith(" GMT"):
        with suppress(ValueError):
            return parsedate_to_datetime(value)
    return parse_timestamp(value)
