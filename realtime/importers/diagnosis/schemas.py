"""What core's JSON schemas object to in a scraped object.

They object to much that core's importers take (an unknown classification, no sources), so they
are asked last, of a file that is known to be bad and that the tables could hold.
"""

import datetime
from collections.abc import Mapping
from typing import Any

# Loads all that scrapers use.
import jsonschema
from openstates.scrape.schemas import bill, event, jurisdiction, vote_event

from realtime.importers.diagnosis.paths import join

_SCHEMAS: Mapping[str, Any] = {
    "bill": bill.schema,
    "event": event.schema,
    "jurisdiction": jurisdiction.schema,
    "vote_event": vote_event.schema,
}
# Core's schemas speak of the scraper's objects: in a file their times are text.
_TYPES = jsonschema.Draft3Validator.TYPE_CHECKER.redefine(
    "datetime", lambda _, value: isinstance(value, str | datetime.datetime)
).redefine("date", lambda _, value: isinstance(value, datetime.date))
_Validator = jsonschema.validators.extend(jsonschema.Draft3Validator, type_checker=_TYPES)


def objection(object_type: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """(field, problem) of the first objection; both are empty when there is none."""
    errors = _Validator(_SCHEMAS.get(object_type, {})).iter_errors(data)
    first = min(errors, key=lambda error: [str(part) for part in error.path], default=None)
    if first is None:
        return "", ""
    field = join("", *first.path)
    return field, f"{field or 'the file'}: {first.message[:300]}"
