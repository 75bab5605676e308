"""Pauses: while one is open, files of its jurisdiction are parked instead of imported."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from realtime.domain.text import sanitized
from realtime.ledger.files import database_now
from realtime.models import File, Outcome, Pause

# The jurisdiction of a pause of all.
ALL = ""
# Who pauses a jurisdiction when no person does.
BREAKER = "breaker"
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


def resume(
    jurisdiction_id: str,
    by: str,
    reason: str = "",
    *,
    force: bool = False,
    only: Collection[int] | None = None,
    until: datetime | None = None,
) -> int | None:
    """End the pause of a jurisdiction, or with ALL every pause; None when there was none.

    `only` limits that to these pauses, by their ids. Returns how many files they had parked: the
    next import runs import them. The time that any of these parked files may wait starts anew. With
    `force`, the breaker lets those files pass; with `until`, those that were parked until then.
    """
    whose = {} if jurisdiction_id == ALL else {"jurisdiction_id": jurisdiction_id}
    now = database_now()
    with transaction.atomic():
        pauses = Pause.objects.filter(resumed_at=None, **whose)
        if only is not None:
            pauses = pauses.filter(pk__in=only)
        ended = {pause.pk: pause.jurisdiction_id for pause in pauses.select_for_update()}
        if not ended:
            return None
        Pause.objects.filter(pk__in=ended).update(
            resumed_at=now, resumed_by=sanitized(by), resumed_reason=sanitized(reason)
        )
        parked = File.objects.filter(outcome=Outcome.DEFERRED)
        if ALL in ended.values():
            still = Pause.objects.filter(resumed_at=None).exclude(jurisdiction_id=ALL)
            parked = parked.exclude(jurisdiction_id__in=still.values("jurisdiction_id"))
        else:
            parked = parked.filter(jurisdiction_id__in=ended.values())
        parked.update(received_at=now)
        paused = parked.filter(paused_at__isnull=False)
        if force:
            meant = paused.filter(paused_at__lte=until) if until else paused
            meant.update(meant_at=now)
        return paused.count()


def not_paused(pauses: Collection[Pause]) -> Q:
    """The condition for files and runs of jurisdictions that these pauses are not of."""
    names = {pause.jurisdiction_id for pause in pauses}
    if ALL in names:
        return Q(pk__in=[])
    return ~Q(jurisdiction_id__in=names)
