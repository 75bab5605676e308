"""Switches Django to a database, migrates it, and loads core's reference data."""

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from yaml import YAMLError

from realtime.backends.postgres.url import settings_for
from realtime.devstack.errors import StackError

if TYPE_CHECKING:
    from openstates.metadata.models import State

_PEOPLE_FOLDERS = ("legislature", "executive", "retired")


@contextmanager
def using_database(url: str) -> Iterator[None]:
    """Make `url` Django's default database within the block, in this thread and in new ones.

    This thread's connection is closed at both ends of the block; other threads keep theirs.
    """
    configured = connections.databases
    former = configured[DEFAULT_DB_ALIAS]
    _replace(settings_for(url))
    try:
        yield
    finally:
        _replace(former)


def _replace(settings: dict[str, object]) -> None:
    # Django creates a thread's connection on first use and keeps it, with its settings.
    connections[DEFAULT_DB_ALIAS].close()
    del connections[DEFAULT_DB_ALIAS]
    connections.databases[DEFAULT_DB_ALIAS] = settings


def migrate() -> None:
    """Migrate the default database: core's tables and ours."""
    with _quiet():
        call_command("migrate", verbosity=0, interactive=False)


@contextmanager
def _quiet() -> Iterator[None]:
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # Core prints every party, and its default times of a jurisdiction are naive.
        warnings.filterwarnings("ignore", "DateTimeField .* naive datetime", RuntimeWarning)
        yield


def lookup(abbr: str) -> "State":
    """Core's metadata of a jurisdiction; `usa`, the name of Congress's scraper, is core's `us`.

    Raises StackError for an abbreviation that core does not know.
    """
    from openstates import metadata

    try:
        return metadata.lookup(abbr="us" if abbr.lower() == "usa" else abbr)
    except (KeyError, ValueError) as error:
        raise StackError(f"{abbr!r} is not the abbreviation of a jurisdiction") from error


def load_jurisdiction(abbr: str) -> str:
    """Load core's jurisdiction, chambers, posts and parties; returns the jurisdiction's id.

    All or nothing, and repeatable. Raises StackError as `lookup` does.
    """
    from openstates.cli.initdb import create_full_jurisdiction
    from openstates.utils.people.to_database import create_parties

    state = lookup(abbr)
    with _quiet(), transaction.atomic():
        create_parties()
        create_full_jurisdiction(state)
    jurisdiction_id: str = state.jurisdiction_id
    return jurisdiction_id


def load_people(folder: Path) -> int:
    """Load a folder of the people repository; returns how many people it held.

    `folder` is a jurisdiction's folder, a folder of such folders, or a folder of YAML files. Each
    person is loaded in a separate transaction; people loaded before an error stay. Raises
    StackError naming the file that core refuses, or the folder without files.
    """
    from openstates.models.people import Person
    from openstates.utils.people import to_database

    # The cache may hold rows of the previous database.
    to_database.cached_lookup.cache_clear()
    paths = sorted(_person_files(folder))
    if not paths:
        raise StackError(f"no people's YAML files in {str(folder)!r}")
    for path in paths:
        # Core prints what is wrong and raises without a message.
        printed = io.StringIO()
        try:
            with redirect_stdout(printed), transaction.atomic():
                to_database.load_person(Person.load_yaml(path))
        except (to_database.CancelTransaction, ValueError, TypeError, YAMLError) as error:
            raise StackError(f"{path} cannot be loaded: {error}{printed.getvalue()}") from error
    return len(paths)


def _person_files(folder: Path) -> Iterable[Path]:
    structured = [
        path
        for name in _PEOPLE_FOLDERS
        for pattern in (f"{name}/*.yml", f"*/{name}/*.yml")
        for path in folder.glob(pattern)
    ]
    return structured or folder.glob("*.yml")
