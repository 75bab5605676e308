"""Resolves the abbreviations given with `--jurisdiction`."""

from collections.abc import Iterable

from realtime.domain.errors import ConfigurationError
from realtime.files.fetch import jurisdiction_of


def jurisdictions(abbreviations: Iterable[str]) -> dict[str, str]:
    """Core's jurisdiction id for each abbreviation; `usa` and `us` are both Congress.

    Raises ConfigurationError for one that core does not know.
    """
    found = {abbr: jurisdiction_of(abbr) for abbr in abbreviations}
    for abbr, jurisdiction_id in found.items():
        if not jurisdiction_id:
            raise ConfigurationError(f"--jurisdiction {abbr!r} is not an abbreviation core knows")
    return found
