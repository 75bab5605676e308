"""How many flags are open, by kind and jurisdiction."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

from realtime.ledger import flags


@dataclass(frozen=True)
class OpenFlags:
    """The open flags of one kind and jurisdiction. `newest` is when one was last raised."""

    kind: str
    jurisdiction_id: str
    count: int
    newest: datetime


def open_flags(jurisdiction_id: str = "") -> list[OpenFlags]:
    """The open flags by kind and jurisdiction, the most first; empty id: all jurisdictions."""
    groups = flags.open_flags(jurisdiction_id).order_by().values_list("kind", "jurisdiction_id")
    counted = groups.annotate(files=Count("id"), newest=Max("last_seen"))
    return [OpenFlags(*row) for row in counted.order_by("-files", "kind", "jurisdiction_id")]
