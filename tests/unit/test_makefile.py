"""What `make` makes of the interpreter it is told to use."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


def make(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**environment, **env},
        capture_output=True,
        check=False,
        text=True,
    )


def test_python__shim_that_does_not_run__interpreter_of_pyenv_taken(tmp_path: Path) -> None:
    shim, interpreter = tmp_path / "python3.99", tmp_path / "versions/3.99.1/bin/python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    path = f"{tmp_path}:{os.environ['PATH']}"
    told = make("-pn", "help", "PYTHON=python3.99", env={"PYENV_ROOT": str(tmp_path), "PATH": path})
    assert re.findall("^PYTHON :?= (.*)$", told.stdout, re.MULTILINE) == [str(interpreter)]


@pytest.mark.parametrize("version", ["3.10.13", "3.14.0", ""])
def test_python__not_supported__says_which_are(tmp_path: Path, version: str) -> None:
    python = tmp_path / "python"
    numbers = ", ".join(version.split("."))
    # Answers what make asks of an interpreter, as one of that version would.
    python.write_text(f"""#!{sys.executable}
import platform, sys
{"sys.exit(1)" if not version else ""}
sys.version_info = ({numbers})
platform.python_version = lambda: {version!r}
exec(sys.argv[2])
""")
    python.chmod(0o755)
    told = make("install", f"PYTHON={python}", env={})
    assert told.returncode == 2
    assert "3.11, 3.12 or 3.13" in told.stderr
    assert (f"is Python {version}," if version else "cannot be run") in told.stderr
