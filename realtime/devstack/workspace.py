"""Temporary folders that are removed after their owner ends, and the account for servers."""

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PREFIX = "openstates-realtime-"
_LOCK = "owner.lock"


@dataclass(frozen=True)
class Account:
    """An operating system user and group, by number."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def server_account() -> Account | None:
    """The account for servers: `nobody` when this process is root, else None (the same user).

    PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return None
    import pwd

    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


class Workspace:
    """A new empty folder, private to `account` (and to root).

    `remove` deletes it. If its owner was killed before that, the next Workspace created on this
    machine deletes it: an owner holds a file lock for as long as it lives.
    """

    def __init__(self, account: Account | None) -> None:
        parent = _parent(account)
        _remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = _claim(self.path)
        if account is not None:
            os.chown(self.path, account.uid, account.gid)

    def remove(self) -> None:
        """Delete the folder and its content. Repeatable."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _parent(account: Account | None) -> Path:
    """The first of the usual temporary folders that `account` can enter."""
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    if account is None:
        return candidates[0]
    for candidate in candidates:
        folder = candidate.resolve()
        if all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents)):
            return folder
    return candidates[0]


def _claim(path: Path) -> IO[str]:
    """Create the lock file; other processes see it only once it is locked."""
    lock = (path / f"{_LOCK}.new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(lock.name, path / _LOCK)
    return lock


def _remove_abandoned(parent: Path) -> None:
    for lock_path in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            with lock_path.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Its owner is alive, or it belongs to another user, or it was just removed.
            continue
        shutil.rmtree(lock_path.parent, ignore_errors=True)
