"""Merges people whose ids the files of a run list, as core's `os-people to-database` does."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.db.models import QuerySet
from openstates.data.models import Jurisdiction, Membership, Person

from realtime.backends.postgres.locks import lock_people
from realtime.domain.changes import Difference, RowChange
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.core.merging import COMMITTEES, merge_people
from realtime.ledger import changes, flags
from realtime.ledger.complete_runs import HARMLESS
from realtime.ledger.files import database_now
from realtime.ledger.history import LedgerHistory
from realtime.models import File, ListedPerson, Outcome, ScrapeRun

# Listed people of one transaction. Each may have thousands of votes, which move in one statement.
PAGE = 20


def may_be_unread(run: ScrapeRun) -> bool:
    """Whether a person's file of the run failed so that it may be anybody's."""
    failed = _files(run).filter(outcome=Outcome.FAILED)
    return failed.exclude(reason=HARMLESS).exists()


def merge_listed(run: ScrapeRun) -> str:
    """Decide about the next people, at most PAGE, whom persons of the run list: those who are
    members where the person has a role are merged into the person, unless the run has a file of
    theirs, or a newer one has come. Of several who list one, the newest file wins.

    Returns the id of the last one decided about; empty when none is left. Runs in the caller's
    transaction. Raises Busy when another jurisdiction of which one of them is a member stays
    locked.
    """
    page = list(_undecided(run)[:PAGE])
    if not page:
        return ""
    lock_people({id for one in page for id in (one.person_id, one.listed_id)})
    listed = [one.listed_id for one in page]
    brought = _brought(run, listed)
    history = LedgerHistory(run.jurisdiction_id)
    log = []
    for one in page:
        if one.listed_id not in brought and _is_same(one, history):
            moved = merge_people([one.listed_id], one.person_id)
            log.append(_merged(one, Difference(before=moved[one.listed_id])))
    for one in page:
        # Those that an older run has left undecided, too.
        ListedPerson.objects.filter(
            person_id=one.person_id, listed_id=one.listed_id, order_ticks__lte=one.order_ticks
        ).delete()
    if log:
        changes.log(run.jurisdiction_id, log, database_now())
        flags.resolve_deleted([change.core_id for change in log], database_now())
        Jurisdiction.objects.filter(id=run.jurisdiction_id).update(
            latest_people_update=datetime.now(UTC)
        )
    return listed[-1]


def would_merge(run: ScrapeRun) -> list[str]:
    """Who would be merged into others if `merge_listed` decided now, by their ids. Only reads."""
    undecided = list(_undecided(run))
    brought = _brought(run, [one.listed_id for one in undecided])
    history = LedgerHistory(run.jurisdiction_id)
    return sorted(
        {
            one.listed_id
            for one in undecided
            if one.listed_id not in brought and _is_same(one, history)
        }
    )


def _undecided(run: ScrapeRun) -> "QuerySet[ListedPerson]":
    listed = ListedPerson.objects.filter(run_id=run.run_id, jurisdiction_id=run.jurisdiction_id)
    return listed.order_by("listed_id", "-order_ticks", "-scrape_id", "-order_stamp")


def _brought(run: ScrapeRun, ids: Sequence[str]) -> set[str]:
    """Which of these people have a file of the run."""
    return set(_files(run).filter(scrape_id__in=ids).values_list("scrape_id", flat=True))


def _is_same(one: ListedPerson, history: LedgerHistory) -> bool:
    """Whether the person listed is still there, and has not been scraped again since."""
    newest = history.newest(one.listed_id)
    if newest is not None and newest > _order(one):
        return False
    if not Person.objects.filter(id=one.person_id).exists():
        return False
    roles = Membership.objects.filter(
        person_id=one.person_id, organization__jurisdiction_id__isnull=False
    ).exclude(organization__classification__in=COMMITTEES)
    seats = Membership.objects.filter(
        person_id=one.listed_id,
        organization__jurisdiction_id__in=roles.values("organization__jurisdiction_id"),
    )
    return bool(seats.exists())


def _merged(one: ListedPerson, difference: Difference) -> RowChange:
    file = File.objects.filter(
        run_id=one.run_id,
        object_type="person",
        scrape_id=one.scrape_id,
        order_ticks=one.order_ticks,
        order_stamp=one.order_stamp,
    ).first()
    file_id = file.id if file else None
    return RowChange("person", "merged", one.listed_id, difference, one.run_id, file_id)


def _order(one: ListedPerson) -> ScrapeOrder:
    return ScrapeOrder(one.order_ticks, one.scrape_id, one.order_stamp)


def _files(run: ScrapeRun) -> "QuerySet[File]":
    return File.objects.filter(
        run_id=run.run_id, object_type="person", jurisdiction_id=run.jurisdiction_id
    )
