"""Translates between abbreviations and jurisdiction ids, by core's own metadata.

Congress is `usa` as a scraper module and `us` in core's metadata.
"""

import re
from collections.abc import Iterable

from openstates import metadata

from realtime.domain.errors import ConfigurationError


def jurisdiction_of(abbr: str) -> str:
    """The jurisdiction id for an abbreviation (`us` or `usa` for Congress); empty if unknown."""
    if not abbr:
        return ""  # which core's metadata takes for no question
    try:
        found: str = metadata.lookup(abbr="us" if abbr == "usa" else abbr).jurisdiction_id
    except KeyError:
        return ""
    return found


def abbreviation_of(jurisdiction_id: str) -> str:
    """The lower-case abbreviation of a jurisdiction (`us` for Congress); its id if unknown."""
    try:
        abbr: str = metadata.lookup(jurisdiction_id=jurisdiction_id).abbr
    except KeyError:
        return jurisdiction_id
    return abbr.lower()


def folder_of(jurisdiction_id: str) -> str:
    """The folder of a jurisdiction's scraped files: its scraper module's name (`usa` for Congress);
    one made of its id if core does not know it."""
    abbr = abbreviation_of(jurisdiction_id)
    return "usa" if abbr == "us" else re.sub(r"[^\w.-]+", "-", abbr)


def jurisdictions(abbreviations: Iterable[str]) -> dict[str, str]:
    """The jurisdiction id for each abbreviation given as `--jurisdiction`.

    Raises ConfigurationError for an abbreviation that core does not know.
    """
    found = {abbr: jurisdiction_of(abbr) for abbr in abbreviations}
    for abbr, jurisdiction_id in found.items():
        if not jurisdiction_id:
            raise ConfigurationError(f"--jurisdiction {abbr!r} is not an abbreviation core knows")
    return found
