"""Core's own importer tests, with its importers replaced by ours."""

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from openstates import importers as core
from openstates import settings as core_settings
from pytest_django.fixtures import SettingsWrapper

from realtime import importers as ours

MODULES = (
    "base_importer",
    "bill_importer",
    "computed_fields",
    "event_importer",
    "jurisdiction_importer",
    "vote_event_importer",
)


def core_tests() -> Iterator[Any]:
    for name in MODULES:
        module = importlib.import_module(f"openstates.importers.tests.test_{name}")
        for test_name, function in inspect.getmembers(module, inspect.isfunction):
            if test_name.startswith("test_"):
                yield pytest.param(module, function, id=f"{name}-{test_name}")


@pytest.fixture
def empty_tables(bare_database: str) -> Iterator[None]:
    """Core's schema and nothing in it; all that a test does is undone."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def ours_in_place_of_cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def replace(module: Any) -> None:
        # Some of core's tests change its settings and leave them so.
        former = dict(core_settings.IMPORT_TRANSFORMERS)
        monkeypatch.setattr(core_settings, "IMPORT_TRANSFORMERS", former)
        for name in ours.__all__:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(ours, name))
        if hasattr(module, "vei"):
            bills = ours.BillImporter(module.jid)
            monkeypatch.setattr(module, "bi", bills)
            monkeypatch.setattr(module, "vei", ours.VoteEventImporter(module.jid, bills))

    return replace


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("module", "function"), core_tests())
def test_cores_test__with_our_importers__passes(
    module: Any,
    function: Callable[[], None],
    empty_tables: None,
    ours_in_place_of_cores: Callable[[Any], None],
    settings: SettingsWrapper,
) -> None:
    settings.USE_TZ = False  # as in core's own settings for its tests
    ours_in_place_of_cores(module)
    function()


def test_replacement__of_every_importer__is_a_subclass_of_cores() -> None:
    for name in ours.__all__:
        assert issubclass(getattr(ours, name), getattr(core, name))
