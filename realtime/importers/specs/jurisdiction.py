"""Jurisdictions, and the legislative sessions they bring."""

from openstates.data.models import Jurisdiction

from realtime.domain.errors import PoisonMessage
from realtime.importers.history import History
from realtime.importers.items import Item
from realtime.importers.specs.lookup_keys import about_jurisdiction
from realtime.importers.specs.spec import Spec, Way


class JurisdictionSpec(Spec):
    """A file may change only the jurisdiction that it was received for."""

    object_type = "jurisdiction"
    model = Jurisdiction
    ways = (Way("division", ("division_id", "classification")),)

    def resolved(self, item: Item, history: History) -> None:
        item.about = about_jurisdiction(item.data)

    def require_own(self, core_id: str, jurisdiction_id: str) -> None:
        # Core finds the row by its division and would give it the file's id.
        if core_id != jurisdiction_id:
            raise PoisonMessage(
                "wrong-jurisdiction", f"division_id is that of {core_id}", "division_id"
            )

    def require_new(self, item: Item, jurisdiction_id: str, history: History) -> None:
        raise PoisonMessage(
            "wrong-jurisdiction",
            f"division_id and classification are not those of {jurisdiction_id}",
            "division_id",
        )
