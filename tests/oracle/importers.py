"""Core's importers, with repairs that only remove dependence on accident, such as file order."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from openstates import importers as core
from openstates.data.models import Bill, BillAction, LegislativeSession, VoteEvent
from openstates.exceptions import UnresolvedIdError

from tests.oracle.files import Refused


@dataclass(frozen=True)
class NamedAction:
    """The action that a vote event's file names; `id` is the file's `_id`."""

    id: str
    bill: str
    action: str
    date: str
    organization: str


class OneCachePerChamber:
    """Gives each chamber its own cache of people.

    Core's cache ignores the chamber, so that the order of files decides between namesakes.
    """

    def resolve_person(self, name: str, *dates: Any, **more: Any) -> Any:
        chamber = more.get("org_classification") or (dates[2] if len(dates) > 2 else None)
        caches = self.__dict__.setdefault("caches", defaultdict(dict))
        self.person_cache = caches[chamber]
        return super().resolve_person(name, *dates, **more)  # type: ignore[misc]


class _Repaired(OneCachePerChamber):
    """Repairs for every importer.

    Core drops a file that equals an earlier one, even when a different one was scraped in between;
    here the last one wins. In core one bad file ends the whole import; here, with `alone`, it is
    added to `refused`.
    """

    alone = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.refused: list[Refused] = []

    def _prepare_imports(
        self, dicts: Iterable[dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for data in dicts:
            self.current = data.pop("_id")
            yield self.current, data

    def import_item(self, data: dict[str, Any], allow_duplicates: bool = False) -> Any:
        if not self.alone:
            return super().import_item(data, allow_duplicates)  # type: ignore[misc]
        seen_actions = set(getattr(self, "seen_action_ids", ()))
        try:
            with transaction.atomic():
                result = super().import_item(data, allow_duplicates)  # type: ignore[misc]
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
                return result
        except Exception as exc:
            unresolved = isinstance(exc, LegislativeSession.DoesNotExist)
            why = f"{type(exc).__name__}: {exc}"
            self.refused.append(Refused(self.current, why, unresolved))
            self.seen_action_ids = seen_actions
            return None, "noop"


class Jurisdictions(_Repaired, core.JurisdictionImporter):  # type: ignore[misc]
    pass


class Bills(_Repaired, core.BillImporter):  # type: ignore[misc]
    def prepare_for_db(self, data: dict[str, Any]) -> Any:
        data = super().prepare_for_db(data)
        for action in data["actions"]:
            _name_all(action["related_entities"], "person_id", "organization_id")
        return data


class Votes(_Repaired, core.VoteEventImporter):  # type: ignore[misc]
    """Also records, in `named`, the bill and action that each file names."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.named: dict[str, NamedAction] = {}

    def import_item(self, data: dict[str, Any], allow_duplicates: bool = False) -> Any:
        # Core finds a vote's bill by `_id` only within the same import.
        named, bills = data["bill"], self.bill_importer
        if named and not named.startswith("~") and named not in bills.json_to_db_id:
            text = bills.apply_transformers({"identifier": data.get("bill_identifier") or ""})
            with contextlib.suppress(Bill.DoesNotExist, UnresolvedIdError):
                bills.json_to_db_id[named] = Bill.objects.get(
                    legislative_session__jurisdiction_id=self.jurisdiction_id,
                    legislative_session__identifier=data["legislative_session"],
                    identifier=text["identifier"],
                ).id
        return super().import_item(data, allow_duplicates)

    def prepare_for_db(self, data: dict[str, Any]) -> Any:
        action = data.get("bill_action") or ""
        data = super().prepare_for_db(data)
        self.named[self.current] = NamedAction(
            self.current, data["bill_id"], action, data["start_date"], data["organization_id"]
        )
        return data

    def get_object(self, data: dict[str, Any]) -> Any:
        # Core looks up a dedupe key in all jurisdictions.
        if data.get("dedupe_key"):
            with contextlib.suppress(VoteEvent.DoesNotExist, VoteEvent.MultipleObjectsReturned):
                super().get_object(data)  # records the bill's votes, which may be stale
            return VoteEvent.objects.get(
                dedupe_key=data["dedupe_key"],
                legislative_session__jurisdiction_id=self.jurisdiction_id,
            )
        return super().get_object(data)


class Events(_Repaired, core.EventImporter):  # type: ignore[misc]
    def prepare_for_db(self, data: dict[str, Any]) -> Any:
        data = super().prepare_for_db(data)
        _name_all(data["participants"], "person_id", "organization_id")
        for item in data["agenda"]:
            _name_all(
                item["related_entities"],
                *("person_id", "organization_id", "bill_id", "vote_event_id"),
            )
        return data


def _name_all(entities: list[dict[str, Any]], *references: str) -> None:
    # Core compares only the keys of a list's first item, so that a changed reference of another
    # item would not be written.
    for entity in entities:
        for name in references:
            entity.setdefault(name, None)


Action = tuple[str, str, str, str]


def tied_actions() -> dict[str, Action]:
    """The bill, description, date and organization of the action that a vote event is tied to."""
    tied = VoteEvent.objects.filter(bill_action__isnull=False)
    names = ("bill_id", "description", "date", "organization_id")
    return {
        vote: tuple(action)
        for vote, *action in tied.values_list("id", *(f"bill_action__{name}" for name in names))
    }


def match_actions(
    votes: Votes,
    files: Iterable[str],
    bills: Iterable[str],
    kept: Mapping[str, Action] | None = None,
) -> None:
    """Link the vote events of these bills to the actions that `files` name, in this order.

    As in core, the first file to name an action gets it; before all of them, the vote events in
    `kept` get theirs. All links are cleared before, because a stale vote event would keep its
    action.
    """
    covered = set(bills)
    VoteEvent.objects.filter(bill_id__in=covered).update(bill_action=None)
    for vote, action in (kept or {}).items():
        if action[0] in covered:
            _tie(vote, action)
    for name in files:
        named, row = votes.named[name], votes.json_to_db_id.get(name)
        if named.action and named.bill in covered and row is not None:
            _tie(row, (named.bill, named.action, named.date, named.organization))


def _tie(vote: str, action: Action) -> None:
    bill, description, date, organization = action
    actions = BillAction.objects.filter(
        bill_id=bill, description=description, date=date, organization_id=organization
    ).values_list("id", "vote")[:2]
    if len(actions) == 1 and actions[0][1] is None:
        VoteEvent.objects.filter(id=vote).update(bill_action=actions[0][0])
