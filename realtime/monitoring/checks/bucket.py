"""Checks of the store: it is there and can be used, and does not notify for our own copies."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from realtime.backends import clients
from realtime.domain.config import FILE, GS, INLINE, Config
from realtime.domain.errors import ConfigurationError, RealtimeError
from realtime.monitoring.checks.findings import Finding, ask

SETTING = "S3_REALTIME_BASE"
# The event types that include copies by S3, and those that an import run writes itself.
_COPY = ("s3:ObjectCreated:*", "s3:ObjectCreated:Copy")
_PUT = "s3:ObjectCreated:Put"
# The kinds of notification targets; with the last, every copy would start a function.
_TARGETS = ("QueueConfigurations", "TopicConfigurations", "LambdaFunctionConfigurations")
_COPY_FOLDERS = ("archived/", "failed/")


def check_bucket(**arguments: Any) -> list[CheckMessage]:
    """Check that the store is there: a bucket of S3, that it sends no notification for what we
    write to archived/ or failed/; one of Google, that we have the permissions; a folder, that it
    can be written, locked and renamed in."""
    config: Config = settings.REALTIME
    kinds = {FILE: _folder, GS: _google}
    try:
        return list(kinds.get(config.bucket.scheme, _s3)(config))
    except ConfigurationError as exc:
        return [Error(str(exc), id="realtime.E001")]
    except RealtimeError as exc:
        return [Error(f"{SETTING}: {exc}", id="realtime.E004")]
    except Finding as finding:
        return [finding.message]


def _folder(config: Config) -> Iterator[CheckMessage]:
    from realtime.backends.folder import FolderStore

    for problem in FolderStore(config.bucket.name).problems():
        yield Error(
            f"{SETTING}: {problem}",
            hint="Keep all of it on one disk, and let scrapers and imports write to all of it: as"
            " one user, or one group with `chmod g+ws` and UMask=0002.",
            id="realtime.E006",
        )


def _google(config: Config) -> Iterator[CheckMessage]:
    from realtime.backends.gs import GsStore

    bucket = config.bucket.name
    if lacking := GsStore(bucket, attempts=2).lacking():
        yield Error(
            f"{SETTING}: not allowed to {', '.join(lacking)} in {bucket}",
            hint="Give the service account roles/storage.objectUser on the bucket.",
            id="realtime.E006",
        )


def _s3(config: Config) -> Iterator[CheckMessage]:
    client = clients.client("s3", threads=1, attempts=2)
    bucket = config.bucket.name
    ask(SETTING, f"bucket {bucket}", "s3:ListBucket", lambda: client.head_bucket(Bucket=bucket))
    notifications = ask(
        SETTING,
        f"the notifications of bucket {bucket}",
        "s3:GetBucketNotification",
        lambda: client.get_bucket_notification_configuration(Bucket=bucket),
    )
    yield from _notified_copies(config, notifications)


def _notified_copies(config: Config, notifications: Mapping[str, Any]) -> Iterator[CheckMessage]:
    copies = (*_COPY, _PUT) if config.archive == INLINE else _COPY
    for configuration in (one for target in _TARGETS for one in notifications.get(target, [])):
        rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        prefix = next((r["Value"] for r in rules if r["Name"].lower() == "prefix"), "")
        if not any(event in copies for event in configuration["Events"]):
            continue
        # The rule's prefix may contain our folder, or lie inside it.
        folders = [f"{config.bucket.prefix}{name}" for name in _COPY_FOLDERS]
        if "TopicArn" in configuration and prefix.startswith(folders[-1]):
            # Somebody wants to be told of each failed file.
            continue
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
