"""Archives, `.tar.gz` and `.zip`, of files as they lie in core's `_data/`.

Nothing is unpacked by name. Every member is a regular file within the archive, or an error that
names it; what an archive unpacks to is bounded by its size, and in all.
"""

import gzip
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO

from realtime.domain.errors import PoisonMessage, Unavailable
from realtime.sources.file_names import OBJECT, PERSON, Named, describe, require_inside
from realtime.sources.person_yaml import person_json
from realtime.sources.source import Body, Broken, Entry, Member, Skipped, aware
from realtime.sources.tree import Tree, TreeFile

# An archive may unpack to so many times its size, and to so many bytes in all. JSON is compressed
# to a thirtieth; to a thousandth only what repeats itself. Small archives may be anything.
MOST_RATIO = 200
MOST_BYTES = 20 * 10**9
_SMALL = 100 * 10**6
MOST_MEMBERS = 1_000_000
# Bytes of a header: those that describe a member are a few hundred.
_HEADER = 1 << 20
_PIECE = 1 << 20
# What broken archives make these modules raise.
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
)


class _Archive:
    """What both formats share. Members belong to `abbr`; without it, to whom the folders in the
    archive say, else to its `holder`."""

    parallel = False

    def __init__(self, tree: Tree, file: TreeFile, abbr: str, holder: str) -> None:
        self.name = file.name
        self.fingerprint = f"{file.name} {file.version}"
        self._tree = tree
        self._file = file
        self._abbr = abbr
        self._holder = holder
        self._most = min(MOST_BYTES, max(_SMALL, MOST_RATIO * file.size))

    def entries(self) -> Iterator[Entry]:
        self.close()
        seen: set[int] = set()
        try:
            for entry in self._entries():
                # Of the names only their hashes: there may be a hundred thousand.
                if isinstance(entry, Member) and hash(entry.name) in seen:
                    problem = PoisonMessage("twice", "the archive has another file of this name")
                    entry = Broken(entry.name, problem)
                seen.add(hash(entry.name))
                if len(seen) > MOST_MEMBERS:
                    raise PoisonMessage(
                        "too-large", f"the archive has more than {MOST_MEMBERS} members"
                    )
                yield entry
        except PoisonMessage as problem:
            yield Broken(self._file.name, problem)
        except _BROKEN as exc:
            yield Broken(self._file.name, self._broken(exc))

    def read(self, member: Member, max_bytes: int) -> Body:
        if member.size > max_bytes:
            raise PoisonMessage(
                "too-large",
                f"{member.size} bytes are more than REALTIME_MAX_FILE_BYTES ({max_bytes})",
            )
        try:
            content, changed_at = self._read(member)
        except _BROKEN as exc:
            raise self._broken(exc) from exc
        if member.object_type == "person" and not member.name.endswith(".json"):
            content = person_json(content)
        return Body(content, changed_at)

    def _entries(self) -> Iterator[Entry]:
        raise NotImplementedError

    def _read(self, member: Member) -> tuple[bytes, datetime]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def _entry(self, name: str, kind: int, size: int, position: Any) -> Entry | None:
        """The member called `name`, whose kind is one of `stat`'s, 0 if unknown; None for a
        folder."""
        name = name.removeprefix("./")
        full = f"{self._file.name}#{name}"
        try:
            require_inside(name.removesuffix("/") if kind == stat.S_IFDIR else name)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise PoisonMessage("not-a-file", "it is a link, a device or a pipe")
        except PoisonMessage as problem:
            return None if name in ("", ".") else Broken(full, problem)
        if kind == stat.S_IFDIR:
            return None
        named: Named | None = describe(name, self._abbr)
        if named is None or named.kind not in (OBJECT, PERSON):
            return Skipped(full)
        abbr, version = named.abbr or self._holder, self._file.version
        return Member(full, named.object_type, abbr, version, size, named.ticks, position)

    def _broken(self, exc: BaseException) -> PoisonMessage:
        return PoisonMessage("bad-archive", f"the archive is broken: {str(exc) or type(exc)}")

    def _bomb(self) -> PoisonMessage:
        return PoisonMessage(
            "too-large",
            f"the archive, of {self._file.size} bytes, unpacks to more than {self._most}",
        )


class Tar(_Archive):
    """A `.tar.gz`. It is unpacked as a whole to one temporary file, since it cannot be positioned;
    members are found there."""

    _unpacked: BinaryIO | None = None

    def close(self) -> None:
        if self._unpacked:
            self._unpacked.close()
            self._unpacked = None

    def _entries(self) -> Iterator[Entry]:
        # Not by name: nobody else finds it, and it is gone with the process.
        unpacked = self._unpacked = tempfile.TemporaryFile()  # noqa: SIM115
        problem = self._unpack(unpacked)
        size = unpacked.tell()
        yield from self._members(unpacked, size, problem)
        if problem:
            raise problem

    def _unpack(self, unpacked: BinaryIO) -> PoisonMessage | None:
        """Unpack until the end, or what is returned."""
        written = 0
        with self._tree.open(self._file) as packed, gzip.GzipFile(fileobj=packed) as unzipped:
            while True:
                try:
                    piece = unzipped.read(_PIECE)
                except _BROKEN as exc:
                    return self._broken(exc)
                if not piece:
                    return None
                try:
                    unpacked.write(piece)
                except OSError as exc:
                    where = tempfile.gettempdir()
                    raise Unavailable(
                        f"{self._file.name} cannot be unpacked in {where} (TMPDIR): {exc}"
                    ) from exc
                written += len(piece)
                if written > self._most:
                    return self._bomb()

    def _members(
        self, unpacked: BinaryIO, size: int, problem: PoisonMessage | None
    ) -> Iterator[Entry]:
        unpacked.seek(0)
        try:
            headers: Any = _Headers(unpacked)
            tar: Any = tarfile.TarFile(fileobj=headers)
            offset = -1
            while info := tar.next():
                # It keeps them all.
                tar.members = []
                if tar.offset <= offset:
                    raise tarfile.ReadError(f"{info.name!a} leads back")
                offset = tar.offset
                kind = _kind(info)
                entry = self._entry(info.name, kind, info.size, (info.offset_data, info.mtime))
                if isinstance(entry, Member) and info.offset_data + info.size > size:
                    entry = Broken(entry.name, PoisonMessage("bad-archive", "it is cut off"))
                if entry is not None:
                    yield entry
            # It takes what it cannot read for the end. The end is a block of zeros.
            unpacked.seek(tar.offset)
            if unpacked.read(tarfile.BLOCKSIZE).strip(b"\0") or tar.offset >= size:
                raise tarfile.ReadError(f"at byte {tar.offset} is no member, and no end")
        except _BROKEN:
            if problem is None:
                raise

    def _read(self, member: Member) -> tuple[bytes, datetime]:
        assert self._unpacked is not None, "the volume was not listed"
        offset, changed = member.position
        return os.pread(self._unpacked.fileno(), member.size, offset), aware(changed)


class _Headers:
    """The part of a file that tarfile needs to find members; it reads no header without end."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file = file

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def _kind(info: tarfile.TarInfo) -> int:
    if info.isdir():
        return stat.S_IFDIR
    # A sparse file is larger than the archive, too.
    return stat.S_IFREG if info.isreg() and not info.issparse() else stat.S_IFLNK


class Zip(_Archive):
    """A `.zip`."""

    _opened: BinaryIO | None = None
    _zip: zipfile.ZipFile | None = None

    def close(self) -> None:
        if self._opened:
            self._opened.close()
            self._opened = self._zip = None

    def _entries(self) -> Iterator[Entry]:
        self._opened = self._tree.open(self._file)
        self._zip = zipfile.ZipFile(self._opened)
        total = 0
        for info in self._zip.infolist():
            total += info.file_size
            if total > self._most:
                raise self._bomb()
            kind = stat.S_IFDIR if info.is_dir() else stat.S_IFMT(info.external_attr >> 16)
            entry = self._entry(info.filename, kind, info.file_size, info)
            if isinstance(entry, Member) and (why := _unreadable(info)):
                entry = Broken(entry.name, PoisonMessage("bad-archive", why))
            if entry is not None:
                yield entry

    def _read(self, member: Member) -> tuple[bytes, datetime]:
        assert self._zip is not None, "the volume was not listed"
        info: zipfile.ZipInfo = member.position
        file: IO[bytes]
        with self._zip.open(info) as file:
            # It reads no more than the size that it was listed with.
            return file.read(member.size), _changed_at(info)


def _changed_at(info: zipfile.ZipInfo) -> datetime:
    try:
        return datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        return aware(0)  # months and days may be zeros


def _unreadable(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "it is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"its compression method {info.compress_type} is not one of zip's usual two"
    return ""
