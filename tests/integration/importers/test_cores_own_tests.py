"""Core's own importer tests, as they are and with its importers replaced by ours."""

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from itertools import product
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
    for name, (whose, importers) in product(MODULES, {"core": core, "ours": ours}.items()):
        module = fresh(f"openstates.importers.tests.test_{name}")
        for test_name, function in inspect.getmembers(module, inspect.isfunction):
            if test_name.startswith("test_"):
                identifier = f"{name}-{test_name}-{whose}"
                yield pytest.param(importers, module, function, id=identifier)


def fresh(name: str) -> Any:
    """The module, loaded anew: some of core's tests change what their modules hold."""
    spec = importlib.util.find_spec(name)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def empty_tables(bare_database: str) -> Iterator[None]:
    """Core's schema and nothing in it; all that a test does is undone."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def use_importers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any], None]:
    """Has a module of core's tests use the importers of `core` or of `ours`."""

    def use(importers: Any, module: Any) -> None:
        # Some of core's tests change its settings and leave them so.
        former = dict(core_settings.IMPORT_TRANSFORMERS)
        monkeypatch.setattr(core_settings, "IMPORT_TRANSFORMERS", former)
        for name in ours.__all__:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(importers, name))
        if hasattr(module, "vei"):
            # What these have looked up stays with them from test to test.
            bills = importers.BillImporter(module.jid)
            monkeypatch.setattr(module, "bi", bills)
            monkeypatch.setattr(module, "vei", importers.VoteEventImporter(module.jid, bills))

    return use


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("importers", "module", "function"), core_tests())
def test_cores_test__with_these_importers__passes(
    importers: Any,
    module: Any,
    function: Callable[[], None],
    empty_tables: None,
    use_importers: Callable[[Any, Any], None],
    settings: SettingsWrapper,
) -> None:
    settings.USE_TZ = False  # as in core's own settings for its tests
    use_importers(importers, module)
    function()


def test_replacement__of_every_importer__is_a_subclass_of_cores() -> None:
    for name in ours.__all__:
        assert issubclass(getattr(ours, name), getattr(core, name))
