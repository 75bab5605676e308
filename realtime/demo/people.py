"""Writes the invented legislators as YAML files of the people repository."""

import uuid
from collections.abc import Iterable
from pathlib import Path

import yaml

from realtime.demo.legislature import HOUSE, Legislator

_JURISDICTION = "ocd-jurisdiction/country:us/state:wy/government"
# Before the session, so that all are members throughout it.
_TOOK_OFFICE = "2023-01-10"


def write(legislators: Iterable[Legislator], folder: Path) -> None:
    """Write one YAML file for each person into `folder`, which must not exist yet.

    A person has the same id in every demo.
    """
    folder.mkdir(parents=True)
    for member in legislators:
        person = {
            "id": f"ocd-person/{uuid.uuid5(uuid.NAMESPACE_URL, f'sample:{member.name}')}",
            "name": member.name,
            "given_name": member.given_name,
            "family_name": member.family_name,
            "party": [{"name": member.party}],
            "roles": [
                {
                    "type": "lower" if member.chamber == HOUSE else "upper",
                    "jurisdiction": _JURISDICTION,
                    "district": member.district,
                    "start_date": _TOOK_OFFICE,
                }
            ],
        }
        path = folder / f"{member.name.replace(' ', '-')}.yml"
        path.write_text(yaml.safe_dump(person, sort_keys=False))
