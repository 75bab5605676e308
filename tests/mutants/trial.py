"""Runs tests in a copy of the checkout, with one mistake put into it."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from realtime.devstack import child
from tests.mutants.listed import Mutant
from tests.support import ROOT

_NOTICED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - |$)", re.MULTILINE)
_ALL_PASSED, _NO_TEST = 0, 5


@dataclass(frozen=True)
class Outcome:
    """What a run of tests came to: `passed`, or `by` is the test that failed (empty when none did,
    because Python could not load the code or `late`, the time was up)."""

    passed: bool
    by: str = ""
    late: bool = False
    output: str = ""


class Checkout:
    """A copy, in `folder`, of what git knows of this checkout, or would know.

    `seed` is the file in which the tests of all copies keep their seeded database; the first to
    need it writes it.
    """

    def __init__(self, folder: Path, seed: Path) -> None:
        self.folder = folder
        self._seed = seed
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        for environment in ROOT.glob(".venv*"):
            (folder / environment.name).symlink_to(environment)

    @contextmanager
    def mistaken(self, mutant: Mutant) -> Iterator[None]:
        """With the mistake, within the block."""
        path = self.folder / mutant.module
        right = path.read_text()
        try:
            self._write(path, mutant.mutated(self.folder))
            yield
        finally:
            self._write(path, right)

    def run(self, tests: Sequence[str], seconds: float) -> Outcome:
        """Run these tests until one fails, or for `seconds`."""
        log = self.folder / "pytest.log"
        log.unlink(missing_ok=True)
        # Ends with this process, however that happens.
        process = child.spawn(
            [
                *(sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE"),
                *("-p", "no:cacheprovider", "-o", "addopts=", "-m", "not long and not deploy"),
                *tests,
            ],
            account=None,
            log=log,
            started=lambda process: None,
            environment={
                **os.environ,
                # Before the installed package, which is the checkout without the mistake.
                "PYTHONPATH": str(self.folder),
                "REALTIME_TEST_SEED": str(self._seed),
            },
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            # Also what the tests have started and a mistake may have left.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        text = log.read_text()
        failed = _NOTICED.search(text)
        return Outcome(
            passed=status in (_ALL_PASSED, _NO_TEST),
            by=failed[1] if failed else "",
            late=status is None,
            output=text[-2000:],
        )

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        # Python takes a compiled module for current when its size and second are the same.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
