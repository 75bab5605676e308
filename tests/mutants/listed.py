"""The mistakes of the lists: how they are written down, and how one is put into the code."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

FOLDER = Path(__file__).parent
_FIELDS = {"module", "what", "before", "after", "tests", "equivalent", "guard"}


class Stale(Exception):
    """A list no longer fits the code."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: in `module`, `before` is replaced by `after`; users would suffer `what`.

    `tests` are the node ids of tests that notice it, quickest first. Where nobody can notice it,
    `equivalent` says why. With `guard` it is among the few that are tried before each change is
    taken.
    """

    module: str
    what: str
    before: str
    after: str
    tests: tuple[str, ...] = ()
    equivalent: str = ""
    guard: bool = False

    def __str__(self) -> str:
        return f"{self.module}: {self.what}"

    def lines(self, root: Path = ROOT) -> range:
        """The numbers of the lines that it changes. Raises Stale."""
        text = self._text(root)
        first = text[: text.index(self.before)].count("\n") + 1
        return range(first, first + max(1, len(self.before.splitlines())))

    def mutated(self, root: Path = ROOT) -> str:
        """The module's text with the mistake. Raises Stale when it does not fit the code."""
        mutated = self._text(root).replace(self.before, self.after)
        try:
            compile(mutated, self.module, "exec")
        except SyntaxError as exc:
            raise Stale(f"{self}: does not compile, {exc}") from exc
        return mutated

    def _text(self, root: Path) -> str:
        try:
            text = (root / self.module).read_text()
        except FileNotFoundError:
            raise Stale(f"{self}: there is no such module") from None
        if self.before == self.after or text.count(self.before) != 1:
            raise Stale(f"{self}: `before` occurs {text.count(self.before)} times, not once")
        return text


def lists() -> list[Path]:
    """The lists, by name."""
    return sorted(FOLDER.glob("*.toml"))


def read(paths: Iterable[Path]) -> list[Mutant]:
    """The mutants of these lists, in order. Raises Stale when an entry is not well formed."""
    return [_mutant(path, entry) for path in paths for entry in _entries(path)]


def _entries(path: Path) -> Sequence[dict[str, object]]:
    entries: Sequence[dict[str, object]] = tomllib.loads(path.read_text()).get("mutant", [])
    return entries


def _mutant(path: Path, entry: dict[str, object]) -> Mutant:
    unknown = set(entry) - _FIELDS
    lacking = {"module", "what", "before", "after"} - set(entry)
    if unknown or lacking:
        raise Stale(f"{path.name}: {entry.get('what')}: unknown {unknown}, lacking {lacking}")
    tests = entry.pop("tests", ())
    assert isinstance(tests, list | tuple)
    return Mutant(**entry, tests=tuple(tests))  # type: ignore[arg-type]
