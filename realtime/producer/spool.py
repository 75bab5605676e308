"""The spool: files on disk that are scraped and not yet announced.

{folder}/{run}/{abbr}/{type}_{id}.json.spooled   a line of JSON (key, metadata, message), then the
                                                 file, byte for byte
{folder}/{run}/run_finished.message              the end of the run, to send after all its files
{folder}/{run}/run.lock                          locked by the process that writes or sends the run

Earlier releases kept {type}_{id}.json with the note {type}_{id}.json.message beside it. Both forms
are read.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from realtime.domain.errors import ConfigurationError, RealtimeError
from realtime.producer.outbox import Outgoing

SUFFIX = ".spooled"
NOTE_SUFFIX = ".message"
END = f"run_finished{NOTE_SUFFIX}"
LOCK = "run.lock"
_PARTIAL = ".partial"
# How often a folder is made again that another process removes because it is empty.
_ATTEMPTS = 10


class BadSpool(RealtimeError):
    """A spooled file is damaged, incomplete, or was not written by Spool."""


@dataclass(frozen=True)
class Spooled:
    """One spooled file, and its path (that of its note, from an earlier release)."""

    path: Path
    outgoing: Outgoing


class Spool:
    """Keeps the files of one run on disk until they are announced. Thread-safe.

    The folder is locked until `close`, and the kernel frees the lock of a process that is killed:
    nobody else sends the files of a scrape that runs. Nothing is forced to the disk: a killed
    process loses nothing, a power cut may.
    """

    def __init__(self, folder: Path) -> None:
        """Create and lock `folder`. Raises ConfigurationError when it cannot be written."""
        self.folder = folder
        try:
            self._lock = _create(folder)
        except OSError as exc:
            raise ConfigurationError(
                f"{folder} cannot be written: {exc.strerror}: scraped files are kept there until"
                " they are sent, so start the scrape in a writable folder on a disk with room"
            ) from exc

    def keep(self, outgoing: Outgoing) -> None:
        """Write a file, in place of what is kept of it. Raises OSError, and keeps what was there.

        The file is whole as soon as it has its name: what is left of a killed call has another.
        """
        note = {
            "key": outgoing.key,
            "metadata": dict(outgoing.metadata),
            "message": outgoing.message,
            "uploaded": outgoing.uploaded,
        }
        _write(self._path(outgoing), json.dumps(note).encode() + b"\n" + outgoing.body)

    def holds(self, outgoing: Outgoing) -> bool:
        """Whether the file is kept."""
        return self._path(outgoing).exists()

    def remove(self, outgoing: Outgoing) -> None:
        """Delete a file that is announced. Raises OSError."""
        self._path(outgoing).unlink(missing_ok=True)

    def keep_end(self, message: str) -> None:
        """Write the message that ends the run. Raises OSError."""
        _write(self.folder / END, json.dumps({"message": message}).encode())

    def remove_end(self) -> None:
        """Delete the end of the run: it is sent, or must not be. Raises OSError."""
        remove_end(self.folder)

    def close(self) -> None:
        """Remove the folder unless something is kept in it, and free its lock."""
        remove_if_empty(self.folder)
        with suppress(OSError):
            self.folder.parent.rmdir()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _path(self, outgoing: Outgoing) -> Path:
        abbr, _, file = outgoing.key.rpartition("/")
        return self.folder / abbr.rpartition("/")[2] / f"{file}{SUFFIX}"


def is_spool(folder: Path) -> bool:
    """Whether `folder` is a spool, or a part of one."""
    return folder.is_dir() and bool(runs(folder))


def runs(folder: Path) -> list[Path]:
    """The runs' folders below `folder`, or the one that `folder` is or is part of."""
    inside = {path.parent for name in (LOCK, END) for path in folder.rglob(name)}
    return sorted(inside | {path.parent.parent for path in _files(folder)})


@contextmanager
def locked(run: Path) -> Iterator[bool]:
    """Lock a run's folder within the block; False when another process has locked it."""
    try:
        handle = os.open(run / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        # Whoever had it locked has sent everything, and removed it.
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def files(run: Path) -> list[Path]:
    """The paths of a run's spooled files, sorted."""
    return sorted(_files(run))


def read(path: Path) -> Spooled:
    """Read a spooled file. Raises BadSpool when it is damaged."""
    try:
        if path.suffix == NOTE_SUFFIX:
            note, body = path.read_bytes(), _content(path).read_bytes()
        else:
            note, _, body = path.read_bytes().partition(b"\n")
        entry = json.loads(note)
        outgoing = Outgoing(
            key=entry["key"],
            body=body,
            metadata=entry["metadata"],
            message=entry["message"],
            uploaded=entry["uploaded"],
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BadSpool(f"{path} cannot be read: {exc!r}") from exc
    return Spooled(path, outgoing)


def remove(path: Path) -> None:
    """Delete a spooled file. Call it once the file is announced. Raises OSError."""
    path.unlink(missing_ok=True)
    if path.suffix == NOTE_SUFFIX:
        _content(path).unlink(missing_ok=True)


def read_end(run: Path) -> str | None:
    """The message that ends the run, or None without one. Raises BadSpool."""
    try:
        message: str = json.loads((run / END).read_bytes())["message"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BadSpool(f"{run / END} cannot be read: {exc!r}") from exc
    return message


def remove_end(run: Path) -> None:
    """Delete the end of the run. Call it once it is sent."""
    (run / END).unlink(missing_ok=True)


def remove_if_empty(run: Path) -> None:
    """Remove the folder of a locked run, with what a killed process has half written; not when
    something is kept in it."""
    if any(_files(run)) or (run / END).exists():
        return
    with suppress(OSError):
        for partial in run.rglob(f"*{_PARTIAL}"):
            partial.unlink()
        for folder in run.iterdir():
            if folder.is_dir():
                folder.rmdir()
        # The lock last, and only then the folder: nobody sees a run that is not locked.
        if [path.name for path in run.iterdir()] == [LOCK]:
            (run / LOCK).unlink()
            run.rmdir()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob(f"*{SUFFIX}"):
        yield path
    for path in folder.rglob(f"*{NOTE_SUFFIX}"):
        if path.name != END:
            yield path


def _content(note: Path) -> Path:
    return note.with_name(note.name.removesuffix(NOTE_SUFFIX))


def _create(folder: Path) -> int:
    """Make a run's folder; returns the descriptor that holds its lock."""
    partial = folder / f"{LOCK}{_PARTIAL}"
    handle = _open_new(partial)
    try:
        # Shows that the disk has room, too.
        os.write(handle, f"{os.getpid()}\n".encode())
        fcntl.flock(handle, fcntl.LOCK_EX)
        # Under its name only now: others take a run that is not locked for a killed one.
        partial.rename(folder / LOCK)
    except BaseException:
        os.close(handle)
        with suppress(OSError):
            partial.unlink()
            folder.rmdir()
            folder.parent.rmdir()
        raise
    return handle


def _open_new(path: Path) -> int:
    for _ in range(_ATTEMPTS):
        # Another process may remove the spool in between, because it is empty.
        with suppress(FileNotFoundError):
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}{_PARTIAL}")
    try:
        try:
            partial.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
