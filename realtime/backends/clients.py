"""Makes clients of AWS or of a compatible endpoint, configured by boto3's `AWS_` variables.

botocore alone makes them: loading boto3 on top takes another quarter of the time.
"""

from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.model import OperationModel
from botocore.utils import parse_timestamp

from realtime.backends import request_counts
from realtime.domain.errors import ConfigurationError

# Identifies our requests in access logs and CloudTrail.
USER_AGENT = "openstates-realtime"
_COUNTED = ("s3", "sqs")


def client(
    service: str,
    threads: int,
    attempts: int = 4,
    connect_timeout: float = 5,
    read_timeout: float = 30,
) -> Any:
    """A client that `threads` threads can use at once.

    A request that fails with a transient error is made up to `attempts` times. The timeouts are
    seconds and apply to each attempt. Requests to S3 and SQS are counted. Raises
    ConfigurationError when an AWS setting is missing.
    """
    try:
        made = _session().create_client(
            service,
            config=Config(
                max_pool_connections=threads + 2,
                # A fixed string: botocore builds its default anew for each request, which takes a
                # tenth of the request's CPU time.
                user_agent=USER_AGENT,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )
    except (BotoCoreError, ValueError) as exc:
        raise ConfigurationError(f"AWS is not set up for {service}: {exc}") from exc
    if not made.meta.region_name:
        raise ConfigurationError(
            f"AWS is not set up for {service}: AWS_DEFAULT_REGION is empty, write us-east-1 or the"
            " like"
        )
    if service in _COUNTED:
        made.meta.events.register("before-call", _count)
    return made


def _count(model: OperationModel, **event: Any) -> None:
    request_counts.count(model.name)


@cache
def _session() -> botocore.session.Session:
    # One session, so that credentials are fetched once.
    session = botocore.session.get_session()
    parsers = session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=timestamp)
    return session


def ca_bundle() -> str:
    """The file of certificates that AWS's must be signed with; empty for those of the system."""
    return _session().get_config_variable("ca_bundle") or ""


def region() -> str:
    """The region of AWS_DEFAULT_REGION or of the profile; empty without one."""
    return _session().get_config_variable("region") or ""


def timestamp(value: Any) -> datetime:
    """Parse a timestamp of a response into an aware time. Raises ValueError if it is none."""
    # The format of HTTP headers. botocore would try several formats, which takes ten times as long.
    if isinstance(value, str) and value.endswith(" GMT"):
        with suppress(ValueError):
            return parsedate_to_datetime(value)
    return parse_timestamp(value)
