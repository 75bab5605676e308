"""Helpers for tests of flags."""

from typing import Any

from realtime.domain.flags import Flag, Kind
from realtime.ledger import flags
from realtime.ledger.files import database_now
from realtime.models import RaisedFlag
from tests.scrapes import WYOMING


def opened(kind: Kind, **only: Any) -> list[RaisedFlag]:
    """The open flags of a kind, by subject."""
    return list(RaisedFlag.objects.filter(kind=kind, resolved_at=None, **only).order_by("subject"))


def resolved(kind: Kind) -> list[RaisedFlag]:
    """The flags of a kind that are resolved, by subject."""
    found = RaisedFlag.objects.filter(kind=kind, resolved_at__isnull=False)
    return list(found.order_by("subject"))


def raise_flag(flag: Flag, jurisdiction_id: str = WYOMING.jurisdiction_id) -> RaisedFlag:
    """Raise a flag as a finalization would; returns its row."""
    flags.raise_flags(jurisdiction_id, [flag], database_now())
    return RaisedFlag.objects.get(kind=flag.kind, subject=flag.subject, resolved_at=None)
