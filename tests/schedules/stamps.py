"""When core's rows say that they changed last, which is how readers ask for what is new."""

from collections.abc import Collection, Mapping
from typing import Any

import psycopg2
from django.db.models import Model
from openstates.data.models import Jurisdiction, Person

from tests.rows import roots

_GENERATED = ("id", "created_at", "updated_at", "latest_bill_update", "latest_people_update")
# Core sets these without touching the time of the row.
_SET_ASIDE = ("deleted", "related_bill_id", "vote_event_id", "bill_action_id")


class Stamps:
    """Compares `updated_at` of each row with that of the last look at it.

    Looks at the database `url` over a connection of its own, so that the server plans the statement
    once and not at each look.
    """

    def __init__(self, url: str) -> None:
        statement = " UNION ALL ".join(
            _digests(model, related)
            for model, related in roots()
            if any(field.name == "updated_at" for field in model._meta.concrete_fields)
        )
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(f"PREPARE look AS {statement}")
        self._seen: dict[tuple[str, str], tuple[Any, str, str]] = {}

    def begin(self) -> None:
        """Forget the last look, and look again."""
        self._seen = self._look()

    def close(self) -> None:
        self._connection.close()

    def check(self, anew: Collection[str] = ()) -> None:
        """Asserts that the time of a row has grown if the row has changed, and only then; rows with
        the ids `anew` may have been written twice, and be as before."""
        seen = self._look()
        # As core's merge of people, ours moves what refers to them without touching its time.
        merged = any(name not in seen for name in self._seen if name[0] == Person.__name__)
        for name, (at, whole, own) in seen.items():
            if name not in self._seen:
                continue
            at_before, whole_before, own_before = self._seen[name]
            assert at >= at_before, f"{name}: updated_at went back from {at_before} to {at}"
            if own != own_before and not merged:
                assert at > at_before, f"{name} has changed, but not its updated_at"
            if whole == whole_before and name[1] not in anew:
                assert at == at_before, f"{name} has a new updated_at, but has not changed"
        self._seen = seen

    def _look(self) -> dict[tuple[str, str], tuple[Any, str, str]]:
        with self._connection.cursor() as cursor:
            cursor.execute("EXECUTE look")
            return {(model, key): (at, *digests) for model, key, at, *digests in cursor}


def _digests(model: type[Model], related: Mapping[str, Any]) -> str:
    whole = _as_json("row", related, _GENERATED)
    # Nor does core touch it for a new session.
    own_related = {} if model is Jurisdiction else related
    own = _as_json("row", own_related, (*_GENERATED, *_SET_ASIDE))
    return (
        f"SELECT '{model.__name__}', id, updated_at, md5(({whole})::text), md5(({own})::text)"
        f" FROM {model._meta.db_table} AS row"
    )


def _as_json(alias: str, related: Mapping[str, Any], without: tuple[str, ...]) -> str:
    parts = [f"to_jsonb({alias}) - '{{{','.join(without)}}}'::text[]"]
    for number, (name, (model, column, below)) in enumerate(related.items()):
        child, table = f"{alias}_{number}", model._meta.db_table
        one = _as_json(child, below, (*without, column))
        parts.append(
            f"jsonb_build_object('{name}', (SELECT jsonb_agg(one ORDER BY one::text) FROM"
            f" (SELECT {one} AS one FROM {table} AS {child} WHERE {child}.{column} = {alias}.id)"
            f" AS {child}))"
        )
    return " || ".join(f"({part})" for part in parts)
