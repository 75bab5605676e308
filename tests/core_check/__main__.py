"""`python -m tests.core_check RELEASE …`: may the set-based importers be used with this core?

Installs each release aside, shows what of the code that we build upon differs from the newest
known release, runs core's own importer tests and the comparisons with core, and prints a table
and the lines to add to `realtime/importers/bulk/known_cores.py`. Exits 1 unless all has passed.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from realtime.importers.bulk.known_cores import KNOWN
from tests.core_check.changes import Change, changes
from tests.core_check.environment import interpreter_for, prepare
from tests.core_check.releases import Release, fetch, line_to_add, newest_known
from tests.support import ROOT

_IMPORTERS = "tests/integration/importers"
_CORES_TESTS = f"{_IMPORTERS}/test_cores_own_tests.py"
# Those of `import_realtime --importer core` are otherwise left to `make test-long`.
_ADAPTED = ("-m", "long or not long", "-k", "[core")
SUITES = {
    "core's tests": (_CORES_TESTS,),
    "set-based": (
        *(_IMPORTERS, f"--ignore={_CORES_TESTS}"),
        "tests/integration/test_convergence.py",
    ),
    "adapted": (
        *("tests/integration/test_convergence.py", "tests/integration/test_import_outcomes.py"),
        "tests/integration/test_finalization.py",
        *_ADAPTED,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """How many tests of a suite passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def good(self) -> bool:
        return self.passed > 0 and not self.failed

    def __str__(self) -> str:
        return f"{self.passed} / {self.failed}"


@dataclass
class Result:
    release: Release
    python: str = ""
    known: bool = False
    changed: list[Change] = field(default_factory=list)
    counts: dict[str, Counts] = field(default_factory=dict)
    seconds: float = 0

    @property
    def good(self) -> bool:
        return len(self.counts) == len(SUITES) and all(one.good for one in self.counts.values())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make core-check", description=__doc__)
    parser.add_argument("releases", nargs="+", metavar="RELEASE", help="such as 6.27.0")
    parser.add_argument("--processes", default="2", help="tests that run at once")
    options = parser.parse_args(arguments)
    reference = newest_known()
    try:
        known = fetch(reference)
        results = [check(fetch(one), known, options.processes) for one in options.releases]
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 1
    print(f"\n{table(results, reference)}\n")
    for result in results:
        print(verdict(result))
    return 0 if all(result.good for result in results) else 1


def check(release: Release, reference: Release, processes: str) -> Result:
    began = time.monotonic()
    interpreter = interpreter_for(release)
    result = Result(release, interpreter.version, release.digest in KNOWN)
    result.changed = list(changes(reference.sources, release.sources))
    say(f"{len(result.changed)} differences from {reference.version} in what we build upon")
    for change in result.changed:
        print(f"--- {change}\n{change.diff}\n")
    say(f"openstates {release.version} on Python {interpreter.version}: installing")
    try:
        python = prepare(release, interpreter)
    except subprocess.CalledProcessError as exc:
        # The other releases are none the worse for it.
        print(exc, file=sys.stderr)
    else:
        for name, suite in SUITES.items():
            say(f"openstates {release.version}: {name}")
            result.counts[name] = run(python, suite, processes)
    result.seconds = time.monotonic() - began
    return result


def run(python: Path, suite: Sequence[str], processes: str) -> Counts:
    """Run tests on the environment of `python`; nothing passed when pytest could not run them."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [
                *(python, "-m", "pytest", "-q", "-n", processes, "--dist", "loadfile"),
                *("--admit-core", f"--junitxml={report}", *suite),
            ],
            cwd=ROOT,
            # An activated environment is another one.
            env={name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"},
        )
        if not report.exists():
            return Counts()
        (counts,) = ElementTree.parse(report).getroot().iter("testsuite")
    of = {name: int(counts.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    failed = of["failures"] + of["errors"]
    return Counts(of["tests"] - failed - of["skipped"], failed, of["skipped"])


def table(results: Sequence[Result], reference: str) -> str:
    """The results in Markdown, a line a release."""
    suites = [f"{name}, passed / failed" for name in SUITES]
    lines = [
        ["release", "Python", "digest", "known", f"differs from {reference} in", *suites, "seconds"]
    ]
    lines.append(["---"] * len(lines[0]))
    for one in results:
        importers = sum(change.path.startswith("importers/") for change in one.changed)
        differs = f"{len(one.changed)} ({importers} of the importers')"
        lines.append([
            *(one.release.version, one.python, f"`{one.release.digest}`"),
            *("yes" if one.known else "no", differs if one.changed else "nothing"),
            *(str(one.counts.get(name, "not run")) for name in SUITES),
            f"{one.seconds:.0f}",
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdict(result: Result) -> str:
    """What to do about a release."""
    version = result.release.version
    if not result.good:
        return f"{version}: not all passed; it stays as it is"
    line = line_to_add(result.release)
    if not line:
        return f"{version}: nothing to add"
    instead = "instead of the line of that digest" if result.known else "add"
    return f"{version}: in KNOWN of realtime/importers/bulk/known_cores.py, {instead}\n{line}"


def say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
