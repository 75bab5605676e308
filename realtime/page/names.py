"""Names of jurisdictions, from core's metadata."""

from functools import cache

from openstates import metadata

UNNAMED = "No jurisdiction"


@cache
def name_of(jurisdiction_id: str) -> str:
    """The jurisdiction's name; its id when core's metadata has none; UNNAMED for the empty id."""
    if not jurisdiction_id:
        return UNNAMED
    try:
        name: str = metadata.lookup(jurisdiction_id=jurisdiction_id).name
    except KeyError:
        return jurisdiction_id
    return name
