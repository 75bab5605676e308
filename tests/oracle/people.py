"""People, loaded and merged by core's own `os-people to-database`."""

import contextlib
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from openstates.cli.people import load_directory_to_database
from openstates.data import models
from openstates.models.people import Person
from openstates.utils.people import to_database

from tests.oracle.files import Refused, ScrapedFile, in_order

# Core's statements need these tables of openstates.org.
_WEBSITE = """
    CREATE TEMP TABLE IF NOT EXISTS people_admin_unmatchedname (matched_person_id text);
    CREATE TEMP TABLE IF NOT EXISTS people_admin_persondelta (person_id text);
    CREATE TEMP TABLE IF NOT EXISTS people_admin_personretirement (person_id text)
"""


def import_people(*runs: Sequence[ScrapedFile]) -> list[Refused]:
    """Load people, each in its own transaction, and merge those whose ids another's file lists.

    Of several runs, all files in scrape order; a person is merged when no file of it is newer than
    the one that lists it, or of its run: as if the runs came one after the other.
    """
    to_database.cached_lookup.cache_clear()
    refused = []
    newest: dict[str, tuple[ScrapedFile, int]] = {}
    run_of = {id(file): number for number, files in enumerate(runs) for file in files}
    for file in in_order((file for files in runs for file in files), "person"):
        try:
            with transaction.atomic():
                to_database.load_person(Person(**file.content()))
        except (to_database.CancelTransaction, ValueError) as exc:
            why = f"{type(exc).__name__}: {exc}"
            refused.append(Refused(file.id, why, isinstance(exc, to_database.CancelTransaction)))
        else:
            newest[file.id] = file, run_of[id(file)]
    # Of several that list one person, the newest wins.
    merged = {
        old: new
        for new, (file, run) in sorted(newest.items(), key=lambda one: one[1][0].order)
        for old in _listed(file)
        if old not in newest or (newest[old][0].order < file.order and newest[old][1] != run)
    }
    if merged:
        _keep_references(merged)
        _merge([file for file, _ in newest.values() if file.id not in merged], merged)
    return refused


def _listed(file: ScrapedFile) -> list[str]:
    others = file.content().get("other_identifiers", [])
    return [one["identifier"] for one in others if one["scheme"] == "openstates"]


def _keep_references(merged: dict[str, str]) -> None:
    """Core empties all references but those of sponsorships and votes."""
    for old, new in merged.items():
        for model in (
            models.BillActionRelatedEntity,
            models.EventParticipant,
            models.EventRelatedEntity,
        ):
            model.objects.filter(person_id=old).update(person_id=new)
        committees = models.Membership.objects.filter(
            person_id=old, organization__classification__in=("committee", "subcommittee")
        )
        for seat in committees:
            if not seat.organization.memberships.filter(person_id=new).exists():
                models.Membership.objects.filter(id=seat.id).update(person_id=new)


def _merge(files: Sequence[ScrapedFile], merged: Mapping[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_WEBSITE)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        paths = []
        for number, file in enumerate(files):
            paths.append(Path(folder, f"{number}.yml"))
            paths[-1].write_text(json.dumps(_without_others(file, merged)))
            to_database.load_person(Person(**_without_others(file, merged)))
        # Having merged, it would rather stop than keep people who went missing.
        with contextlib.suppress(to_database.CancelTransaction):
            load_directory_to_database(paths, purge=False)
    # It leaves seats that nobody has.
    models.Membership.objects.filter(person=None, person_name="").delete()
    for file in files:
        to_database.load_person(Person(**file.content()))


def _without_others(file: ScrapedFile, merged: Mapping[str, str]) -> dict[str, Any]:
    """The person's file, without those whom another one's lists and wins: core gives up when two
    list one person."""
    content = file.content()
    content["other_identifiers"] = [
        one
        for one in content.get("other_identifiers", [])
        if merged.get(one["identifier"], file.id) == file.id
    ]
    return content
