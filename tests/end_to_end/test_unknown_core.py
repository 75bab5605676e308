"""On a core whose importers have changed, core's own importers do the work."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import openstates
import psycopg2
import pytest

from tests import scrapes, support


@pytest.fixture
def changed_core(tmp_path: Path) -> Path:
    """A folder with a core that no longer has what the set-based importers take from it."""
    folder = tmp_path / "newer"
    package = folder / "openstates"
    shutil.copytree(
        Path(openstates.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("__pycache__", "tests"),
    )
    (package / "importers" / "computed_fields.py").rename(package / "importers" / "computed.py")
    for name in ("bills", "organizations"):
        source = package / "importers" / f"{name}.py"
        text = source.read_text().replace("_NORMALIZE_SQL_TEMPLATE", "_NORMALIZED")
        source.write_text(text.replace(".computed_fields", ".computed"))
    return folder


def test_import__unknown_core_release__core_importers_used_with_a_warning(
    changed_core: Path,
    tmp_path: Path,
    database_url: str,
    run_manage: Callable[..., support.CompletedText],
) -> None:
    scrape = tmp_path / "scrape"
    scrape.mkdir()
    jurisdiction, bill = scrapes.jurisdiction(), scrapes.bill()
    (scrape / "jurisdiction_wy.json").write_text(json.dumps(jurisdiction))
    (scrape / f"bill_{bill['_id']}.json").write_text(json.dumps(bill))
    result = run_manage(
        "import_realtime", "--directory", str(scrape), "--jurisdiction", "wy", "--json",
        env={**os.environ, "DATABASE_URL": database_url, "PYTHONPATH": str(changed_core)},
    )  # fmt: skip
    assert json.loads(result.stdout.splitlines()[-1])["types"]["bill"]["inserted"] == 1
    assert result.stderr.count("core's own importers do the work") == 1
    assert "--importer core" in result.stderr
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM opencivicdata_bill")
        assert cursor.fetchone() == (1,)
