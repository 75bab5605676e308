"""Clients of AWS, or of anything that speaks its protocols; the `AWS_` variables are boto3's.

Made by botocore alone: what boto3 adds takes a quarter as long again to load.
"""

from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from realtime.errors import ConfigurationError


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
    return botocore.session.get_session()
