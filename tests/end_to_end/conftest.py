"""The operators' page, served for the tests of one module."""

import os
import secrets
from collections.abc import Iterator

import pytest

from realtime.devstack import DevStack
from tests import page_site, scrapes
from tests.page_site import Site
from tests.support import Aws


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
