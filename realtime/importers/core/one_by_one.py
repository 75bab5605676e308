"""Applies the files of a batch, in the order given, and says of each what came of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from django.db import connection, transaction
from openstates.data.models import Jurisdiction

from realtime.domain.errors import PoisonMessage, Superseded
from realtime.domain.results import About, FetchedFile
from realtime.importers.core import people
from realtime.importers.core.adapters import (
    BillInPieces,
    EventInPieces,
    JurisdictionInPieces,
    VoteEventInPieces,
)
from realtime.importers.history import History


@dataclass(frozen=True)
class Attempt:
    """One file's import: `what` is core's word (`insert`, `update`, `noop`), or `error` says why
    there was none, in which case nothing of the file is in the database.

    `core_id` is the row it was applied to, or, with Superseded, the row that is newer (empty when
    there is none).
    """

    file: FetchedFile
    core_id: str = ""
    what: str = ""
    error: Exception | None = None
    bill_identifier: str = ""
    about: About = field(default_factory=About)


class Applier(Protocol):
    """Writes files to core's tables. One instance serves one transaction of one jurisdiction."""

    def apply(
        self, files: Sequence[FetchedFile], must_stop: Callable[[], bool]
    ) -> Iterator[Attempt]:
        """Import `files`, which must be in import order, until `must_stop` says so.

        One bad file leaves no trace and does not keep its neighbours out.
        """


class OneByOne:
    """Core's importers, a savepoint for each file."""

    def __init__(self, jurisdiction_id: str, history: History) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._history = history
        self._jurisdictions = JurisdictionInPieces(jurisdiction_id, history=history)
        self._bills = BillInPieces(jurisdiction_id, history=history)
        self._votes = VoteEventInPieces(jurisdiction_id, self._bills, history=history)
        self._events = EventInPieces(jurisdiction_id, self._votes, history=history)
        self._importers = {
            "jurisdiction": self._jurisdictions,
            "bill": self._bills,
            "vote_event": self._votes,
            "event": self._events,
        }
        people.forget_organizations()

    def apply(
        self, files: Sequence[FetchedFile], must_stop: Callable[[], bool]
    ) -> Iterator[Attempt]:
        for file in files:
            if must_stop():
                return
            yield self._one(file)

    def _one(self, file: FetchedFile) -> Attempt:
        importer = self._importers.get(file.content.object_type)
        try:
            with transaction.atomic():
                core_id, what = self._import(file)
                _check_constraints()
        except Exception as exc:
            if importer is not None:
                # What core noted since the savepoint has been rolled back with it.
                importer.forget(file.content.scrape_id)
            return self._not_applied(file, exc, importer.about if importer else About())
        self._history.applied(file, core_id)
        identifier = ""
        if file.content.object_type == "bill":
            identifier = self._bills.identifier(file.content.data["identifier"])
        about = importer.about if importer else About()
        return Attempt(file, core_id, what, bill_identifier=identifier, about=about)

    def _import(self, file: FetchedFile) -> tuple[str, str]:
        data, order = file.content.fresh(), file.content.order
        require_jurisdiction(self._jurisdiction_id)
        if file.content.object_type == "person":
            return people.load(data, order, self._history)
        return self._importers[file.content.object_type].apply(data, order, file.core_id)

    def _not_applied(self, file: FetchedFile, exc: Exception, about: About) -> Attempt:
        if not isinstance(exc, Superseded):
            return Attempt(file, error=exc, about=about)
        if file.content.object_type == "jurisdiction":
            try:
                with transaction.atomic():
                    self._jurisdictions.add_missing_sessions(exc.core_id, file.content.fresh())
            except Exception as failure:
                return Attempt(file, error=failure)
        if exc.core_id:
            self._history.identified(file, exc.core_id)
        return Attempt(file, exc.core_id, error=exc, about=about)


def require_jurisdiction(jurisdiction_id: str) -> None:
    """Raises PoisonMessage (`unknown-jurisdiction`) when core's table lacks it."""
    if not Jurisdiction.objects.filter(id=jurisdiction_id).exists():
        raise PoisonMessage(
            "unknown-jurisdiction",
            f"{jurisdiction_id} is not in the database",
            "jurisdiction_id",
        )


def _check_constraints() -> None:
    # Core's foreign keys are deferred: a bad one would pass here and fail everyone's commit.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
