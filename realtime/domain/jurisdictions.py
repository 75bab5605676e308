"""Core's jurisdiction ids and their abbreviations, as core's own metadata has them."""

from collections.abc import Iterable

from openstates import metadata

from realtime.domain.errors import ConfigurationError


def jurisdiction_of(abbr: str) -> str:
    """Core's jurisdiction id for an abbreviation, `usa` for Congress included; empty if unknown."""
    try:
        found: str = metadata.lookup(abbr="us" if abbr == "usa" else abbr).jurisdiction_id
    except KeyError:
        return ""
    return found


def abbreviation_of(jurisdiction_id: str) -> str:
    """The abbreviation of a jurisdiction in lower case, `us` for Congress; its id if unknown."""
    try:
        abbr: str = metadata.lookup(jurisdiction_id=jurisdiction_id).abbr
    except KeyError:
        return jurisdiction_id
    return abbr.lower()


def jurisdictions(abbreviations: Iterable[str]) -> dict[str, str]:
    """Core's jurisdiction id for each abbreviation; `usa` and `us` are both Congress.

    Raises ConfigurationError for one that core does not know.
    """
    found = {abbr: jurisdiction_of(abbr) for abbr in abbreviations}
    for abbr, jurisdiction_id in found.items():
        if not jurisdiction_id:
            raise ConfigurationError(f"--jurisdiction {abbr!r} is not an abbreviation core knows")
    return found
