"""Bills, imported as a set."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from django.db.models.signals import post_save, pre_save
from openstates.data.models import RelatedBill
from openstates.importers import BillImporter as CoreBillImporter
from openstates.importers.computed_fields import update_bill_fields

from realtime.domain.text import is_storable
from realtime.importers.bulk.batch import Batch, Record
from realtime.importers.bulk.described import Described
from realtime.importers.bulk.importer import BulkImporter
from realtime.importers.bulk.items import Item
from realtime.importers.linking import link_all_related_bills

_COMPUTED = (
    "first_action_date",
    "latest_action_date",
    "latest_passage_date",
    "latest_action_description",
)


class BillImporter(Described, BulkImporter, CoreBillImporter):  # type: ignore[misc]
    """A drop-in for core's `BillImporter`; also finds, for the other types, the bills they name."""

    preserve_order = CoreBillImporter.preserve_order
    described_by = (
        "identifier",
        "legislative_session__identifier",
        "from_organization__classification",
    )

    def people_named(self, data: dict[str, Any]) -> Iterator[Any]:
        for sponsor in data["sponsorships"]:
            yield sponsor.get("person_id")
        for action in data["actions"]:
            for entity in action["related_entities"]:
                yield entity.get("person_id")

    def key(self, data: dict[str, Any]) -> tuple[Any, ...]:
        return data["legislative_session_id"], data["identifier"]

    def keys(self, batch: Batch, record: Record) -> list[Any]:
        return [self.key(record.values)]

    def load(self, batch: Batch, items: Sequence[Item]) -> None:
        keys = [item.key for item in items if item.key]
        batch.read(
            "t.legislative_session_id = ANY(%s) AND t.identifier = ANY(%s)",
            [
                list({session for session, _ in keys}),
                list(filter(is_storable, {identifier for _, identifier in keys})),
            ],
        )

    def postimport(self) -> None:
        """Resolve the jurisdiction's related bills, as core does, in one statement."""
        if any(signal.has_listeners(RelatedBill) for signal in (pre_save, post_save)):
            super().postimport()
            return
        link_all_related_bills(self.jurisdiction_id)

    def compute(self, batch: Batch, record: Record) -> None:
        branch = next(branch for branch in batch.tree if branch.name == "actions")
        names = ("date", "description", "classification")
        places = [branch.table.place[name] for name in names]
        actions = [
            SimpleNamespace(**{name: row[n] for name, n in zip(names, places, strict=True)})
            for row in batch.rows.of(branch, record.id)
        ]
        bill = SimpleNamespace(
            **{name: record.values[name] for name in _COMPUTED},
            actions=SimpleNamespace(order_by=lambda order: actions),
            save=lambda: None,
        )
        update_bill_fields(bill)
        batch.set(record, {name: getattr(bill, name) for name in _COMPUTED})
