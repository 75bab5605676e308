"""Which tests reach a line, as `make coverage` recorded it."""

import ast
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from coverage import CoverageData

from tests.support import ROOT

RECORD = ROOT / ".coverage"
# How many tests that are mostly about a module, and how many broad ones, are tried first.
SPECIFIC, BROAD = 12, 4
# The tables that coverage's documentation describes.
_ARCS = """
    SELECT context, count(*) FROM arc
    JOIN context ON context.id = context_id JOIN file ON file.id = file_id
    WHERE path LIKE ? GROUP BY context
"""


class Reach:
    """What one record says. `record` is a data file of coverage's with a context for each test."""

    def __init__(self, record: Path = RECORD) -> None:
        self._record = record
        self._data = CoverageData(str(record))
        self._data.read()
        self._arcs_of = self._arcs()

    def tests(self, module: str, lines: Iterable[int]) -> list[str]:
        """The node ids of the tests that reach one of these lines, the most likely to notice
        first: a few that are mostly about the module, then the broadest few, then the others; of
        each parametrized test one, then the rest."""
        by_line = {
            line: contexts
            for file in self._data.measured_files()
            if file.endswith(module)
            for line, contexts in self._data.contexts_by_lineno(file).items()
        }
        text = (ROOT / module).read_text()
        wanted = _whole_statements(text, set(lines))
        # A constant is executed once, at import. Those who use it reach it.
        while at_import := wanted - set(_lines_in_functions(text)):
            users = _users_of(text, at_import) - wanted
            if not users:
                break
            wanted |= users
        reached = {
            test
            for line in wanted & set(_lines_in_functions(text))
            for context in by_line.get(line, ())
            if (test := _node_id(context))
        }
        in_module = self._arcs(f"%{module}")
        about = sorted(reached, key=lambda test: (-in_module[test] / self._arcs_of[test], test))
        firsts = list({test.partition("[")[0]: test for test in reversed(about)}.values())[::-1]
        broad = sorted(firsts[SPECIFIC:], key=lambda test: -self._arcs_of[test])[:BROAD]
        return list(dict.fromkeys([*firsts[:SPECIFIC], *broad, *firsts, *about]))

    def _arcs(self, files: str = "%") -> Counter[str]:
        """How many jumps from line to line each test takes in files with such a path."""
        arcs: Counter[str] = Counter()
        with closing(sqlite3.connect(self._record)) as connection:
            for context, count in connection.execute(_ARCS, [files]):
                arcs[_node_id(context)] += count
        return arcs


def _node_id(context: str) -> str:
    """The test of a context. A subprocess has the test and its phase; this process has its own
    static context before that, which is empty."""
    test = context.rpartition("|")[2]
    for phase in (" (setup)", " (call)", " (teardown)"):
        test = test.removesuffix(phase)
    return test if "::" in test else ""


def _whole_statements(text: str, lines: set[int]) -> set[int]:
    """These lines, and the others of the statements that they are part of: Python counts only some
    lines of a statement as executed. Of a block, its head."""
    whole = set(lines)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            own = set(range(node.lineno, max(last, node.lineno) + 1))
            if own & lines:
                whole |= own
    return whole


def _lines_in_functions(text: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            for part in body:
                yield from range(part.lineno, (part.end_lineno or part.lineno) + 1)


def _users_of(text: str, lines: set[int]) -> set[int]:
    """The lines that use the names which statements of the module on these lines assign; all
    lines when they assign none."""
    tree = ast.parse(text)
    names = {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and lines & set(range(statement.lineno, (statement.end_lineno or 0) + 1))
        for target in ast.walk(statement)
        if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)
    }
    if not names:
        return set(range(1, text.count("\n") + 2))
    return {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)
    }
