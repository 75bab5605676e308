"""`make core-check`: what it compares, what it installs and the line that it prints."""

import ast
from pathlib import Path

import openstates
import pytest

from realtime.importers.bulk import known_cores
from tests.core_check import __main__ as core_check
from tests.core_check import environment, releases
from tests.core_check.changes import WATCHED, changes
from tests.core_check.releases import Release, line_to_add, newest_known
from tests.support import ROOT

CORE = Path(openstates.__file__).parent
# Reference data, and the reading of it.
UNWATCHED = ("metadata/", "__init__.py")


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A release whose importers no digest of ours describes."""
    importers = tmp_path / "openstates" / "importers"
    importers.mkdir(parents=True)
    (importers / "base.py").write_text("changed = True")
    return Release("6.27.0", tmp_path / "openstates.whl", tmp_path)


def write(folder: Path, source: str) -> Path:
    path = folder / "openstates" / "importers" / "base.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    return folder


def cores_modules() -> set[str]:
    """The files of core that this project imports from, below core's package."""
    named = set()
    for path in (ROOT / "realtime").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = set()
    for module in (name for name in named if name.split(".")[0] == "openstates"):
        place = CORE.joinpath(*module.split(".")[1:])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.exists():
                found.add(path.relative_to(CORE).as_posix())
    return found


def test_watched__modules_that_we_import__are_all_among_them() -> None:
    assert [name for name in WATCHED if not (CORE / name).exists()] == []
    modules = {name for name in cores_modules() if not name.startswith(UNWATCHED)}
    assert "importers/base.py" in modules
    assert [name for name in sorted(modules) if not name.startswith(WATCHED)] == []


def test_changes__method_changed__names_it_who_uses_it_and_the_difference(tmp_path: Path) -> None:
    source = "LIMIT = 1\nclass Base:\n    def import_data(self):\n        return {}\n"
    old = write(tmp_path / "old", source)
    new = write(tmp_path / "new", source.replace("{}", "None"))
    (change,) = changes(old, new)
    assert (change.path, change.name) == ("importers/base.py", "Base.import_data")
    assert any(name.startswith("importers/") for name in change.ours)
    assert "-        return {}\n+        return None" in change.diff


def test_changes__comments_and_layout_changed__nothing(tmp_path: Path) -> None:
    old = write(tmp_path / "old", "def prepare(data):\n    return data\n")
    new = write(tmp_path / "new", "# As it is.\ndef prepare(data): return data  # still\n")
    assert list(changes(old, new)) == []


def test_changes__file_added_and_constant_removed__both(tmp_path: Path) -> None:
    old = write(tmp_path / "old", "LIMIT = 1\n")
    new = write(tmp_path / "new", "")
    (new / "openstates" / "importers" / "sets.py").write_text("def write(): pass\n")
    assert {str(change).split(" (")[0] for change in changes(old, new)} == {
        "importers/base.py: *",
        "importers/sets.py: write",
    }


def test_digest_of__installed_core__is_a_known_one() -> None:
    assert known_cores.digest_of(CORE / "importers") == known_cores.core_digest()
    assert known_cores.core_digest() in known_cores.KNOWN


def test_newest_known__whatever_the_order__by_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "KNOWN", {"a": "6.9.1, 6.10.0", "b": "6.2.0"})
    assert newest_known() == "6.10.0"


def test_line_to_add__unknown_digest__a_line_of_its_own(release: Release) -> None:
    assert line_to_add(release) == f'    "{release.digest}": "6.27.0",'


def test_line_to_add__known_digest__release_joins_its_line(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "KNOWN", {release.digest: "6.9.1, 6.28.0"})
    assert line_to_add(release) == f'    "{release.digest}": "6.9.1, 6.27.0, 6.28.0",'


def test_line_to_add__known_release__empty(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "KNOWN", {release.digest: "6.26.0, 6.27.0"})
    assert line_to_add(release) == ""


def test_without_core__lock__loses_its_entries_alone() -> None:
    lock = (
        "# made by uv\na==1 \\\n    --hash=sha256:1\n    # via b\n"
        "openstates==2 ; python_full_version < '3.13' \\\n    --hash=sha256:2\n    # via c\n"
        "openstates==3 ; python_full_version >= '3.13' \\\n    --hash=sha256:3\n"
        "z==4 \\\n    --hash=sha256:4\n"
    )
    assert environment.without_core(lock) == (
        "# made by uv\na==1 \\\n    --hash=sha256:1\n    # via b\nz==4 \\\n    --hash=sha256:4\n"
    )


def test_verdict__a_suite_failed_or_did_not_run__not_admitted(release: Release) -> None:
    passed = core_check.Counts(passed=5)
    result = core_check.Result(release, counts=dict.fromkeys(core_check.SUITES, passed))
    assert result.good
    assert line_to_add(release) in core_check.verdict(result)
    for other in (core_check.Counts(passed=4, failed=1), core_check.Counts(skipped=5)):
        result.counts["set-based"] = other
        assert not result.good
        assert release.digest not in core_check.verdict(result)


def test_table__suites_that_did_not_run__say_so_in_a_full_row(release: Release) -> None:
    result = core_check.Result(release, "3.13.0", counts={"core's tests": core_check.Counts(7, 1)})
    head, _, row = core_check.table([result], "6.26.4").splitlines()
    assert row.count("|") == head.count("|")
    assert "| 7 / 1 | not run | not run |" in row
    assert "| 6.27.0 | 3.13.0 |" in row


def test_main__no_such_release__one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(version: str) -> Release:
        raise ValueError(f"openstates {version} cannot be fetched")

    monkeypatch.setattr(core_check, "fetch", refuse)
    assert core_check.main(["6.99.0"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
