"""Puts listed mistakes into a copy of the code, one at a time, and runs the tests that must notice.

`python -m tests.mutants` tries all lists of this folder, `backends ledger` only those; a list can
also be given by its path. First all tests that the lists name must pass without a mistake. `make
coverage` records which tests reach which lines: a mutant that names no test is tried with those.
Exits with status 1 when a mistake survives, with 2 when a list no longer fits the code.
"""

import argparse
import json
import queue
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutants import listed
from tests.mutants.listed import Mutant, Stale
from tests.mutants.trial import Checkout

KILLED, SURVIVED, EQUIVALENT, UNTRIED = "killed", "survived", "equivalent", "not tried"

# Seconds for a mutant's tests: those of the list may take as much longer than without the mistake,
# after which they count as hanging; those that reach it are tried for as long.
PATIENCE = 180.0


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant; `by` is the test that noticed, `why` what else there is to say."""

    mutant: Mutant
    what: str
    by: str = ""
    why: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        about = self.by or self.why
        return f"{self.what:10} {self.seconds:4.0f} s  {self.mutant}" + (
            f"\n{'':19}{about}" if about else ""
        )

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "mutant": vars(self.mutant)}


def main() -> int:
    options = _options()
    try:
        mutants = _chosen(options)
        tests_of = _tests(mutants)
    except Stale as exc:
        print(exc, file=sys.stderr)
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        seed = Path(folder, "seed")
        checkouts = [Checkout(Path(folder, str(number)), seed) for number in range(options.jobs)]
        named = sorted({test for mutant in mutants for test in mutant.tests})
        if named:
            print(f"{len(named)} tests, without a mistake", flush=True)
            right = checkouts[0].run(named, 60 * 60)
            if not right.passed:
                print(f"they do not pass: {right.by}\n{right.output}", file=sys.stderr)
                return 2
        verdicts = _try_all(mutants, tests_of, checkouts, began + options.minutes * 60)
    if options.report:
        options.report.write_text(json.dumps([one.as_json() for one in verdicts], indent=1))
    _summarize(verdicts, time.monotonic() - began)
    return 1 if any(one.what == SURVIVED for one in verdicts) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lists", nargs="*", metavar="LIST", help="backends, or a path; default all")
    parser.add_argument("--guard", action="store_true", help="only those that guard each change")
    parser.add_argument("--module", default="", metavar="M", help="only modules whose path has M")
    parser.add_argument("--minutes", type=float, default=600, metavar="N", help="begin none later")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at a time (2)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the verdicts as JSON")
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    paths = [
        Path(name) if name.endswith(".toml") else listed.FOLDER / f"{name}.toml"
        for name in options.lists
    ]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise Stale(f"there is no list {', '.join(missing)}")
    mutants = [
        mutant
        for mutant in listed.read(paths or listed.lists())
        if options.module in mutant.module and (mutant.guard or not options.guard)
    ]
    for mutant in mutants:
        mutant.mutated()
    return mutants


def _tests(mutants: Iterable[Mutant]) -> Callable[[Mutant], Sequence[str]]:
    """What gives the tests to try a mutant with. Raises Stale."""
    if all(mutant.tests or mutant.equivalent for mutant in mutants):
        return lambda mutant: mutant.tests
    # Only here: the record can take a while to read.
    from tests.mutants.reach import RECORD, Reach

    if not RECORD.is_file():
        raise Stale("some mutants name no tests: run `make coverage`, which finds those they need")
    reach = Reach()
    return lambda mutant: mutant.tests or reach.tests(mutant.module, mutant.lines())


def _try_all(
    mutants: Sequence[Mutant],
    tests_of: Callable[[Mutant], Sequence[str]],
    checkouts: Sequence[Checkout],
    until: float,
) -> list[Verdict]:
    free: queue.SimpleQueue[Checkout] = queue.SimpleQueue()
    for checkout in checkouts:
        free.put(checkout)

    def judge(mutant: Mutant) -> Verdict:
        checkout = free.get()
        try:
            verdict = _judge(mutant, tests_of(mutant), checkout, until)
        finally:
            free.put(checkout)
        print(verdict, flush=True)
        return verdict

    with ThreadPoolExecutor(len(checkouts)) as threads:
        return list(threads.map(judge, mutants))


def _judge(mutant: Mutant, tests: Sequence[str], checkout: Checkout, until: float) -> Verdict:
    began = time.monotonic()
    if mutant.equivalent:
        return Verdict(mutant, EQUIVALENT, why=mutant.equivalent)
    if began > until:
        return Verdict(mutant, UNTRIED)
    if not tests:
        return Verdict(mutant, SURVIVED, why="no test reaches it")
    with checkout.mistaken(mutant):
        outcome = checkout.run(tests, PATIENCE)
    seconds = time.monotonic() - began
    if outcome.late:
        if mutant.tests:
            return Verdict(mutant, KILLED, why="its tests hang", seconds=seconds)
        return Verdict(mutant, SURVIVED, why="time is up", seconds=seconds)
    if outcome.passed:
        return Verdict(mutant, SURVIVED, why=f"{len(tests)} tests pass", seconds=seconds)
    if outcome.by and outcome.by not in mutant.tests and not checkout.run([outcome.by], 600).passed:
        return Verdict(mutant, UNTRIED, why=f"fails without it too: {outcome.by}", seconds=seconds)
    return Verdict(mutant, KILLED, outcome.by, outcome.output[-300:], seconds)


def _summarize(verdicts: Sequence[Verdict], seconds: float) -> None:
    words = (KILLED, SURVIVED, EQUIVALENT, UNTRIED)
    print(f"\n{'':52}" + "".join(f"{word:>12}" for word in words))
    by_module: dict[str, Counter[str]] = {}
    for one in verdicts:
        by_module.setdefault(one.mutant.module, Counter())[one.what] += 1
    total: Counter[str] = Counter()
    for module, counts in sorted(by_module.items()):
        total += counts
        print(f"{module:52}" + "".join(f"{counts[word] or '':>12}" for word in words))
    print(f"{'all':52}" + "".join(f"{total[word]:>12}" for word in words))
    for one in verdicts:
        if one.what == SURVIVED:
            print(f"\nsurvived: {one.mutant}\n- {one.mutant.before}\n+ {one.mutant.after}")
    print(f"\n{seconds / 60:.0f} minutes")


if __name__ == "__main__":
    sys.exit(main())
