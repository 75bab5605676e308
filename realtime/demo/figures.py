"""The demo's figures, from core's tables, the ledger, the store and the queue."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.db.models import Count

from realtime.backends.stores import store_of
from realtime.devstack import DevStack
from realtime.domain.config import Bucket, Config
from realtime.models import File, Outcome, ScrapeRun
from realtime.monitoring.report import percentile
from realtime.monitoring.status.unannounced import look, unannounced

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_FOLDERS = ("archived", "failed")
_WAITING: tuple["QueueAttributeNameType", ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
)


def visible() -> dict[str, int]:
    """The number of objects in core's tables, by type."""
    from openstates.data import models as core

    return {
        # The jurisdiction's row exists before the scrape; its sessions come from the scrape.
        "jurisdiction": core.LegislativeSession.objects.values("jurisdiction").distinct().count(),
        "person": core.Person.objects.count(),
        "bill": core.Bill.objects.count(),
        "vote_event": core.VoteEvent.objects.count(),
        "event": core.Event.objects.filter(deleted=False).count(),
    }


def parked() -> int:
    """The number of parked files."""
    return File.objects.filter(outcome=Outcome.DEFERRED).count()


def unfinished() -> int:
    """The number of parked files, and of scrape runs that are not finalized."""
    return parked() + ScrapeRun.objects.filter(finalized_at=None).count()


def left_in(config: Config) -> int:
    """The number of files in the store's root that have no outcome."""
    root = look(config, lambda: store_of(config.bucket))
    return unannounced(root, config).files or 0


def outcomes() -> dict[str, Counter[str]]:
    """The number of files in the ledger by type and outcome."""
    counts: dict[str, Counter[str]] = {}
    for row in File.objects.values("object_type", "outcome").annotate(files=Count("id")):
        counts.setdefault(row["object_type"], Counter())[row["outcome"]] += row["files"]
    return counts


def failures() -> list[tuple[str, str, str]]:
    """Key, reason and detail of each failed file."""
    rows = File.objects.filter(outcome=Outcome.FAILED).order_by("key")
    return [(row.key, row.reason, row.detail) for row in rows]


def lag() -> tuple[float | None, float | None]:
    """p50 and p95 of the seconds from scraped to visible; None without files."""
    rows = File.objects.filter(
        outcome__in=[Outcome.INSERTED, Outcome.UPDATED], scraped_at__isnull=False
    ).values_list("scraped_at", "imported_at")
    lags = [(seen - scraped).total_seconds() for scraped, seen in rows if scraped and seen]
    return percentile(lags, 50), percentile(lags, 95)


def links() -> dict[str, tuple[int, int]]:
    """By kind of reference: how many are resolved, and how many there are."""
    from openstates.data import models as core

    references: dict[str, tuple[Any, str]] = {
        "voters": (core.PersonVote, "voter"),
        "sponsors": (core.BillSponsorship, "person"),
        "companion bills": (core.RelatedBill, "related_bill"),
        "votes' actions": (core.VoteEvent, "bill_action"),
        "bills on agendas": (core.EventRelatedEntity, "bill"),
    }
    return {
        name: (
            model.objects.filter(**{f"{field}__isnull": False}).count(),
            model.objects.count(),
        )
        for name, (model, field) in references.items()
    }


def runs() -> tuple[int, int]:
    """The number of scrape runs, and of those that are finalized."""
    runs = ScrapeRun.objects
    return runs.count(), runs.filter(finalized_at__isnull=False).count()


def folders(bucket: Bucket) -> dict[str, int]:
    """The number of files in the store's root, in `archived/` and in `failed/`."""
    counts = {"root": 0, **dict.fromkeys(_FOLDERS, 0)}
    for one in store_of(bucket).list(""):
        first = one.key.partition("/")[0]
        counts[first if first in _FOLDERS else "root"] += 1
    return counts


def waiting(stack: DevStack) -> int:
    """The number of messages in the queue: visible, delayed and in flight."""
    attributes = stack.aws.sqs().get_queue_attributes(
        QueueUrl=stack.queue_url, AttributeNames=list(_WAITING)
    )["Attributes"]
    return sum(int(attributes[name]) for name in _WAITING)
