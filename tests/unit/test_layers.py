"""Imports point one way, from commands down to values, and scrapers need no Django."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "realtime"

# Lowest first; a module may import its own layer and those below it.
LAYERS = (
    {"aws", "errors", "config", "messages", "scraped", "batching", "database", "logs",
     "ports", "threads", "apps", "pooler"},
    {"models"},
    {"sqs", "s3", "database_secret", "backend", "locks", "ledger", "failures", "whereabouts",
     "history", "report", "metrics", "fetching", "lease", "inbox", "outbox", "retrying", "spool",
     "importers", "runs", "waiting", "rereading"},
    {"work", "deliveries", "intake", "batch_import", "jurisdiction_batches", "parked", "archive",
     "ingest", "finalization", "prune", "resend", "folder", "producer", "publishing", "existing",
     "status"},
    # The page's own files first: Django finds the others by their names.
    {"page"},
    {"templatetags", "admin", "urls"},
    {"management", "checks", "lambda_handler", "output_handler", "update", "devstack", "demo"},
)  # fmt: skip
# What scrapers load, where neither our settings nor a database are.
WITHOUT_DJANGO = ("output_handler", "update", "producer", "publishing", "sqs", "s3")
MAY_USE_BOTO3 = {"aws", "devstack"}
MAY_READ_THE_ENVIRONMENT = {"output_handler", "lambda_handler", "devstack", "demo", "page"}
# What is loaded where the page is served, and nowhere else.
THE_PAGE = {"page", "templatetags", "admin", "urls"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name not in ("__init__", "migrations"):
            yield name, path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def layer(name: str) -> int:
    found = [number for number, names in enumerate(LAYERS) if name in names]
    assert found, f"realtime/{name} stands in no layer"
    return found[0]


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: str(value))
def test_imports__of_each_module__point_down(name: str, path: Path) -> None:
    ours = {m.split(".")[1] for m in imported(path) if m.startswith("realtime.")}
    too_high = {other for other in ours if layer(other) > layer(name)}
    assert not too_high
    if name not in ("devstack", "demo", "management"):
        assert not ours & {"devstack", "demo"}, "production code knows nothing of the demo"
    if name not in THE_PAGE:
        assert not ours & THE_PAGE, "what imports files does not load the page"


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: str(value))
def test_boto3_and_environment__only_where_they_belong(name: str, path: Path) -> None:
    uses = {module.split(".")[0] for module in imported(path)}
    assert "boto3" not in uses or name in MAY_USE_BOTO3
    if "os.environ" in path.read_text():
        assert name in MAY_READ_THE_ENVIRONMENT


@pytest.mark.parametrize("name", WITHOUT_DJANGO)
def test_import__what_scrapers_load__without_settings_or_models(name: str) -> None:
    code = (
        f"import realtime.{name}, sys; from django.conf import settings; "
        "assert not settings.configured; "
        "assert not any(m in sys.modules for m in ('realtime.models', 'openstates.data.models'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_import_realtime__its_start__loads_no_part_of_the_page() -> None:
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'; django.setup();"
        " import realtime.management.commands.import_realtime;"
        " assert not [m for m in sys.modules if m.startswith(('django.contrib.admin',"
        " 'django.contrib.auth', 'django.contrib.sessions', 'realtime.page', 'svg', 'whitenoise'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
