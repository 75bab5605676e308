"""What a file has core look up, and which of it can name nothing at all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import FieldError, ValidationError
from django.db.models import Model
from openstates.data import models

from realtime.domain.text import all_storable
from realtime.importers.diagnosis.paths import shown
from realtime.importers.pseudo_ids import require_plain, spec_of

# Core takes these out of a query and looks for them in ways of its own.
_HANDLED = ("name", "chamber")


@dataclass(frozen=True)
class Reference:
    """What names a row of `model`, which sentences call `noun`.

    It may be the scrape id of another file where that is `by_id`, and a null or whatever Python
    takes for false may stand instead where core asks for that first. `text` is the name in a
    query that core handles as text; with `only_text` core reads nothing else of it.
    """

    noun: str
    model: type[Model]
    text: str = ""
    by_id: bool = True
    only_text: bool = False
    or_null: bool = False
    or_false: bool = False

    def problem_with(self, value: Any) -> str:
        """Why `value` can name nothing, whatever the database holds; empty if it can."""
        if (self.or_null and value is None) or (self.or_false and not value):
            return ""
        why = self._problem_with(value)
        return f"names no {self.noun}: {why}" if why else ""

    def _problem_with(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            return shown(value)
        if not value.startswith("~"):
            return "" if self.by_id else f"{shown(value)} does not start with ~"
        spec = spec_of(value)
        if spec is None:
            return f"after ~ comes no JSON object: {shown(value)}"
        if not isinstance(spec.get(self.text, ""), str):
            return f"{self.text} is no text: {shown(spec[self.text])}"
        if self.only_text:
            return "" if self.text in spec else f"it says no {self.text}"
        return self._query_problem({k: v for k, v in spec.items() if k not in _HANDLED})

    def _query_problem(self, spec: Mapping[str, Any]) -> str:
        if not all_storable(spec):
            return "it holds a NUL character or half of a surrogate pair"
        try:
            require_plain(spec, self.model)
            self.model._default_manager.filter(**spec)
        except (FieldError, TypeError, ValueError, AttributeError, ValidationError) as exc:
            return " ".join(str(exc).split())[:200]
        return ""


PERSON = Reference("person", models.Person, text="name", by_id=False)
ORGANIZATION = Reference("organization", models.Organization, text="name")
VOTE_EVENT = Reference("vote event", models.VoteEvent)
# What a vote event is about, and what an agenda names.
BILL = Reference("bill", models.Bill, text="identifier")
NAMED_BILL = replace(BILL, noun="bill's identifier", by_id=False, only_text=True)
