"""A wrong value in every field of every object: what core would make of it, and what is said."""

import json
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from openstates import importers as core

from realtime.domain.errors import PoisonMessage
from realtime.domain.scraped_object import ScrapedObject, ScrapeOrder, read
from realtime.importers.core import people
from realtime.importers.diagnosis.explain import explain, problem_of
from realtime.importers.items import Item
from tests import scrapes
from tests.bad_input import edit, remove
from tests.full_scrapes import (
    full_bill,
    full_event,
    full_jurisdiction,
    full_person,
    full_vote_event,
)

MISSING = object()
LONG = "x" * 2001
WRONG: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "number": 7,
    "negative": -1,
    "true": True,
    "empty text": "",
    "text": "zzz",
    "NUL": "a\0b",
    "surrogate": "\udc80",
    "long": LONG,
    "list": ["zzz"],
    "empty list": [],
    "nested list": [[["zzz"]]],
    "object": {"zzz": 1},
    "empty object": {},
    "infinite": float("inf"),
    "pseudo id": "~[]",
}
# Of so many wrong values, one a field, in turn: a few hundred cases take seconds.
STRIDE = 11
# What the tests of intake are about, or our own rules and not core's.
_EVERYWHERE = ("/_id", "/id", "/jurisdiction", "/legislative_session", "/scraped_at")
_OURS = {
    "jurisdiction": ("/_id", "/id", "/division_id", "/classification"),
}
MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "jurisdiction": full_jurisdiction,
    "bill": full_bill,
    "vote_event": lambda: full_vote_event(full_bill()),
    "event": full_event,
    "person": full_person,
}


def pointers(value: Any, path: str = "") -> Iterator[str]:
    """The JSON pointers of everything in a value, itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        below = f"{path}/{name}"
        yield below
        if isinstance(item, dict | list):
            yield from pointers(item, below)


def wrong_values(object_type: str) -> Iterator[tuple[str, str]]:
    number = 0
    for pointer in pointers(MAKERS[object_type]()):
        if pointer.startswith(_OURS.get(object_type, _EVERYWHERE)):
            continue
        for name in WRONG:
            number += 1
            if number % STRIDE == 0:
                yield pointer, name


class Skipped(Exception):
    """Core found nothing under a reference, and says so in its log only."""


class Core:
    """Imports one object as core does, and takes it back."""

    def __init__(self) -> None:
        self._bill = full_bill()

    def refuses(self, content: ScrapedObject) -> BaseException | None:
        data = content.fresh()
        try:
            with transaction.atomic():
                if not self._import(content.object_type, data):
                    return Skipped()
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                transaction.set_rollback(True)
        except Exception as exc:
            return exc
        return None

    def _import(self, object_type: str, data: dict[str, Any]) -> Any:
        jurisdiction = scrapes.WYOMING.jurisdiction_id
        if object_type == "jurisdiction":
            return core.JurisdictionImporter(jurisdiction).import_item(data)[0]
        if object_type == "person":
            people.forget_organizations()
            return people.load(Item(None, data), jurisdiction, _NoHistory())
        bills = core.BillImporter(jurisdiction)
        if object_type == "bill":
            return bills.import_item(data)[0]
        votes = core.VoteEventImporter(jurisdiction, bills)
        if object_type == "event":
            return core.EventImporter(jurisdiction, votes).import_item(data)[0]
        bill = json.loads(json.dumps(self._bill))
        bills.json_to_db_id[data.get("bill")] = bills.import_item(bill)[0]
        return votes.import_item(data)[0]


class _NoHistory:
    def newest(self, core_id: str) -> ScrapeOrder | None:
        return None

    def newest_is_of(self, core_id: str, run_id: UUID | None) -> bool:
        return False

    def is_final(self, run_id: UUID) -> bool:
        return False

    def row_of(self, object_type: str, scrape_id: str) -> str | None:
        return None

    def vote_actions(self, vote_event_ids: Collection[str]) -> list[tuple[str, str]]:
        return []


@pytest.mark.parametrize("object_type", MAKERS)
def test_problem_of__wrong_value_anywhere__named_only_if_core_refuses_it(
    database: str, object_type: str
) -> None:
    session = scrapes.jurisdiction()
    core.JurisdictionImporter(scrapes.WYOMING.jurisdiction_id).import_data([session])
    reference, mistakes = Core(), []
    assert reference.refuses(_read(object_type, MAKERS[object_type]())) is None
    for pointer, name in wrong_values(object_type):
        data = MAKERS[object_type]()
        if WRONG[name] is MISSING:
            remove(data, pointer)
        else:
            edit(data, pointer, WRONG[name])
        content = _read(object_type, data)
        refused, problem = reference.refuses(content), problem_of(content)
        if refused is None and problem is not None:
            mistakes.append(f"{pointer} {name}: core takes it, we say {problem.detail[:100]}")
        elif refused is not None and not isinstance(refused, Skipped):
            said = explain(refused, content)
            path = pointer.removeprefix("/").replace("/", ".")
            if not isinstance(said, PoisonMessage):
                mistakes.append(f"{pointer} {name}: released: {said}")
            elif not _related(said.field, path):
                mistakes.append(f"{pointer} {name}: {said.field!r}: {said.detail[:100]}")
    assert not mistakes, "\n".join(mistakes)


def _read(object_type: str, data: dict[str, Any]) -> ScrapedObject:
    return read(object_type, json.dumps(data).encode(), datetime.now(UTC))


def _related(field: str, path: str) -> bool:
    """Whether what is said to be wrong is the place, above it or below it."""
    # Core's model of a person says what is wrong in an object as a whole as __root__.
    parts = [part for part in field.split(".") if part != "__root__"]
    wanted = path.split(".")
    shared = min(len(parts), len(wanted))
    return bool(field) and parts[:shared] == wanted[:shared]
