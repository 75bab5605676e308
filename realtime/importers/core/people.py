"""People, through core's own `load_person`.

What that needs takes longer to load than the rest of this project, so it is loaded for the first
person.
"""

import contextlib
import io
import sys
from datetime import UTC, datetime
from typing import Any

from openstates.data.models import Jurisdiction

from realtime.backends.postgres.locks import lock_person
from realtime.domain.errors import PoisonMessage, Superseded
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.history import Newest
from realtime.importers.items import Applied


def forget_organizations() -> None:
    """Clear core's process-wide cache, which would outlive a change of its rows."""
    if loaded := sys.modules.get("openstates.utils.people.to_database"):
        loaded.cached_lookup.cache_clear()


def load(data: dict[str, Any], order: ScrapeOrder, history: Newest) -> Applied:
    """Import one person.

    Raises PoisonMessage naming the field when the file is not a person, or (`unresolved`) when a
    party, organization or district it names does not exist. Must run inside a savepoint: core
    gives up half way.
    """
    from openstates.models.people import Person
    from openstates.utils.people import to_database
    from pydantic import ValidationError

    try:
        person = Person(**data)
    except ValidationError as exc:
        problem = exc.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise PoisonMessage("invalid", f"{field}: {problem['msg']}", field) from exc
    lock_person(person.id)
    newest = history.newest(person.id)
    if newest is not None and newest > order:
        raise Superseded(person.id)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            created, updated = to_database.load_person(person)
    except to_database.CancelTransaction as exc:
        why = said.getvalue().strip()
        field = "party" if why.startswith("no such party") else "roles"
        raise PoisonMessage("unresolved", why or "core gave the person up", field) from exc
    if (created or updated) and person.roles:
        Jurisdiction.objects.filter(id=person.roles[0].jurisdiction).update(
            latest_people_update=datetime.now(UTC)
        )
    return Applied(person.id, "insert" if created else "update" if updated else "noop")
