"""What `make` makes of the interpreter it is told to use."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


def make(
    *arguments: str, env: dict[str, str], folder: Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
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


def interpreter(path: Path, version: str) -> Path:
    """Answers what make asks of an interpreter, as one of that version would; "": does not run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""#!{sys.executable}
import platform, sys
{"sys.exit(1)" if not version else ""}
sys.version_info = ({", ".join(version.split("."))})
platform.python_version = lambda: {version!r}
exec(sys.argv[2])
""")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("installed", "taken"),
    [
        ({"python3": "3.11.4", "python3.13": "3.13.1"}, "python3"),
        ({"python3": "3.9.25", "python3.11": "3.11.4", "python3.12": "3.12.7"}, "python3.12"),
        # The shims of pyenv.
        ({"python3": "", "python3.13": "", "python3.11": "3.11.4"}, "python3.11"),
        ({"python3.12": "3.12.7"}, "python3.12"),
        ({"python3": "3.14.0", ".venv/bin/python": "3.13.1"}, ".venv/bin/python"),
        ({"python3": "3.12.7", ".venv/bin/python": "3.11.4"}, ".venv/bin/python"),
        # Its interpreter has been removed, or replaced by one that is too new.
        ({"python3": "3.12.7", ".venv/bin/python": ""}, "python3"),
        ({"python3": "3.12.7", ".venv/bin/python": "3.14.0"}, "python3"),
        ({"python3": "3.9.25"}, "python3"),
        ({}, "python3"),
    ],
)
def test_python__not_named__is_the_venv_s_or_the_first_that_is_supported(
    tmp_path: Path, installed: dict[str, str], taken: str
) -> None:
    for name, version in installed.items():
        interpreter(tmp_path / (name if "/" in name else f"bin/{name}"), version)
    (tmp_path / "bin").mkdir(exist_ok=True)
    for name in ("make", "sh"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    shutil.copy(ROOT / "Makefile", tmp_path)
    told = make("-pn", "help", env={"PATH": str(tmp_path / "bin")}, folder=tmp_path)
    assert re.findall("^PYTHON :?= (.*)$", told.stdout, re.MULTILINE) == [taken]


@pytest.mark.parametrize("version", ["3.10.13", "3.14.0", ""])
def test_python__not_supported__says_which_are(tmp_path: Path, version: str) -> None:
    python = interpreter(tmp_path / "python", version)
    told = make("install", f"PYTHON={python}", env={})
    assert told.returncode == 2
    assert "3.11, 3.12 or 3.13" in told.stderr
    assert (f"is Python {version}," if version else "cannot be run") in told.stderr
