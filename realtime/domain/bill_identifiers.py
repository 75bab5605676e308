"""Identifiers of bills: as core stores them, and as people type them."""

import re
from typing import Any

from openstates import settings

# Letters and a number, with whatever stands between them: `H.B. 123`, `hb-0123`, `B25-0101`. Of
# extraordinary sessions the number has letters in it, `HB23B-1001`, or is two, `ABX1 5`.
_NUMBERED = re.compile(r"([A-Z][A-Z. ]{0,14}?)[ .#-]*(\d[\dA-Z-]{0,17}(?: \d{1,6})?)")
# Joint resolutions of Michigan have letters instead of a number.
_LETTERED = re.compile(r"([HS]\.?J\.?R)\.? *([A-Z]{1,2})")


def as_stored(identifier: Any) -> Any:
    """A bill's identifier as core stores it, by `IMPORT_TRANSFORMERS` of core's settings."""
    transformers = settings.IMPORT_TRANSFORMERS.get("bill", {}).get("identifier") or []
    for transform in transformers if isinstance(transformers, list) else [transformers]:
        identifier = transform(identifier)
    return identifier


def as_meant(text: str) -> str:
    """The identifier, as core stores it, that somebody means who types `text`: `hb123`, `HB 0123`
    and `H.B. 123` are `HB 123`. Empty for a text that is no identifier."""
    spelled = " ".join(text.upper().split())
    found = _NUMBERED.fullmatch(spelled) or _LETTERED.fullmatch(spelled)
    if not found:
        return ""
    letters = re.sub("[^A-Z]", "", found[1])
    identifier: str = as_stored(f"{letters} {found[2]}")
    return identifier
