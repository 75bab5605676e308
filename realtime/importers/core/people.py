"""People, through core's own `load_person`.

What that needs takes longer to load than the rest of this project, so it is loaded for the first
person.
"""

import contextlib
import io
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from openstates.data import models

from realtime.backends.postgres.locks import lock_people
from realtime.domain.changes import Difference
from realtime.domain.errors import PoisonMessage, Superseded
from realtime.domain.text import is_storable
from realtime.importers.core.merging import MERGED_ID, merge_people
from realtime.importers.history import Newest
from realtime.importers.items import Applied, Item
from realtime.models import ListedPerson


def forget_organizations() -> None:
    """Clear core's process-wide cache, which would outlive a change of its rows."""
    if loaded := sys.modules.get("openstates.utils.people.to_database"):
        loaded.cached_lookup.cache_clear()


def load(item: Item, jurisdiction_id: str, history: Newest) -> Applied:
    """Import one person, and merge into it those whose ids its file lists.

    Of a file of a run that is not final, the people listed are only noted: a file of theirs, which
    makes them others, may come yet. The end of the run decides.

    Raises PoisonMessage naming the field when the file is not a person, or (`unresolved`) when a
    party, organization or district it names does not exist; Superseded when a newer file of the
    person, or of one whom the person was merged into, is in; Busy when somebody to be merged is a
    member elsewhere and that jurisdiction is being imported. Must run inside a savepoint: core
    gives up half way.
    """
    from openstates.models.people import Person
    from openstates.utils.people import to_database
    from pydantic import ValidationError

    try:
        person = Person(**item.data)
    except ValidationError as exc:
        problem = exc.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise PoisonMessage("invalid", f"{field}: {problem['msg']}", field) from exc
    listed = _listed(person)
    lock_people([person.id, *listed])
    if _has_newer(person.id, item, history):
        raise Superseded(person.id)
    members = models.Membership.objects.filter(
        organization__jurisdiction_id__in={role.jurisdiction for role in person.roles}
    )
    _require_not_merged(person.id, item, members, history)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            created, updated = to_database.load_person(person)
    except to_database.CancelTransaction as exc:
        why = said.getvalue().strip()
        field = "party" if why.startswith("no such party") else "roles"
        raise PoisonMessage("unresolved", why or "core gave the person up", field) from exc
    if item.run_id is None or history.is_final(item.run_id):
        there = set(members.filter(person_id__in=listed).values_list("person_id", flat=True))
        old = [one for one in sorted(there) if not _is_another(one, item, history)]
        merged = merge_people(old, person.id)
    else:
        _note(person.id, listed, item.run_id, item, jurisdiction_id, created)
        merged = {}
    updated |= bool(merged)
    if (created or updated) and person.roles:
        models.Jurisdiction.objects.filter(id=person.roles[0].jurisdiction).update(
            latest_people_update=datetime.now(UTC)
        )
    what = "insert" if created else "update" if updated else "noop"
    return Applied(person.id, what, Difference(merged=merged))


def _listed(person: Any) -> set[str]:
    """The ids that the file says the person had before."""
    return {
        one.identifier
        for one in person.other_identifiers
        if one.scheme == MERGED_ID and one.identifier != person.id and is_storable(one.identifier)
    }


def _note(
    person_id: str,
    listed: Iterable[str],
    run_id: UUID,
    item: Item,
    jurisdiction_id: str,
    created: bool,
) -> None:
    """Remember whom the newest file of the run lists."""
    known = ListedPerson.objects.filter(run_id=run_id, person_id=person_id)
    is_new = created or known.filter(is_new=True).exists()
    known.delete()
    ListedPerson.objects.bulk_create(
        ListedPerson(
            jurisdiction_id=jurisdiction_id,
            run_id=run_id,
            person_id=person_id,
            listed_id=one,
            order_ticks=item.order.ticks,
            scrape_id=item.order.scrape_id,
            order_stamp=item.order.stamp_ticks,
            is_new=is_new,
        )
        for one in sorted(listed)
    )


def _require_not_merged(person_id: str, item: Item, members: Any, history: Newest) -> None:
    """Raises Superseded when the person was merged into a member, by what was scraped later."""
    if models.Person.objects.filter(id=person_id).exists():
        return
    # No index helps: this is asked only of people who are new here.
    listing = models.PersonIdentifier.objects.filter(
        Exists(members.filter(person_id=OuterRef("person_id"))),
        scheme=MERGED_ID,
        identifier=person_id,
    )
    undecided = ListedPerson.objects.filter(listed_id=person_id).values("person_id")
    listing = listing.exclude(person_id=person_id).exclude(person_id__in=undecided)
    for other in listing.values_list("person_id", flat=True):
        if _has_newer(other, item, history) and not history.newest_is_of(other, item.run_id):
            raise Superseded(other)


def _is_another(person_id: str, item: Item, history: Newest) -> bool:
    """Whether a person is another one than the file's, although it lists them: a file of theirs is
    newer, or of the same run. Core merges only who is missing."""
    newer = _has_newer(person_id, item, history)
    return newer or history.newest_is_of(person_id, item.run_id)


def _has_newer(person_id: str, item: Item, history: Newest) -> bool:
    newest = history.newest(person_id)
    return newest is not None and newest > item.order
