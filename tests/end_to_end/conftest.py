"""What tests of whole processes share: the database as they see it, and the operators' page."""

import os
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from realtime.devstack import DevStack
from tests import page_site, scrapes
from tests.page_site import Site
from tests.support import Aws

# The modules that `make test` runs, too: one or two for each command that many use.
QUICK = (
    "test_import_realtime",
    "test_publish_realtime",
    "test_scrape_realtime",
    "test_status_realtime",
    "test_without_queue",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the other modules as thorough, unless they are long or of deployment."""
    for item in items:
        module = Path(str(item.fspath))
        is_ours = module.parent == Path(__file__).parent and module.stem not in QUICK
        if is_ours and not {"long", "deploy"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker("thorough")


@pytest.fixture
def rows(environment: dict[str, str]) -> Callable[[str], list[tuple[Any, ...]]]:
    """Executes SQL, each time on a connection of its own; returns the rows."""

    def query(sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(environment["DATABASE_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

    return query


@pytest.fixture
def session(rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
    """Wyoming's legislative session 2031 is in."""
    wyoming = scrapes.WYOMING.jurisdiction_id
    rows(
        "INSERT INTO opencivicdata_legislativesession"
        " (id, jurisdiction_id, identifier, name, classification, start_date, end_date, active)"
        f" VALUES ('{uuid.uuid4()}', '{wyoming}', '2031', '2031', 'primary', '', '', true)"
    )


@pytest.fixture(scope="module")
def site(stack: DevStack, seeded_template: str, module_aws: Aws) -> Iterator[Site]:
    """A site with an operator and a visitor; Wyoming's legislative session is in."""
    name = f"site_{secrets.token_hex(6)}"
    url = stack.postgres.create_database(name, template=seeded_template)
    environment = page_site.prepare({**os.environ, **module_aws.environment, "DATABASE_URL": url})
    with page_site.serving(environment, module_aws) as running:
        running.publish(scrapes.jurisdiction(), "wy/jurisdiction_wy.json")
        running.run()
        yield running
    stack.postgres.drop_database(name)
