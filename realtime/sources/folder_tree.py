"""A folder on disk, or some files in one."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from realtime.backends.folder import content_of
from realtime.domain.errors import PoisonMessage
from realtime.sources.file_names import NOT_PEOPLE, SPOOL, describe, require_inside, told
from realtime.sources.source import Body, Broken, NoSource, Skipped, aware
from realtime.sources.tree import TreeFile


class FolderTree:
    """The files in `root` and below, or only those with these `names`, paths within it.

    No link and no name leads out of the folder, unless `trusted` says that it is the caller who has
    named the file. Hidden files, and folders that hold none of ours, are left out.
    """

    parallel = False

    def __init__(
        self, root: Path, names: Iterable[str | Broken] | None = None, *, trusted: bool = False
    ) -> None:
        self._root = root
        self._real = os.path.realpath(root)
        self._names = names
        self._trusted = trusted

    def files(self) -> Iterator[TreeFile | Broken | Skipped]:
        if not self._root.is_dir():
            raise NoSource(f"{self._root} does not exist")
        for name in self._walk() if self._names is None else self._names:
            if not isinstance(name, str):
                yield name
                continue
            try:
                if not self._trusted:
                    require_inside(name)
                yield self._file(name)
            except PoisonMessage as problem:
                # Where nobody has named it, what is none of ours may be whatever it likes.
                is_meant = self._names is not None or describe(name)
                yield Broken(told(name), problem) if is_meant else Skipped(told(name))

    def read(self, name: str, max_bytes: int) -> Body:
        try:
            with open(self._root / name, "rb") as file:
                found = os.fstat(file.fileno())
                # The folder, or a copy of it, may be a store's, which keeps metadata in its files.
                size, metadata = content_of(file.fileno(), found.st_size)
                content = file.read(size) if size <= max_bytes else None
        except OSError as exc:
            raise _gone(exc) from exc
        if content is None:
            raise PoisonMessage(
                "too-large",
                f"{size} bytes are more than REALTIME_MAX_FILE_BYTES ({max_bytes})",
            )
        changed_at = aware(found.st_mtime)
        return (
            Body(content, changed_at)
            if metadata is None
            else (Body.stored(content, changed_at, metadata))
        )

    def open(self, file: TreeFile) -> BinaryIO:
        try:
            return open(self._root / file.name, "rb")
        except OSError as exc:
            raise _gone(exc) from exc

    def _walk(self) -> Iterator[str | Skipped]:
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self._root / folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as exc:
                raise NoSource(f"{self._root / folder} cannot be read: {exc}") from exc
            for entry in found:
                name = f"{folder}{entry.name}"
                if entry.name.startswith("."):
                    continue
                if not _is_folder(entry):
                    yield name
                elif entry.name in (*NOT_PEOPLE, SPOOL) or entry.is_symlink():
                    yield Skipped(name)
                else:
                    folders.append(f"{name}/")

    def _file(self, name: str) -> TreeFile:
        path = self._root / name
        try:
            if not self._trusted and os.path.commonpath([self._real, os.path.realpath(path)]) != (
                self._real
            ):
                raise PoisonMessage("not-a-file", "a link leads out of the folder")
            found = path.stat()
        except (OSError, ValueError) as exc:
            raise _gone(exc) from exc
        if not stat.S_ISREG(found.st_mode):
            raise PoisonMessage("not-a-file", "it is a device, a pipe or a folder")
        version = f"{found.st_size}-{found.st_mtime_ns}"
        return TreeFile(name, version, found.st_size, aware(found.st_mtime))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself, say: looking at it as a file will say so


def _gone(exc: Exception) -> PoisonMessage:
    return PoisonMessage("gone", f"the file cannot be read: {exc}")
