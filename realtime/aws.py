"""Clients of AWS, or of anything that speaks its protocols; the `AWS_` variables are boto3's."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from realtime.errors import ConfigurationError


def client(service: str, threads: int, attempts: int = 4) -> Any:
    """A client for use from `threads` threads at once.

    A request that fails in passing is tried `attempts` times; one that stays silent is given up
    after 30 seconds each time. Raises ConfigurationError when boto3 lacks a setting.
    """
    try:
        return boto3.client(
            service,  # type: ignore[call-overload]
            config=Config(
                max_pool_connections=threads + 2,
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )
    except (BotoCoreError, ValueError) as exc:
        raise ConfigurationError(f"AWS is not set up for {service}: {exc}") from exc
