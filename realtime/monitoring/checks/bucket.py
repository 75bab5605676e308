"""The bucket, and what it announces."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from realtime.backends import clients
from realtime.domain.config import Bucket, Config
from realtime.domain.errors import ConfigurationError
from realtime.monitoring.checks.findings import Finding, ask

SETTING = "S3_REALTIME_BASE"
# What S3 calls a copy among the events of an object that was created.
_COPY = ("s3:ObjectCreated:*", "s3:ObjectCreated:Copy")
# Where its notifications go; the last is a function, which every copy would start.
_TARGETS = ("QueueConfigurations", "TopicConfigurations", "LambdaFunctionConfigurations")
_OURS = ("archived/", "failed/")


def check_bucket(**arguments: Any) -> list[CheckMessage]:
    """Whether the bucket is there, and keeps what is archived to itself."""
    config: Config = settings.REALTIME
    try:
        bucket = config.bucket
        client = clients.client("s3", threads=1, attempts=2)
        what = f"bucket {bucket.name}"
        ask(SETTING, what, "s3:ListBucket", lambda: client.head_bucket(Bucket=bucket.name))
        notifications = ask(
            SETTING,
            f"the notifications of {what}",
            "s3:GetBucketNotification",
            lambda: client.get_bucket_notification_configuration(Bucket=bucket.name),
        )
    except ConfigurationError as exc:
        return [Error(str(exc), id="realtime.E001")]
    except Finding as finding:
        return [finding.message]
    return list(_announced_again(bucket, notifications))


def _announced_again(bucket: Bucket, notifications: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for configuration in (one for target in _TARGETS for one in notifications.get(target, [])):
        rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        prefix = next((r["Value"] for r in rules if r["Name"].lower() == "prefix"), "")
        if not any(event in _COPY for event in configuration["Events"]):
            continue
        # A prefix may cover a folder, or lie in it.
        folders = [f"{bucket.prefix}{name}" for name in _OURS]
        announced = [f for f in folders if f.startswith(prefix) or prefix.startswith(f)]
        if announced:
            yield Warning(
                f"{SETTING}: the bucket announces our own copies to {' and '.join(announced)}",
                hint="They are ignored, but each costs a message. Announce only"
                " s3:ObjectCreated:Put and s3:ObjectCreated:CompleteMultipartUpload.",
                id="realtime.W005",
            )
