"""What came of a file, as the batch's transaction is told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from django.core.exceptions import MultipleObjectsReturned
from openstates.data.models import Jurisdiction
from openstates.exceptions import UnresolvedIdError

from realtime.domain.changes import NO_DIFFERENCE, Difference, shrunk
from realtime.domain.errors import PoisonMessage, Superseded
from realtime.domain.flags import Flag, of_row
from realtime.domain.results import FetchedFile, LookupKeys
from realtime.importers.history import History
from realtime.importers.items import Applied, Item, Outcome
from realtime.importers.name_matches import NamesFound


@dataclass(frozen=True)
class Attempt:
    """One file's import: `what` is core's word (`insert`, `update`, `noop`), or `error` says why
    there was none, in which case nothing of the file is in the database.

    `core_id` is the row it was applied to, or, with Superseded, the row that is newer (empty when
    there is none). `flags` are those of a file with a row, `difference` what it changed.
    """

    file: FetchedFile
    core_id: str = ""
    what: str = ""
    error: Exception | None = None
    bill_identifier: str = ""
    about: LookupKeys = field(default_factory=LookupKeys)
    flags: tuple[Flag, ...] = ()
    difference: Difference = NO_DIFFERENCE


class Applier(Protocol):
    """Writes files to core's tables. One instance serves one transaction of one jurisdiction."""

    def apply(
        self, files: Sequence[FetchedFile], must_stop: Callable[[], bool]
    ) -> Iterator[Attempt]:
        """Import `files`, which must be in import order, until `must_stop` says so.

        One bad file leaves no trace and does not keep its neighbours out.
        """

    def names_found(self) -> NamesFound:
        """The names of people and committees in the files applied so far."""

    def asked_for_more(self) -> bool:
        """Whether a pseudo id in the files applied so far asks for other fields than
        `referents_digest` covers."""


def attempt_of(file: FetchedFile, item: Item, outcome: Outcome, history: History) -> Attempt:
    """The attempt that an object's outcome comes to; tells `history` which row it names."""
    if isinstance(outcome, Applied):
        history.applied(file, outcome.core_id)
        if loss := shrunk(outcome.difference):
            item.flags.append(Flag("shrunk", detail=loss))
        identifier = item.data["identifier"] if file.content.object_type == "bill" else ""
        return Attempt(
            file,
            outcome.core_id,
            outcome.what,
            bill_identifier=identifier,
            about=item.about,
            flags=of_row(item.flags, file.content.object_type, outcome.core_id),
            difference=outcome.difference,
        )
    error = _classified(outcome.error)
    if isinstance(error, Superseded):
        if error.core_id:
            history.identified(file, error.core_id)
        flags = of_row(item.flags, file.content.object_type, error.core_id)
        return Attempt(file, error.core_id, error=error, about=item.about, flags=flags)
    return Attempt(file, error=error, about=item.about)


def _classified(error: Exception) -> Exception:
    """What core raises for a reference, under the reason that the ledger records."""
    if isinstance(error, UnresolvedIdError):
        return PoisonMessage("unresolved", str(error))
    if isinstance(error, MultipleObjectsReturned):
        problem = PoisonMessage("ambiguous", f"it may be any of several rows: {error}")
        problem.__cause__ = error
        return problem
    return error


def require_jurisdiction(jurisdiction_id: str) -> None:
    """Raises PoisonMessage (`unknown-jurisdiction`) when core's table lacks it."""
    if not Jurisdiction.objects.filter(id=jurisdiction_id).exists():
        raise PoisonMessage(
            "unknown-jurisdiction",
            f"{jurisdiction_id} is not in the database",
            "jurisdiction_id",
        )
