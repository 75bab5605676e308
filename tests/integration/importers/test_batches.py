"""A batch is one set: few statements, and no object pays for another."""

import copy
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection, transaction
from openstates import importers as core
from openstates.data.models import (
    Bill,
    BillAction,
    BillVersion,
    BillVersionLink,
    LegislativeSession,
    SearchableBill,
    VoteEvent,
)
from openstates.exceptions import DataImportError, DuplicateItemError, UnresolvedIdError

from realtime.domain.errors import Superseded
from realtime.importers import BillImporter, EventImporter, JurisdictionImporter, VoteEventImporter
from realtime.importers.bulk import known_cores
from realtime.importers.items import Item, Refused
from realtime.importers.rules import Rules
from realtime.importers.specs.spec import StoredRow
from tests import scrapes
from tests.integration.importers.executing import import_batch, whats

# Core's message for what it cannot store shows the rows, for which it then asks a database that
# answers no more.
_WITHIN_A_TRANSACTION = transaction.TransactionManagementError
JURISDICTION = scrapes.WYOMING.jurisdiction_id


@pytest.fixture
def session(database: str) -> None:
    core.JurisdictionImporter(JURISDICTION).import_data([scrapes.jurisdiction()])


@contextmanager
def counting() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield statements


@contextmanager
def as_a_set() -> Iterator[None]:
    """The database refuses nothing in the block, which would leave it to core, one by one."""
    with counting() as statements:
        yield
    assert not [sql for sql in statements if sql.startswith("INSERT")]


def items(*data: dict[str, Any]) -> list[Item]:
    return [Item(one["_id"], copy.deepcopy(one)) for one in data]


def mixed(count: int, actions: int) -> tuple[list[Any], list[Any], list[Any]]:
    bills = [scrapes.bill(f"HB {n}", f"title {n}", actions) for n in range(count)]
    for bill in bills:
        bill["related_bills"] = [
            {"identifier": "HB 1", "legislative_session": "2031", "relation_type": "companion"}
        ]
    votes = [
        scrapes.vote_event(b if n % 2 else b["identifier"], action="reading 1")
        for n, b in enumerate(bills)
    ]
    events = [scrapes.event(f"Hearing {n}", f"HB {n}") for n in range(count)]
    return bills, votes, events


def import_all(bills: list[Any], votes: list[Any], events: list[Any]) -> dict[str, Any]:
    with transaction.atomic():
        bill_importer = BillImporter(JURISDICTION)
        vote_importer = VoteEventImporter(JURISDICTION, bill_importer)
        return {
            **bill_importer.import_data(copy.deepcopy(bills)),
            **vote_importer.import_data(copy.deepcopy(votes)),
            **EventImporter(JURISDICTION, vote_importer).import_data(copy.deepcopy(events)),
        }


def test_import_data__any_mix__few_statements_however_many_objects(session: None) -> None:
    counts = []
    for size in (10, 100):
        bills, votes, events = mixed(size, actions=2)
        import_all(bills[::2], votes[::2], events[::2])
        for bill in bills[::4]:
            bill["actions"][0]["description"] = bill["versions"][0]["note"] = "another"
            bill["actions"].append({**bill["actions"][0], "description": "one more"})
        for vote in votes[::4]:
            vote["votes"].pop()
        with counting() as statements:
            import_all(bills, votes, events)
        counts.append(len(statements))
        Bill.objects.all().delete()
    assert max(counts) < 60
    assert counts[1] <= counts[0] + 2


def test_import_data__many__in_batches_with_all_of_them_in(session: None) -> None:
    bills = [scrapes.bill(f"HB {n}", actions=4) for n in range(700)]
    with counting() as statements:
        record = BillImporter(JURISDICTION).import_data(copy.deepcopy(bills))["bill"]
    assert record["insert"] == Bill.objects.count() == 700
    assert BillAction.objects.count() == 4 * 700
    assert len(statements) < 3 * 30


@pytest.mark.parametrize("text", [*"\r\n\t\\\"'☃", r"\N", r"\.", "NULL", "{}", r"\"", ""])
def test_import_data__any_text__stored_as_it_is(session: None, text: str) -> None:
    bill = {**scrapes.bill(), "title": text, "subject": [text, "a"], "extras": {"a": text}}
    with as_a_set():
        BillImporter(JURISDICTION).import_data([bill])
    stored = Bill.objects.get()
    assert (stored.title, stored.subject, stored.extras) == (text, [text, "a"], {"a": text})


def test_import_data__same_row_twice__raises_as_core_with_the_first_in(session: None) -> None:
    first, second, third = (scrapes.bill("HB 1", title) for title in ("a", "b", "c"))
    with pytest.raises(DuplicateItemError):
        BillImporter(JURISDICTION).import_data([scrapes.bill("HB 9"), first, second, third])
    assert set(Bill.objects.values_list("identifier", "title")) == {
        ("HB 9", "Of bridges"),
        ("HB 1", "a"),
    }


@pytest.mark.parametrize("collecting", [True, False])
def test_import_data__ends_well_or_not__garbage_is_collected_as_before(
    session: None, collecting: bool
) -> None:
    try:
        if not collecting:
            gc.disable()
        BillImporter(JURISDICTION).import_data([scrapes.bill("HB 1")])
        assert gc.isenabled() == collecting
        with pytest.raises(DuplicateItemError):
            BillImporter(JURISDICTION).import_data([scrapes.bill("HB 1", t) for t in ("a", "b")])
        assert gc.isenabled() == collecting
    finally:
        gc.enable()


def test_import_batch__same_row_twice__in_the_order_given(session: None) -> None:
    versions = [scrapes.bill("HB 1", title, actions=n) for n, title in enumerate("abca")]
    for bill in versions:
        bill["versions"][0]["note"] = bill["title"]
    outcomes = import_batch(BillImporter(JURISDICTION), items(*versions))
    assert whats(outcomes) == ["insert", "update", "update", "update"]
    assert Bill.objects.get().title == BillVersion.objects.get().note == "a"
    assert BillAction.objects.count() == 3


def test_import_batch__same_row_around_bad_ones__in_the_order_given(session: None) -> None:
    batch = [
        scrapes.bill("HB 1", title) for title in ("a", "refused by the database", "b", "", "c")
    ]
    batch[1]["identifier"] = "x" * 101
    batch[3]["no_such_field"] = "refused by core"
    with transaction.atomic():
        outcomes = import_batch(BillImporter(JURISDICTION), items(*batch))
    assert whats(outcomes[::2]) == ["insert", "update", "update"]
    assert all(isinstance(one, Refused) for one in outcomes[1::2])
    assert Bill.objects.get().title == "c"


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda bill: bill.update(identifier="x" * 101), DataImportError),
        (lambda bill: bill["sources"][0].update(url="x" * 2001), DataImportError),
        (lambda bill: bill["actions"][0].update(description="nul \0"), _WITHIN_A_TRANSACTION),
        (lambda bill: bill.update(title="lone \ud800"), DataImportError),
        (lambda bill: bill.update(no_such_field=1), DataImportError),
        (lambda bill: bill.pop("versions"), KeyError),
        (lambda bill: bill.update(legislative_session="1999"), LegislativeSession.DoesNotExist),
        (lambda bill: bill.update(from_organization='~{"name": "x"}'), UnresolvedIdError),
        (lambda bill: bill["actions"][0].update(classification=None), _WITHIN_A_TRANSACTION),
    ],
)
def test_import_batch__one_bad_object__costs_itself_alone(
    session: None, spoil: Callable[[dict[str, Any]], None], error: type[Exception]
) -> None:
    bills = [scrapes.bill(f"HB {n}") for n in range(40)]
    spoil(bills[17])
    with transaction.atomic(), counting() as statements:
        outcomes = import_batch(BillImporter(JURISDICTION), items(*bills))
    assert whats(outcomes[:17] + outcomes[18:]) == ["insert"] * 39
    assert isinstance(outcomes[17], Refused)
    assert isinstance(outcomes[17].error, error)
    assert Bill.objects.count() == 39
    # Halved until it stands alone; one by one would take hundreds.
    assert len(statements) < 250


def test_import_batch__foreign_key_to_nothing__costs_itself_alone(session: None) -> None:
    class Spoiling(Rules):
        def resolved(self, item: Item) -> None:
            if item.data["identifier"] == "HB 3":
                item.data["actions"][0]["organization_id"] = "ocd-organization/nobody"

    bills = [scrapes.bill(f"HB {n}") for n in range(8)]
    with transaction.atomic():
        outcomes = import_batch(BillImporter(JURISDICTION), items(*bills), Spoiling())
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Refused)] == [3]
    assert Bill.objects.count() == 7


def test_import_batch__refused_once_its_row_is_known__others_are_in(session: None) -> None:
    class Refusing(Rules):
        def found(self, item: Item, row: StoredRow) -> None:
            if item is batch[0]:
                raise Superseded(row.id)

    BillImporter(JURISDICTION).import_data([scrapes.bill("HB 1"), scrapes.bill("HB 2")])
    batch = items(scrapes.bill("HB 1", "new"), scrapes.bill("HB 2", "new"))
    outcomes = import_batch(BillImporter(JURISDICTION), batch, Refusing())
    assert whats(outcomes) == [Superseded, "update"]
    assert set(Bill.objects.values_list("title", flat=True)) == {"Of bridges", "new"}


def test_import_batch__database_interrupts__raises(
    session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*anything: Any) -> None:
        raise OperationalError("terminating connection")

    monkeypatch.setattr("realtime.importers.bulk.copy_rows.copy", interrupted)
    with pytest.raises(OperationalError):
        import_batch(BillImporter(JURISDICTION), items(scrapes.bill("HB 1")))


def test_import_item__refused_by_the_database__raises_as_core(session: None) -> None:
    BillImporter(JURISDICTION).import_item(scrapes.bill("HB 1"))
    too_long = scrapes.bill("HB 1")
    too_long["versions"][0]["date"] = "2031-01-01 and more"
    with transaction.atomic(), pytest.raises(_WITHIN_A_TRANSACTION), transaction.atomic():
        BillImporter(JURISDICTION).import_item(too_long)
    assert BillVersion.objects.get().date == ""


# -- deletes ---------------------------------------------------------------------------------


def searchable() -> SearchableBill:
    bill = Bill.objects.get()
    return SearchableBill.objects.create(
        bill=bill, version_link=BillVersionLink.objects.get(), search_vector=""
    )


def with_new_version() -> dict[str, Any]:
    bill = scrapes.bill("HB 1")
    bill["versions"][0]["note"] = "enrolled"
    return bill


def test_update__of_versions__takes_the_searchable_text_along(session: None) -> None:
    BillImporter(JURISDICTION).import_data([scrapes.bill("HB 1")])
    created_at = searchable().bill.created_at
    with as_a_set():
        BillImporter(JURISDICTION).import_data([with_new_version()])
    assert Bill.objects.get().created_at == created_at
    assert not SearchableBill.objects.exists()
    assert BillVersionLink.objects.count() == BillVersion.objects.count() == 1


@pytest.mark.parametrize("keep", [False, True])
def test_update__of_the_last_action__keeps_the_rows_before_it(session: None, keep: bool) -> None:
    class Keeping(Rules):
        keep_links = keep

    class Importer(BillImporter):  # type: ignore[misc]
        def rules_of_type(self) -> Rules:
            return Keeping()

    bill = scrapes.bill("HB 1", actions=3)
    bills = Importer(JURISDICTION)
    bills.import_data([copy.deepcopy(bill)])
    VoteEventImporter(JURISDICTION, bills).import_data(
        [scrapes.vote_event(bill, action="reading 1")]
    )
    assert VoteEvent.objects.get().bill_action is not None
    former = list(BillAction.objects.values_list("id", flat=True))
    bill["actions"][2]["description"] = "failed"
    assert Importer(JURISDICTION).import_data([bill])["bill"]["update"] == 1
    now = list(BillAction.objects.values_list("id", flat=True))
    assert now[:2] == former[:2]
    assert now[2] != former[2]
    assert Bill.objects.get().first_action_date == "2031-01-11"
    # Core unlinks the votes of all actions that it writes anew.
    assert (VoteEvent.objects.get().bill_action is not None) == keep


def test_postimport__vote_not_scraped_again__deleted_with_its_related_rows(session: None) -> None:
    bill = scrapes.bill("HB 1")
    bills = BillImporter(JURISDICTION)
    bills.import_data([copy.deepcopy(bill)])
    importer = VoteEventImporter(JURISDICTION, bills)
    importer.import_data([scrapes.vote_event(bill, "first"), scrapes.vote_event(bill, "second")])
    VoteEventImporter(JURISDICTION, bills).import_data([scrapes.vote_event(bill, "second")])
    assert VoteEvent.objects.get().motion_text == "second"


def test_votes__same_dedupe_key_in_another_jurisdiction__is_another_vote(session: None) -> None:
    vote = scrapes.vote_event(None)
    vote.update(identifier="1", dedupe_key="11438")
    other = "ocd-jurisdiction/country:us/district:dc/government"
    LegislativeSession.objects.create(
        jurisdiction_id=other, identifier=scrapes.SESSION, name="", start_date="", end_date=""
    )
    for jurisdiction in (other, JURISDICTION, JURISDICTION):
        mine = copy.deepcopy(vote)
        mine["organization"] = '~{"classification": "legislature"}'
        if jurisdiction == other:
            mine["organization"] = '~{"name": "Council of the District of Columbia"}'
        bills = BillImporter(jurisdiction)
        VoteEventImporter(jurisdiction, bills).import_data([mine])
    assert VoteEvent.objects.filter(dedupe_key="11438").count() == 2


# -- the rest --------------------------------------------------------------------------------


def test_jurisdiction__new_and_changed_sessions__are_merged(session: None) -> None:
    data = scrapes.jurisdiction()
    data["legislative_sessions"][0]["name"] = "renamed"
    data["legislative_sessions"].append(
        {**data["legislative_sessions"][0], "identifier": "2032", "name": "next"}
    )
    with transaction.atomic():
        record = core.JurisdictionImporter(JURISDICTION).import_data([copy.deepcopy(data)])
        # Core 6.25.3 calls it unchanged when only a session has.
        word = next(what for what in ("update", "noop") if record["jurisdiction"][what])
        transaction.set_rollback(True)
    assert JurisdictionImporter(JURISDICTION).import_data([data])["jurisdiction"][word] == 1
    names = LegislativeSession.objects.filter(jurisdiction_id=JURISDICTION)
    assert {"renamed", "next"} <= set(names.values_list("name", flat=True))


def test_unknown_core__is_refused_with_what_to_do(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_cores, "KNOWN", {})
    with pytest.raises(known_cores.UnknownCore, match="--importer core"):
        BillImporter(JURISDICTION)


def test_import_batch__wrong_value_on_update__names_the_column_error(session: None) -> None:
    BillImporter(JURISDICTION).import_data([scrapes.bill("HB 1"), scrapes.bill("HB 2")])
    bad, good = scrapes.bill("HB 1"), scrapes.bill("HB 2", "new")
    bad["from_organization"] = '~{"classification": "upper"}'
    bad["title"] = "nul \0"
    with transaction.atomic():
        outcomes = import_batch(BillImporter(JURISDICTION), items(bad, good))
    assert isinstance(outcomes[0], Refused)
    assert isinstance(outcomes[0].error, ValueError | DataError)
    assert whats(outcomes)[1] == "update"
