"""The object store as a folder of a disk, `file:///path`, which several hosts may share.

An object is a file with the object's key as its path. The file holds the object's body and then,
when it was written here, one line of JSON with its metadata:

    {"realtime": {"run-id": "…", "scraped-at": "…"}}

So one rename publishes or archives both, and a copy of the folder keeps both. A file that somebody
has put into the folder has no such line, and no metadata.

Programs that use this module change names only while they hold a lock on `.realtime/lock`, which
makes check and change one step. Names that begin with a dot are no objects.
"""

import errno
import fcntl
import json
import logging
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from realtime.domain.errors import ConfigurationError, RealtimeError, RetryLater, Unavailable
from realtime.domain.interfaces import Exists, Gone, Listed, ObjectVersion, StoredFile

logger = logging.getLogger(__name__)

T = TypeVar("T")

SETTING = "S3_REALTIME_BASE"
# Holds the lock, and files until they are whole.
_OWN_FOLDER = ".realtime"
_METADATA = re.compile(rb'\n\{"realtime": (\{[^\n]*\})\}\n\Z')
# Bytes: the longest line of metadata. S3 allows 2,000 of metadata.
_LONGEST_LINE = 4096
_CHUNK = 1 << 20
# Seconds. A file without metadata that was changed more recently may still be written. So may one
# that is dated later than now, unless the clocks of hosts cannot differ by so much.
_SETTLED_AFTER, _CLOCKS_DIFFER = 1.0, 3600
# Seconds that another program may hold the lock; it needs milliseconds.
_LOCK_WAIT, _LOCK_POLL = 10.0, 0.002
# The most changes under one lock: on a shared disk each takes milliseconds, and others wait.
_CHANGES = 50
# Seconds after which an unfinished file was left by a program that was killed.
_ABANDONED_AFTER = 86_400
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a named pipe would wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
# There is no such object: no such file, or a folder, or something else on the way to it.
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
# Not of one file only.
_OUTAGES = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ETIMEDOUT,
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV,
}  # fmt: skip
# macOS cannot ask for the effective user.
_EFFECTIVE = os.access in os.supports_effective_ids
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FolderStore:
    """The store below one folder, which exists. Thread-safe, and safe beside other processes and
    hosts.

    A file appears, changes and goes as a whole. Objects have no version ids: an upload is known by
    its ETag, which is made of the file's time and size.

    Every call raises Gone when the object is missing, ConfigurationError when the folder is missing
    or closed to us, Unavailable when the disk is full, read-only or does not answer, and RetryLater
    for any other error, such as a file that we must not read.
    """

    def __init__(self, path: str) -> None:
        self.bucket = path
        self._mutex = threading.Lock()
        self._tidied = False

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        """Read an object; without its body when it exceeds `max_bytes`."""
        with self._answering(key), self._opened(key, version_id) as (file, found):
            if found.size > max_bytes:
                return StoredFile(found, None)
            body = b"".join(_chunks(file, found.size))
            if len(body) != found.size or _etag(os.fstat(file)) != found.etag:
                raise RetryLater(f"{key} is being written")
            return StoredFile(found, body)

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        """The object under `key`; its body is not read."""
        with self._answering(key), self._opened(key, version_id) as (_, found):
            return found

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        """Write an object, and return its ETag. It is on the disk when this returns.

        With `overwrite` false raises Exists, and writes nothing, when an object exists under `key`.
        """
        with self._writing(key):
            return self._put(key, (body,), metadata, overwrite)

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Copy exactly the version `source` to `key`.

        The copy keeps the metadata of `source` unless `metadata` is given. Raises Gone when that
        version no longer exists and, with `overwrite` false, when an object exists under `key`.
        """
        with self._answering(source.key), self._opened(source.key) as (file, found):
            if found.etag != source.etag:
                raise Gone(f"{self._at(source.key)} has been overwritten")
            content = _chunks(file, found.size)
            kept = found.metadata if metadata is None else metadata
            try:
                with self._writing(key):
                    self._put(key, content, kept, overwrite)
            except Exists as exc:
                raise Gone(str(exc)) from exc

    def rename_all(self, moves: Mapping[ObjectVersion, str]) -> dict[ObjectVersion, RealtimeError]:
        """Move exactly these versions, each to a key, with one rename each. What is at that key is
        replaced.

        Returns why versions were not moved: Gone when a version no longer exists. What is moved
        stays so when the power fails after this returns.
        """
        failed: dict[ObjectVersion, RealtimeError] = {}
        with ExitStack() as folders:
            changed: dict[str, int] = {}
            for some in _portions(moves.items()):
                with self._lock():
                    for version, key in some:
                        try:
                            self._rename(version, key, changed, folders)
                        except RealtimeError as exc:
                            failed[version] = exc
            with self._writing(_OWN_FOLDER):
                for folder in changed.values():
                    os.fsync(folder)
        return failed

    def delete(self, version: ObjectVersion) -> bool:
        """Delete that version and no other; False when it is gone or another upload has replaced
        it."""
        with self._lock():
            return self._delete(version)

    def delete_all(self, versions: Iterable[ObjectVersion]) -> set[ObjectVersion]:
        """Delete these versions and no others; returns those that no longer exist: all but those
        that may not be deleted, which is logged."""
        gone, refused = set(), {}
        for some in _portions(set(versions)):
            with self._lock():
                for version in some:
                    try:
                        self._delete(version)
                        gone.add(version)
                    except Unavailable:
                        raise
                    except RetryLater as exc:
                        refused[version] = exc
        if refused:
            cause = str(next(iter(refused.values())))
            fields = {"action": "delete", "files": len(refused), "cause": cause}
            logger.warning("objects not deleted", extra=fields)
        return gone

    def list(self, prefix: str) -> Iterator[Listed]:
        """What lies below `prefix`, in the order of the keys; no file is opened, but for those of
        the last second.

        Files that are still written are left out: those that a program which does not write as
        this one does has changed within the last second, unless they are whole JSON already.
        """
        folder, slash, start = prefix.rpartition("/")
        with self._answering(prefix):
            yield from self._below(f"{folder}{slash}", start)

    def folders(self, prefix: str) -> Sequence[str]:
        """The folders right below `prefix`, each ending in a slash, in order."""
        folder, slash, start = prefix.rpartition("/")
        with self._answering(prefix), self._folder(f"{folder}{slash}") as at:
            names = _names(at, start) if at is not None else []
        return [f"{folder}{slash}{name}" for name in names if name.endswith("/")]

    def problems(self) -> Sequence[str]:
        """Write a file of our own and remove it, under the lock, and look at the folders right
        below. Returns a sentence for each that will not do. Raises what any call raises."""
        with self._lock():
            pass
        with self._writing(_OWN_FOLDER), self._own_folder() as own, _unfinished(own) as temporary:
            self._write(own, temporary, (b"",), b"")
            disk = os.fstat(own).st_dev
        found = []
        with self._answering(""), self._folder("") as at:
            assert at is not None
            for name in (name for name in _names(at, "") if name.endswith("/")):
                if os.stat(name, dir_fd=at).st_dev != disk:
                    found.append(f"{name} is on another disk: nothing can be renamed to or from it")
                elif not os.access(name, os.W_OK | os.X_OK, dir_fd=at, effective_ids=_EFFECTIVE):
                    found.append(f"{name} may not be written: nothing can be moved to or from it")
        return found

    def _put(
        self, key: str, content: Iterable[bytes], metadata: Mapping[str, str], overwrite: bool
    ) -> str:
        line = b'\n{"realtime": %b}\n' % json.dumps(dict(metadata)).encode()
        if len(line) > _LONGEST_LINE:
            raise RetryLater(
                f"{key} has {len(line)} bytes of metadata, {_LONGEST_LINE} are allowed"
            )
        with self._own_folder() as own, _unfinished(own) as temporary:
            self._write(own, temporary, content, line)
            with self._folder_of(key, make=True) as (folder, name):
                with self._lock():
                    etag = self._publish(own, temporary, folder, name, overwrite)
                os.fsync(folder)
        return etag

    def _write(self, own: int, temporary: str, content: Iterable[bytes], line: bytes) -> None:
        with open(self._open_own(own, temporary, _NEW_FILE), "wb") as file:
            for chunk in content:
                file.write(chunk)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _publish(self, own: int, temporary: str, folder: int, name: str, overwrite: bool) -> str:
        there = _now(name, folder)
        if there and not overwrite:
            raise Exists(f"{self._at(name)} exists already")
        # The time of the upload is when it appears. It tells it from the upload before it.
        now = time.time_ns()
        os.utime(temporary, ns=(now, now), dir_fd=own)
        written = os.stat(temporary, dir_fd=own)
        if there and _etag(there) == _etag(written):
            raise RetryLater(f"{name} was written a moment ago")
        os.rename(temporary, name, src_dir_fd=own, dst_dir_fd=folder)
        return _etag(written)

    def _rename(
        self, version: ObjectVersion, key: str, changed: dict[str, int], folders: ExitStack
    ) -> None:
        with self._answering(version.key):
            source, name = self._kept_open(version.key, changed, folders, make=False)
            found = _now(name, source)
            if found is None or _etag(found) != version.etag:
                raise Gone(f"{self._at(version.key)} is gone or has been overwritten")
        with self._writing(key):
            target, new_name = self._kept_open(key, changed, folders, make=True)
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)

    def _kept_open(
        self, key: str, opened: dict[str, int], stack: ExitStack, make: bool
    ) -> tuple[int, str]:
        """The folder of `key`, opened once for all, and the name in it."""
        path, name = _split(key)
        if path not in opened:
            opened[path], _ = stack.enter_context(self._folder_of(key, make))
        return opened[path], name

    def _delete(self, version: ObjectVersion) -> bool:
        try:
            with self._answering(version.key), self._folder_of(version.key) as (folder, name):
                found = _now(name, folder)
                if found is None or _etag(found) != version.etag:
                    return False
                os.unlink(name, dir_fd=folder)
        except Gone:
            return False
        return True

    def _below(self, path: str, start: str) -> Iterator[Listed]:
        """What lies in the folder `path` and begins with `start` there."""
        with self._folder(path) as at:
            if at is None:
                return
            for name in _names(at, start):
                if name.endswith("/"):
                    yield from self._below(path + name, "")
                elif (found := _stat(name, at)) and not _is_being_written(at, name, found):
                    yield Listed(path + name, _etag(found), _time(found), found.st_size)

    @contextmanager
    def _opened(self, key: str, version_id: str = "") -> Iterator[tuple[int, ObjectVersion]]:
        """The open file, and what it is."""
        if version_id:
            raise Gone(f"{self._at(key)} has no version {version_id}")
        with self._folder_of(key) as (folder, name):
            file = os.open(name, _FILE, dir_fd=folder)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise Gone(f"{self._at(key)} is no file")
            size, metadata = content_of(file, status.st_size)
            if metadata is None and _is_new(status) and not _is_whole(file, size):
                raise RetryLater(f"{key} is being written")
            yield (
                file,
                ObjectVersion(key, _etag(status), "", _time(status), size, metadata or {}),
            )
        finally:
            os.close(file)

    @contextmanager
    def _folder_of(self, key: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder that holds `key`, and its name there. Follows no link."""
        path, name = _split(key)
        with self._folder(path, make) as folder:
            if folder is None:
                raise FileNotFoundError(errno.ENOENT, "there is no such folder")
            yield folder, name

    @contextmanager
    def _folder(self, path: str, make: bool = False) -> Iterator[int | None]:
        """The open folder with this path, empty or ending in a slash; None when there is none,
        unless it is made. Follows no link below the store's own folder."""
        at = self._root()
        try:
            for name in path.split("/")[:-1]:
                if not _is_name(name):
                    raise FileNotFoundError(errno.ENOENT, "this is no key")
                inner = _enter(at, name, make)
                os.close(at)
                at = inner
            found: int | None = at
        except FileNotFoundError:
            if make:
                os.close(at)
                raise
            found = None
        except BaseException:
            os.close(at)
            raise
        try:
            yield found
        finally:
            os.close(at)

    def _root(self) -> int:
        try:
            return os.open(self.bucket, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise ConfigurationError(f"{SETTING}: there is no folder {self.bucket}") from exc
        except PermissionError as exc:
            raise ConfigurationError(f"{SETTING}: {self.bucket} is closed to us: {exc}") from exc

    @contextmanager
    def _own_folder(self) -> Iterator[int]:
        root = self._root()
        try:
            own = _enter(root, _OWN_FOLDER, make=True)
        except PermissionError as exc:
            raise self._not_writable(exc) from exc
        finally:
            os.close(root)
        try:
            if not self._tidied:
                self._tidied = True
                _tidy(own)
            yield own
        finally:
            os.close(own)

    def _open_own(self, own: int, name: str, flags: int) -> int:
        try:
            return os.open(name, flags, 0o666, dir_fd=own)
        except PermissionError as exc:
            raise self._not_writable(exc) from exc

    def _not_writable(self, exc: PermissionError) -> ConfigurationError:
        return ConfigurationError(f"{SETTING}: nothing can be written to {self.bucket}: {exc}")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the lock that all programs take before they change a name. Keep it short."""
        # One thread of a process asks for it at a time: the others would poll too.
        with self._mutex, self._writing(_OWN_FOLDER), self._own_folder() as own:
            lock = self._open_own(own, "lock", _LOCK_FILE)
            try:
                self._wait_for(lock)
                yield
            finally:
                os.close(lock)

    def _wait_for(self, lock: int) -> None:
        # Not waited for in the system call, which has no timeout.
        give_up = time.monotonic() + _LOCK_WAIT
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                if time.monotonic() > give_up:
                    held = f"{self.bucket}/{_OWN_FOLDER}/lock has been held for {_LOCK_WAIT:.0f} s"
                    raise Unavailable(held) from exc
            except OSError as exc:
                # A network file system without locks, or one whose lock server is away.
                raise Unavailable(f"{self.bucket} cannot be locked: {exc.strerror}") from exc
            time.sleep(_LOCK_POLL)

    @contextmanager
    def _answering(self, key: str) -> Iterator[None]:
        """Raise what a call for `key` promises in place of the system's errors."""
        try:
            yield
        except OSError as exc:
            if exc.errno in _MISSING:
                raise Gone(f"{self._at(key)} is not there") from exc
            raise self._error(key, exc) from exc

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        """The same where an object is written to `key`."""
        try:
            yield
        except OSError as exc:
            raise self._error(key, exc) from exc

    def _error(self, key: str, exc: OSError) -> RealtimeError:
        if exc.errno in _OUTAGES:
            return Unavailable(f"{self.bucket} cannot be used: {exc.strerror}")
        return RetryLater(f"{self._at(key)}: {exc.strerror}")

    def _at(self, key: str) -> str:
        return f"{self.bucket}/{key}"


def _portions(items: Iterable[T]) -> Iterator[Sequence[T]]:
    remaining = iter(items)
    while some := list(islice(remaining, _CHANGES)):
        yield some


def _is_name(name: str) -> bool:
    """Whether this can be a part of a key: no way out of the folder, and nothing hidden."""
    return bool(name) and not name.startswith(".") and "\0" not in name and "/" not in name


def _split(key: str) -> tuple[str, str]:
    """The folder of a key, empty or ending in a slash, and its name there."""
    path, slash, name = key.rpartition("/")
    if not _is_name(name):
        raise FileNotFoundError(errno.ENOENT, "this is no key")
    return f"{path}{slash}", name


def _enter(folder: int, name: str, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
        os.fsync(folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _names(folder: int, start: str) -> list[str]:
    """The names in a folder that are parts of keys, those of folders with a slash, in the order of
    the keys."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(start) and _is_name(entry.name):
                if entry.is_dir(follow_symlinks=False):
                    names.append(f"{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    names.append(entry.name)
    return sorted(names)


def _stat(name: str, folder: int) -> os.stat_result | None:
    """What a name in a folder is; None when it is no file."""
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return found if stat.S_ISREG(found.st_mode) else None
    return None


def _now(name: str, folder: int) -> os.stat_result | None:
    """What a name in a folder is at this moment; None when it is no file.

    Opening a file asks the server of a network file system. `stat` may answer from a cache.
    """
    try:
        file = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(file)
    finally:
        os.close(file)
    return found if stat.S_ISREG(found.st_mode) else None


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _time(status: os.stat_result) -> datetime:
    return _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)


def content_of(file: int, size: int) -> tuple[int, dict[str, str] | None]:
    """Of an open file of `size` bytes, the size of the body and the metadata; None when it has
    none."""
    tail = os.pread(file, _LONGEST_LINE, max(0, size - _LONGEST_LINE))
    line = _METADATA.search(tail)
    if line is None:
        return size, None
    try:
        metadata = json.loads(line[1])
    except ValueError:
        return size, None
    return size - len(line[0]), metadata


def _chunks(file: int, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file."""
    at = 0
    while at < size and (chunk := os.pread(file, min(_CHUNK, size - at), at)):
        at += len(chunk)
        yield chunk


def _is_new(status: os.stat_result) -> bool:
    return -_CLOCKS_DIFFER < time.time() - status.st_mtime < _SETTLED_AFTER


def _is_whole(file: int, size: int) -> bool:
    """Whether the file is JSON. Scraped files are objects, and the first part of one is no JSON."""
    try:
        json.loads(b"".join(_chunks(file, size)))
    except (ValueError, RecursionError):
        return False
    return True


def _is_being_written(folder: int, name: str, status: os.stat_result) -> bool:
    if not _is_new(status):
        return False
    try:
        file = os.open(name, _FILE, dir_fd=folder)
    except OSError:
        # Gone meanwhile, or not ours to read: whoever reads it is told.
        return False
    try:
        size, metadata = content_of(file, status.st_size)
        return metadata is None and not _is_whole(file, size)
    finally:
        os.close(file)


@contextmanager
def _unfinished(own: int) -> Iterator[str]:
    """A name in our own folder, which is removed at the end if it still is there."""
    name = f"{secrets.token_hex(16)}.tmp"
    try:
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=own)


def _tidy(own: int) -> None:
    """Remove what programs that were killed have left in our own folder."""
    oldest = time.time() - _ABANDONED_AFTER
    with os.scandir(own) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.endswith(".tmp") and entry.stat().st_mtime < oldest:
                    os.unlink(entry.name, dir_fd=own)
