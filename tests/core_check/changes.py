"""Which functions of core differ between two releases, of those that this project builds upon."""

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

# What this project overrides, repeats or calls, below core's package.
WATCHED = (
    "cli/initdb.py",
    "cli/people.py",
    "cli/reports.py",
    "cli/update.py",
    "data/__init__.py",
    "data/models",
    "exceptions.py",
    "importers",
    "models",
    "scrape",
    "settings.py",
    "utils/__init__.py",
    "utils/django.py",
    "utils/generic.py",
    "utils/instrument.py",
    "utils/people/__init__.py",
    "utils/people/to_database.py",
    "utils/transformers.py",
)
_CONTEXT_LINES = 3


@dataclass(frozen=True)
class Change:
    """A function, method, or what else a class or module says, whose code differs."""

    path: str
    name: str
    # Modules of ours that use a name like it: they override it, repeat it or call it.
    ours: tuple[str, ...]
    diff: str

    def __str__(self) -> str:
        where = f" (named in {', '.join(self.ours)})" if self.ours else ""
        return f"{self.path}: {self.name}{where}"


def changes(old: Path, new: Path) -> Iterator[Change]:
    """What differs in the watched files of two folders that each hold `openstates/`.

    Comments and layout make no difference.
    """
    paths = sorted(set(_watched(old / "openstates")) | set(_watched(new / "openstates")))
    for path in paths:
        before, after = (_units(root / "openstates" / path) for root in (old, new))
        for name in dict.fromkeys([*before, *after]):
            was, now = before.get(name, _Unit("", "")), after.get(name, _Unit("", ""))
            if was.code != now.code:
                yield Change(path, name, _users(name), _diff(was.text, now.text))


@dataclass(frozen=True)
class _Unit:
    text: str
    # Without comments and layout.
    code: str


def _watched(package: Path) -> Iterator[str]:
    for name in WATCHED:
        place = package / name
        for path in [place] if place.is_file() else place.rglob("*.py"):
            if "tests" not in path.parts:
                yield path.relative_to(package).as_posix()


def _units(path: Path) -> dict[str, _Unit]:
    if not path.exists():
        return {}
    source = path.read_text()
    parts: dict[str, list[ast.stmt]] = {}
    _collect(ast.parse(source).body, "", parts)
    return {
        name: _Unit(
            "\n".join(ast.get_source_segment(source, node) or "" for node in nodes),
            "\n".join(map(ast.unparse, nodes)),
        )
        for name, nodes in parts.items()
    }


def _collect(body: list[ast.stmt], within: str, parts: dict[str, list[ast.stmt]]) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef):
            _collect(node.body, f"{within}{node.name}.", parts)
        elif isinstance(node, ast.FunctionDef):
            parts.setdefault(f"{within}{node.name}", []).append(node)
        else:
            parts.setdefault(f"{within}*", []).append(node)


def _users(name: str) -> tuple[str, ...]:
    last = name.split(".")[-1]
    if last == "*" or last.startswith("__"):
        return ()
    word = re.compile(rf"\b{re.escape(last)}\b")
    package = ROOT / "realtime"
    files = sorted(package.rglob("*.py"))
    return tuple(str(p.relative_to(package)) for p in files if word.search(p.read_text()))


def _diff(was: str, now: str) -> str:
    lines = difflib.unified_diff(was.splitlines(), now.splitlines(), n=_CONTEXT_LINES, lineterm="")
    return "\n".join(list(lines)[2:])
