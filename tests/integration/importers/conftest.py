"""Databases for tests of importers."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack import DevStack
from realtime.devstack.database import migrate, using_database


@pytest.fixture(scope="module")
def bare_database_url(stack: DevStack, django_db_blocker: _DatabaseBlocker) -> Iterator[str]:
    name = "bare"
    url = stack.postgres.create_database(name)
    with django_db_blocker.unblock(), using_database(url):
        migrate()
    yield url
    stack.postgres.drop_database(name)


@pytest.fixture
def bare_database(bare_database_url: str, django_db_blocker: _DatabaseBlocker) -> Iterator[str]:
    """Core's schema, empty, and shared by the tests of a module: leave nothing in it."""
    with django_db_blocker.unblock(), using_database(bare_database_url):
        yield bare_database_url
