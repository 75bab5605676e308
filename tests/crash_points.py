"""Finds the places in the source with effects outside the process, and reads traces of runs."""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash_child import ADAPTERS, ROOT

COMMANDS = ("import_realtime", "archive_realtime", "retry_realtime", "finalize_realtime")
# The scraper's side: the commands import values from it, but run none of its code.
PRODUCER = {"producer"}
# The name of every variable that holds an adapter.
NAMES = {"s3": "store", "sqs": "queue"}

_PACKAGE = ROOT / "realtime"
_METHODS = {
    name: {
        method
        for method, _ in inspect.getmembers(adapter, inspect.isfunction)
        if not method.startswith("_")
    }
    for name, adapter in ADAPTERS.items()
}
_ALWAYS_WRITE = {"bulk_create", "bulk_update", "get_or_create", "update_or_create", "save"}
_WRITE_TO_ROWS = {"create", "update", "delete"}
_ROWS = re.compile(r"\b(objects|_default_manager)\b")
_STATEMENTS = {"execute", "_execute_with_wrappers"}
_SQL = re.compile(r"\s*(INSERT|UPDATE|DELETE|COPY)\b")


@dataclass(frozen=True, order=True)
class Site:
    """A function with an effect: it calls a method of an adapter (`s3.copy`), or writes to the
    `database`."""

    effect: str
    caller: str

    def __str__(self) -> str:
        return f"{self.effect} in {self.caller}"


@dataclass(frozen=True)
class Effect:
    """An effect in a trace: the `number`th of this effect and caller in the step."""

    step: int
    effect: str
    caller: str
    line: int
    number: int

    @property
    def site(self) -> Site:
        """The Site in the source that had this effect."""
        is_call = "." in self.effect
        return Site(self.effect if is_call else "database", self.caller)

    @property
    def lasts(self) -> bool:
        """Whether others can see it at once, without a later commit."""
        return self.effect not in ("statement", "savepoint")

    def __str__(self) -> str:
        return f"{self.effect} in {self.caller}"


def read_trace(step: int, path: Path) -> Iterator[Effect]:
    """The effects in a trace that `tests/crash_child.py` wrote."""
    counts: dict[tuple[str, str], int] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        effect, caller, number = json.loads(line)
        counts[effect, caller] = counts.get((effect, caller), 0) + 1
        yield Effect(step, effect, caller, number, counts[effect, caller])


def modules() -> dict[str, Path]:
    """The modules that the commands import, by dotted name below the package."""
    found: dict[str, Path] = {}
    to_visit = [f"management.commands.{name}" for name in COMMANDS]
    while to_visit:
        name = to_visit.pop()
        if name in found or name.partition(".")[0] in PRODUCER:
            continue
        path = _PACKAGE / f"{name.replace('.', '/')}.py"
        if not path.is_file():
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("realtime"):
                base = (node.module or "").removeprefix("realtime").strip(".")
                to_visit += [base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)]
    return found


def sites() -> list[Site]:
    """Every Site in the modules that the commands import."""
    found: set[Site] = set()
    for name, path in modules().items():
        found.update(_Finder(name, path).sites())
    return sorted(found)


def misnamed() -> list[str]:
    """Parameters and variables that hold an adapter under a name other than in NAMES."""
    problems = []
    adapters = {adapter.__name__: NAMES[name] for name, adapter in ADAPTERS.items()}
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            name_and_type: tuple[str, str] | None = None
            if isinstance(node, ast.arg) and node.annotation is not None:
                name_and_type = node.arg, ast.unparse(node.annotation)
            elif isinstance(node, ast.AnnAssign):
                name_and_type = ast.unparse(node.target), ast.unparse(node.annotation)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                name_and_type = ast.unparse(node.targets[0]), ast.unparse(node.value.func)
            if name_and_type is None or name_and_type[1] not in adapters:
                continue
            name, adapter = name_and_type
            if _tail(name) != adapters[adapter]:
                problems.append(f"{module}: {name} holds {adapter}")
    return problems


def _tail(text: str) -> str:
    return text.rpartition(".")[2].lstrip("_")


class _Finder(ast.NodeVisitor):
    def __init__(self, module: str, path: Path) -> None:
        self._module = module
        self._tree = ast.parse(path.read_text())
        self._scope: list[str] = []
        self._found: set[Site] = set()
        # For each constant of the module, whether it is a statement that writes.
        self._constants = {
            target.id: _writes_sql(node.value)
            for node in self._tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def sites(self) -> set[Site]:
        self.visit(self._tree)
        return self._found

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._within(node, node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        # Matches co_qualname of a nested function.
        self._within(node, node.name, "<locals>")

    def _within(self, node: ast.AST, *names: str) -> None:
        self._scope += names
        self.generic_visit(node)
        del self._scope[-len(names) :]

    def visit_Attribute(self, node: ast.Attribute) -> None:
        holder = _tail(ast.unparse(node.value))
        for name, methods in _METHODS.items():
            # An adapter also calls its own methods.
            expected_holder = "self" if self._module == f"backends.{name}" else NAMES[name]
            if holder == expected_holder and node.attr in methods:
                self._add(f"{name}.{node.attr}")
        if node.attr == "atomic" and holder == "transaction":
            self._add("database")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            name, receiver = node.func.attr, ast.unparse(node.func.value)
            on_rows = name in _WRITE_TO_ROWS and _ROWS.search(receiver)
            in_sql = (
                _tail(receiver) == "cursor"
                and name in _STATEMENTS
                and node.args
                and self._is_write(node.args[0])
            )
            if name in _ALWAYS_WRITE or on_rows or in_sql:
                self._add("database")
        self.generic_visit(node)

    def _is_write(self, argument: ast.expr) -> bool:
        if isinstance(argument, ast.Name):
            # An argument may be any statement.
            return self._constants.get(argument.id, True)
        return _writes_sql(argument)

    def _add(self, effect: str) -> None:
        scope = self._scope[:-1] if self._scope and self._scope[-1] == "<locals>" else self._scope
        self._found.add(Site(effect, ".".join([self._module, *scope])))


def _writes_sql(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        # Several statements joined by semicolons.
        return node.func.attr == "join" and ast.unparse(node.func.value).startswith("';")
    return isinstance(node, ast.Constant) and bool(_SQL.match(str(node.value)))
