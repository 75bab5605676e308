"""Imports point one way, from commands down to values, and scrapers need no Django."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "realtime"

# Lowest first; a module may import its own layer and those below it.
LAYERS = (
    {"process"},
    {"domain"},
    {"backends", "apps", "roles"},
    {"models"},
    {"ledger"},
    {"sources"},
    {"producer", "output_handler"},
    {"files", "importers"},
    {"finalization", "monitoring"},
    {"delivery"},
    {"consumer"},
    # The page's own files first: Django finds the others by their names.
    {"page"},
    {"templatetags", "admin", "urls"},
    {"devstack", "demo", "lambda_handler", "management"},
)
# What scrapers load, where neither our settings nor a database are.
WITHOUT_DJANGO = (
    *("output_handler", "producer.scrape", "producer.producer", "producer.publish_files"),
    *("backends.sqs", "backends.s3", "backends.stores", "backends.folder", "backends.gs"),
)
MAY_USE_BOTO3 = {"backends", "devstack"}
MAY_READ_THE_ENVIRONMENT = {"output_handler", "lambda_handler", "devstack", "demo", "page"}
# What is loaded where the page is served, and nowhere else.
THE_PAGE = {"page", "templatetags", "admin", "urls"}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(folder: Path) -> dict[str, Path]:
    found = sorted(folder.rglob("*.py"))
    return {dotted(path): path for path in found if "migrations" not in path.parts}


MODULES = modules_of(PACKAGE)
PACKAGES = sorted({name.split(".")[1] for name in MODULES if "." in name})


def imported(path: Path, modules: Mapping[str, Path] = MODULES) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules else node.module


def layer(name: str) -> int:
    found = [number for number, names in enumerate(LAYERS) if name in names]
    assert found, f"realtime/{name} stands in no layer"
    return found[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports__of_each_package__point_down(package: str) -> None:
    ours = {
        name.split(".")[1]
        for module, path in MODULES.items()
        if module.split(".")[1:2] == [package]
        for name in imported(path)
        if name.startswith("realtime.")
    }
    assert not {other for other in ours if layer(other) > layer(package)}
    if package not in ("devstack", "demo", "management"):
        assert not ours & {"devstack", "demo"}, "production code knows nothing of the demo"
    if package not in THE_PAGE:
        assert not ours & THE_PAGE, "what imports files does not load the page"


@pytest.mark.parametrize("root", ["realtime", "bench", "deploy"])
def test_imports__of_all_modules__make_no_circle(root: str) -> None:
    modules = modules_of(PACKAGE.parent / root)
    graph = {
        module: set(imported(path, modules)) & modules.keys() for module, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        raise AssertionError(" imports ".join(exc.args[1])) from exc


def test_architecture_page__each_module__named_once() -> None:
    page = (PACKAGE.parent / "docs/architecture.md").read_text()
    _, modules = page.split("## Modules")
    files = Counter(
        path.name
        for path in MODULES.values()
        if path.name != "__init__.py" and not {"devstack", "demo"} & set(path.parts)
    )
    assert Counter(re.findall(r"`(?:\w+/)*(\w+\.py)`", modules)) == files


def test_modules__directly_in_the_package__are_few() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 12


@pytest.mark.parametrize(("name", "path"), MODULES.items(), ids=lambda value: str(value))
def test_boto3_and_environment__only_where_they_belong(name: str, path: Path) -> None:
    package = [*name.split("."), ""][1]
    uses = {module.split(".")[0] for module in imported(path)}
    assert "boto3" not in uses or package in MAY_USE_BOTO3
    if "os.environ" in path.read_text():
        assert package in MAY_READ_THE_ENVIRONMENT


@pytest.mark.parametrize("name", WITHOUT_DJANGO)
def test_import__what_scrapers_load__without_settings_or_models(name: str) -> None:
    code = (
        f"import realtime.{name}, sys; from django.conf import settings; "
        "assert not settings.configured; "
        "assert not any(m in sys.modules for m in ('realtime.models', 'openstates.data.models'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


@pytest.mark.parametrize(
    ("bucket", "loaded"), [("/tmp", []), ("gs://x", ["google.cloud.storage"]), ("x", ["botocore"])]
)
def test_store__chosen_by_its_url__loads_no_other_provider_s_library(
    bucket: str, loaded: list[str]
) -> None:
    code = (
        "import sys; from realtime.backends.stores import store_of;"
        f" from realtime.domain.config import Bucket; store_of(Bucket({bucket!r}));"
        f" found = [m for m in ('botocore', 'google.cloud.storage') if m in sys.modules];"
        f" assert found == {loaded}, found"
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


def test_drop_in_importers__of_an_import_run__none_is_used() -> None:
    drop_in = {"realtime.importers.drop_in", "realtime.importers.whole_scrape"}
    users = {name for name, path in MODULES.items() if drop_in & set(imported(path))}
    assert users <= drop_in
