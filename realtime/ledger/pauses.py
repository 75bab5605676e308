"""Pauses: while one is open, files of its jurisdiction are parked instead of imported."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q

from realtime.domain.text import sanitized
from realtime.ledger.files import database_now
from realtime.models import File, Outcome, Pause

# The jurisdiction of a pause of all.
ALL = ""
# Whether a row of the ledger called `parked` is of a jurisdiction that is not paused.
NOT_PAUSED = """
    NOT EXISTS (
      SELECT 1 FROM realtime_pause AS pause
      WHERE pause.resumed_at IS NULL AND pause.jurisdiction_id IN ('', parked.jurisdiction_id))
"""


def open_pause(jurisdiction_id: str) -> Pause | None:
    """The pause of a jurisdiction, or of all; None when it is not paused."""
    # A message may claim any jurisdiction.
    either = (ALL, sanitized(jurisdiction_id))
    pauses = Pause.objects.filter(resumed_at=None, jurisdiction_id__in=either)
    return pauses.order_by("-jurisdiction_id").first()


def open_pauses() -> list[Pause]:
    """The pauses that are open, the oldest first."""
    return list(Pause.objects.filter(resumed_at=None).order_by("since", "id"))


def pause(jurisdiction_id: str, by: str, reason: str) -> bool:
    """Pause a jurisdiction, known or not, or ALL; False when it was paused before.

    A batch of it that is under way is still finished.
    """
    _, created = Pause.objects.get_or_create(
        jurisdiction_id=sanitized(jurisdiction_id),
        resumed_at=None,
        defaults={"since": database_now(), "by": sanitized(by), "reason": sanitized(reason)},
    )
    return created


def resume(jurisdiction_id: str, by: str, reason: str = "", *, force: bool = False) -> int | None:
    """End the pause of a jurisdiction, or with ALL every pause; None when there was none.

    Returns how many files it had parked: the next import runs import them. The time that any of
    its parked files may wait starts anew. With `force`, the breaker lets those files pass.
    """
    whose = {} if jurisdiction_id == ALL else {"jurisdiction_id": jurisdiction_id}
    now = database_now()
    with transaction.atomic():
        ended = Pause.objects.filter(resumed_at=None, **whose).update(
            resumed_at=now, resumed_by=sanitized(by), resumed_reason=sanitized(reason)
        )
        if not ended:
            return None
        parked = File.objects.filter(outcome=Outcome.DEFERRED, **whose)
        parked.update(received_at=now)
        paused = parked.filter(paused_at__isnull=False)
        return paused.update(meant_at=now) if force else paused.count()


def not_paused(pauses: Collection[Pause]) -> Q:
    """The condition for files and runs of jurisdictions that these pauses are not of."""
    names = {pause.jurisdiction_id for pause in pauses}
    if ALL in names:
        return Q(pk__in=[])
    return ~Q(jurisdiction_id__in=names)
