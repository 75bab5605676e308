"""Core's importers, with repairs that only remove dependence on accident, such as file order."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, Q
from openstates import importers as core
from openstates.data.models import (
    Bill,
    BillAction,
    LegislativeSession,
    Organization,
    Person,
    VoteEvent,
)
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


class _Organizations(core.OrganizationImporter):  # type: ignore[misc]
    """Core's, but what was looked up in vain for one object is looked up again for the next."""

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> Any:
        found = super().resolve_json_id(json_id, allow_no_match)
        if found is None:
            self.pseudo_id_cache.pop(json_id, None)
        return found


class OneCachePerChamber:
    """Gives each chamber its own cache of people; asks for a person by id, then by name.

    Core's cache ignores the chamber, so that the order of files decides between namesakes.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.org_importer = _Organizations(args[0])

    def resolve_person(self, name: str, *dates: Any, **more: Any) -> Any:
        asked = json.loads(name[1:])
        if {"id", "name"} <= asked.keys():
            has_id = Q(id=asked["id"]) | Q(identifiers__identifier=asked.pop("id"))
            here = Q(
                memberships__organization__jurisdiction_id=self.jurisdiction_id  # type: ignore[attr-defined]
            )
            found = set(Person.objects.filter(has_id, here).values_list("id", flat=True))
            if len(found) == 1:
                return found.pop()
            name = "~" + json.dumps(asked)
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


class NullCommittees:
    """Leaves an action's committee empty where it does not resolve; core gives up the bill, unless
    an earlier object asked for the same one and could do without.

    Writes the identifiers of related bills as those of bills.
    """

    def prepare_for_db(self, data: dict[str, Any]) -> Any:
        session = self.get_session(data["legislative_session"])  # type: ignore[attr-defined]
        entities = [action["related_entities"] for action in data["actions"]]
        for action in data["actions"]:
            action["related_entities"] = []
        data = super().prepare_for_db(data)  # type: ignore[misc]
        for action, of_action in zip(data["actions"], entities, strict=True):
            action["related_entities"] = of_action
            for entity in of_action:
                if "organization_id" in entity:
                    found = self.org_importer.resolve_json_id(entity["organization_id"], True)  # type: ignore[attr-defined]
                    entity["organization_id"] = found
                elif "person_id" in entity:
                    entity["person_id"] = self.resolve_person(  # type: ignore[attr-defined]
                        entity["person_id"], session.start_date, session.end_date
                    )
        for related in data["related_bills"]:
            related["identifier"] = self.apply_transformers(dict(related))["identifier"]  # type: ignore[attr-defined]
        return data


class Bills(NullCommittees, _Repaired, core.BillImporter):  # type: ignore[misc]
    def prepare_for_db(self, data: dict[str, Any]) -> Any:
        data = super().prepare_for_db(data)
        for action in data["actions"]:
            _name_all(action["related_entities"], "person_id", "organization_id")
        return data


class OwnBill:
    """Looks a vote event up among those of its own bill and session.

    Core looks a dedupe key up everywhere, and an identifier without a bill in the whole session.
    """

    def get_object(self, data: dict[str, Any]) -> Any:
        with contextlib.suppress(VoteEvent.DoesNotExist, VoteEvent.MultipleObjectsReturned):
            super().get_object(data)  # type: ignore[misc]  # notes the bill's votes: maybe stale
        spec = {name: data[name] for name in ("bill_id", "legislative_session_id")}
        keys: tuple[str, ...] = ("motion_text", "start_date", "organization_id")
        for name in ("identifier", "dedupe_key"):
            if data.get(name):
                keys = (name,)
        spec |= {name: data[name] for name in keys}
        return self.pick(data, VoteEvent.objects.filter(**spec))

    def pick(self, data: dict[str, Any], found: Any) -> Any:
        return found.get()


class OwnCommittee:
    """Finds the voters of a committee among its members, else in its chamber, else anywhere.

    Core takes the members of any committee.
    """

    def prepare_for_db(self, data: dict[str, Any]) -> Any:
        session = self.get_session(data["legislative_session"])  # type: ignore[attr-defined]
        asked = [vote["voter_id"] for vote in data["votes"]]
        data = super().prepare_for_db(data)  # type: ignore[misc]
        of = Organization.objects.get(id=data["organization_id"])
        if of.classification not in ("upper", "lower", "legislature"):
            dates = session.start_date, session.end_date
            for vote, name in zip(data["votes"], asked, strict=True):
                vote["voter_id"] = self._member(of, name, *dates)
        return data

    def _member(self, of: Organization, name: str, start: str, end: str) -> Any:
        text = " ".join(json.loads(name[1:])["name"].split())
        called = (
            Q(name__iexact=text) | Q(other_names__name__iexact=text) | Q(family_name__iexact=text)
        )
        seat = Q(memberships__organization=of)
        if start:
            seat &= Q(memberships__end_date="") | Q(memberships__end_date__gt=start)
        if end:
            seat &= Q(memberships__start_date="") | Q(memberships__start_date__lt=end)
        members = {one.id: one for one in Person.objects.filter(called & seat)}
        if len(members) > 1:
            members = {key: one for key, one in members.items() if one.current_role is not None}
            return next(iter(members)) if len(members) == 1 else None
        if members:
            return next(iter(members))
        chamber = of.parent and of.parent.classification
        resolve = self.resolve_person  # type: ignore[attr-defined]
        found = resolve(name, start, end, chamber) if chamber in ("upper", "lower") else None
        return found or resolve(name, start, end)


class Votes(OwnBill, OwnCommittee, _Repaired, core.VoteEventImporter):  # type: ignore[misc]
    """Also records, in `named`, the bill and action that each file names.

    Files of one run (`run_of` their id) that core takes for one vote event are two where their
    sources, counts or rolls differ, or the newer is looked up by a key that the older had not.
    `orders` is the place in the scrape order of each row's last file. `unresolved` are the bills of
    files that name another thing that is not there.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.named: dict[str, NamedAction] = {}
        self.run_of: Mapping[str, Any] = {}
        self.order_of: Mapping[str, Any] = {}
        self.orders: dict[str, Any] = {}
        self.unresolved: dict[str, Any] = {}
        self._held: dict[tuple[str, Any], Any] = {}
        self._last: dict[tuple[str, Any], Any] = {}
        self._keys: dict[tuple[str, Any], set[str]] = defaultdict(set)

    def pick(self, data: dict[str, Any], found: Any) -> Any:
        content, run = _content_of(data), self.run_of.get(self.current)
        ours = {row: self._held[row.id, run] for row in found if (row.id, run) in self._held}
        same = [
            row
            for row, held in ours.items()
            if (None in (content, held) or held == content)
            and self._found_by[0] in self._keys[row.id, run]
        ]
        if same:
            return max(same, key=lambda row: (ours[row] == content, self._last[row.id, run]))
        others = [row for row in found if row not in ours]
        if not others:
            raise VoteEvent.DoesNotExist
        return min(
            others,
            key=lambda row: (*_unlike(row, data), self.orders.get(row.id, ()), row.created_at),
        )

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
        elif named and named.startswith("~") and "legislative_session" not in named:
            # Core takes the only bill called so in any session.
            described = json.loads(named[1:])
            described["legislative_session__identifier"] = data["legislative_session"]
            data["bill"] = "~" + json.dumps(described)
        row, what = super().import_item(data, allow_duplicates)
        if row:
            held = row, self.run_of.get(self.current)
            self._held[held] = self._held.get(held) or self._content
            self._keys[held].update(self._found_by)
            self._last[held] = self.order_of.get(self.current, ())
            self.orders[row] = self.order_of.get(self.current, ())
        return row, what

    def prepare_for_db(self, data: dict[str, Any]) -> Any:
        action = data.get("bill_action") or ""
        self._content = _content_of(data)
        bill = data["bill"]
        try:
            data = super().prepare_for_db(data)
        except UnresolvedIdError:
            self.unresolved[self.current] = self.bill_importer.resolve_json_id(bill, True)
            raise
        self._found_by = _keys_of(data)
        self.named[self.current] = NamedAction(
            self.current, data["bill_id"], action, data["start_date"], data["organization_id"]
        )
        return data


def _content_of(data: dict[str, Any]) -> Any:
    """What two votes differ in; None for a file that has neither counts nor a roll."""
    if not data["counts"] and not data["votes"]:
        return None
    roll = sorted((str(vote["option"]), str(vote["voter_name"])) for vote in data["votes"])
    return _sources(data["sources"]), _counts(data["counts"]), roll


def _keys_of(data: dict[str, Any]) -> list[str]:
    """The keys by which a file's row is found; the first is the one it is looked up by."""
    motion = [data["motion_text"], data["start_date"], data["organization_id"]]
    named = [data.get("dedupe_key"), data.get("identifier")]
    kinds = zip(("dedupe", "identifier", "motion"), [*named, json.dumps(motion)], strict=True)
    return [f"{kind} {value}" for kind, value in kinds if value]


def _unlike(row: VoteEvent, data: dict[str, Any]) -> tuple[bool, bool]:
    return (
        _sources(row.sources.values()) != _sources(data["sources"]),
        _counts(row.counts.values()) != _counts(data["counts"]),
    )


def _sources(items: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return sorted((str(item["url"]), str(item["note"])) for item in items)


def _counts(items: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return sorted((str(item["option"]), str(item["value"])) for item in items)


class SessionOfTheDay:
    """Takes a bill on an agenda for one of a session that was on, else that began last before.

    Core takes the newest session where it is not sure.
    """

    def resolve_bill(self, bill_id: str, *, date: str) -> Any:
        day = date[:10]
        sessions = LegislativeSession.objects.filter(
            jurisdiction_id=self.jurisdiction_id,  # type: ignore[attr-defined]
            start_date__lte=day,
        )
        on = sessions.filter(Q(end_date="") | Q(end_date__gte=day))
        if not on:
            on = sessions.filter(start_date=sessions.aggregate(last=Max("start_date"))["last"])
        named = {"identifier": bill_id}
        bills = core.BillImporter(self.jurisdiction_id)  # type: ignore[attr-defined]
        named = bills.apply_transformers(named)
        found = Bill.objects.filter(legislative_session__in=on, **named)
        return found[0].id if len(found) == 1 else None


class Events(SessionOfTheDay, _Repaired, core.EventImporter):  # type: ignore[misc]
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

    As in core, the first file to name an action gets it, and no other does, even if the vote event
    of that file gets another one from a later file. Before all of them, the vote events in `kept`
    get theirs. All links are cleared before, because a stale vote event would keep its action.
    """
    covered = set(bills)
    VoteEvent.objects.filter(bill_id__in=covered).update(bill_action=None)
    seen: set[UUID] = set()
    for vote, action in (kept or {}).items():
        if action[0] in covered:
            _tie(vote, action, seen)
    for name in files:
        named, row = votes.named[name], votes.json_to_db_id.get(name)
        if named.action and named.bill in covered and row is not None:
            _tie(row, (named.bill, named.action, named.date, named.organization), seen)


def _tie(vote: str, action: Action, seen: set[UUID]) -> None:
    bill, description, date, organization = action
    actions = BillAction.objects.filter(
        bill_id=bill, description=description, date=date, organization_id=organization
    ).values_list("id", flat=True)[:2]
    if len(actions) == 1 and actions[0] not in seen:
        seen.add(actions[0])
        VoteEvent.objects.filter(id=vote).update(bill_action=actions[0])
