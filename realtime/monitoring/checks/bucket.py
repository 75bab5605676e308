"""Checks of the bucket: it exists, and does not notify for our own copies."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from realtime.backends import clients
from realtime.domain.config import INLINE, Config
from realtime.domain.errors import ConfigurationError
from realtime.monitoring.checks.findings import Finding, ask

SETTING = "S3_REALTIME_BASE"
# The event types that include copies by S3, and those that an import run writes itself.
_COPY = ("s3:ObjectCreated:*", "s3:ObjectCreated:Copy")
_PUT = "s3:ObjectCreated:Put"
# The kinds of notification targets; with the last, every copy would start a function.
_TARGETS = ("QueueConfigurations", "TopicConfigurations", "LambdaFunctionConfigurations")
_COPY_FOLDERS = ("archived/", "failed/")


def check_bucket(**arguments: Any) -> list[CheckMessage]:
    """Check that the bucket exists and sends no notification for what we write to archived/ or
    failed/."""
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
    return list(_notified_copies(config, notifications))


def _notified_copies(config: Config, notifications: Mapping[str, Any]) -> Iterator[CheckMessage]:
    copies = (*_COPY, _PUT) if config.archive == INLINE else _COPY
    for configuration in (one for target in _TARGETS for one in notifications.get(target, [])):
        rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        prefix = next((r["Value"] for r in rules if r["Name"].lower() == "prefix"), "")
        if not any(event in copies for event in configuration["Events"]):
            continue
        # The rule's prefix may contain our folder, or lie inside it.
        folders = [f"{config.bucket.prefix}{name}" for name in _COPY_FOLDERS]
        notified = [f for f in folders if f.startswith(prefix) or prefix.startswith(f)]
        if notified:
            yield Warning(
                f"{SETTING}: the bucket sends notifications for our own copies to"
                f" {' and '.join(notified)}",
                hint="Imports ignore them, but each costs a message. Notify only for"
                " s3:ObjectCreated:Put and s3:ObjectCreated:CompleteMultipartUpload, and set"
                " REALTIME_ARCHIVE=later.",
                id="realtime.W005",
            )
