"""An environment aside: the locked dependencies, but another release of core."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from tests.core_check.releases import Release
from tests.support import ROOT

_MINORS = range(11, 20)
_UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Interpreter:
    path: str
    version: str


def interpreter_for(release: Release) -> Interpreter:
    """A Python that both the release and this project run on, this one before any other.

    Raises ValueError when there is none.
    """
    wanted = SpecifierSet(release.requires_python) & SpecifierSet(">=3.11")
    for path in _candidates():
        version = _version(path)
        if version in wanted:
            return Interpreter(path, version)
    raise ValueError(f"openstates {release.version} needs Python {wanted}, which is not here")


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield from filter(None, (shutil.which(f"python3.{minor}") for minor in _MINORS))
    # A shim of pyenv's is found whether or not its Python is there; the Pythons are here.
    yield from map(str, sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python3")))


def _version(path: str) -> str:
    """What the interpreter says it is; 0 when it cannot be run."""
    code = "import platform; print(platform.python_version())"
    result = subprocess.run([path, "-c", code], capture_output=True, text=True)
    return "0" if result.returncode else result.stdout.strip()


def prepare(release: Release, interpreter: Interpreter) -> Path:
    """Make the release's environment unless it is up to date; returns its Python.

    Raises subprocess.CalledProcessError when something cannot be installed.
    """
    venv = ROOT / f".venv-core-{release.version}"
    requirements = without_core((ROOT / "requirements.lock").read_text())
    overrides = ROOT / "requirements.overrides"
    stamp = venv / ".installed"
    made_of = "\n".join([interpreter.version, requirements, overrides.read_text()])
    expected = hashlib.sha256(made_of.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == expected:
        return venv / "bin" / "python"
    _uv("venv", "--quiet", "--clear", "--python", interpreter.path, str(venv), into=venv)
    locked = venv / "requirements.txt"
    locked.write_text(requirements)
    _uv("pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", str(locked), into=venv)
    # Not quiet: what it asks for beside what is locked, or instead of it, is worth knowing.
    _uv("pip", "install", "--overrides", str(overrides), str(release.wheel), into=venv)
    stamp.write_text(expected)
    return venv / "bin" / "python"


def _uv(*arguments: str, into: Path) -> None:
    environment = {**os.environ, "VIRTUAL_ENV": str(into)}
    subprocess.run([str(_UV), *arguments], check=True, cwd=ROOT, env=environment)


def without_core(lock: str) -> str:
    """The lock without core's own entries, each of them a line and what is indented below it."""
    kept, skipping = [], False
    for line in lock.splitlines():
        if not line.startswith((" ", "#")):
            skipping = line.startswith("openstates==")
        if not skipping:
            kept.append(line)
    return "\n".join(kept) + "\n"
