"""Columns that core computes from a row's related rows."""

from types import SimpleNamespace

from openstates.importers.computed_fields import update_bill_fields

from realtime.importers.bulk.batch import Batch, Record

_OF_BILLS = (
    "first_action_date",
    "latest_action_date",
    "latest_passage_date",
    "latest_action_description",
)
_READ = ("date", "description", "classification")


def compute(object_type: str, batch: Batch, record: Record) -> None:
    """Set the computed columns of a row that is new or changed: only bills have any."""
    if object_type != "bill":
        return
    branch = next(branch for branch in batch.tree if branch.name == "actions")
    places = [branch.table.place[name] for name in _READ]
    actions = [
        SimpleNamespace(**{name: row[n] for name, n in zip(_READ, places, strict=True)})
        for row in batch.rows.of(branch, record.id)
    ]
    # Core's own rule, over what stands in for its models.
    bill = SimpleNamespace(
        **{name: record.values[name] for name in _OF_BILLS},
        actions=SimpleNamespace(order_by=lambda order: actions),
        save=lambda: None,
    )
    update_bill_fields(bill)
    batch.set(record, {name: getattr(bill, name) for name in _OF_BILLS})
