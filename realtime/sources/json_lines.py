"""A file of JSON lines, one object each, as core's own `--realtime` writes them."""

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from realtime.domain.errors import PoisonMessage
from realtime.domain.scraped_object import OBJECT_TYPES
from realtime.sources.file_names import uuid_ticks
from realtime.sources.source import Body, Broken, Entry, Member
from realtime.sources.tree import Tree, TreeFile

# A line longer than that is read in pieces, and never kept as a whole until it is a member.
_PIECE = 1 << 20
# Core writes the object's own `_id` last. Only the scrape order is guessed from it, until the line
# is read for good.
_ID = re.compile(rb'"_id": ?"([0-9a-f-]{36})"')


class Lines:
    """The lines of one file, all of one type.

    A line is identified by its number and content, so that a file may grow. Empty lines are left
    out.
    """

    parallel = False

    def __init__(self, tree: Tree, file: TreeFile, object_type: str, abbr: str) -> None:
        self.name = file.name
        self.fingerprint = f"{file.name} {file.version}"
        self._tree = tree
        self._file = file
        self._type = object_type
        self._abbr = abbr
        self._opened: BinaryIO | None = None

    def entries(self) -> Iterator[Entry]:
        if not self._type:
            problem = PoisonMessage(
                "unknown-type",
                f"neither its name nor a folder's names one of the types {', '.join(OBJECT_TYPES)}",
            )
            yield Broken(self._file.name, problem)
            return
        try:
            opened = self._open()
        except PoisonMessage as problem:
            yield Broken(self._file.name, problem)
            return
        number = position = 0
        while True:
            number += 1
            content, size, tail = hashlib.sha256(), 0, b""
            while piece := opened.readline(_PIECE):
                content.update(piece)
                size += len(piece)
                # Two pieces: what is looked for may lie across their edge.
                tail = tail[-_PIECE:] + piece
                if piece.endswith(b"\n"):
                    break
            if not size:
                return
            if tail.strip():
                found = _ID.findall(tail)
                ticks = uuid_ticks(found[-1].decode()) if found else None
                yield Member(
                    f"{self._file.name}#{number}", self._type, self._abbr,
                    content.hexdigest()[:32], size, ticks, position,
                )  # fmt: skip
            position += size
            opened.seek(position)

    def read(self, member: Member, max_bytes: int) -> Body:
        if member.size > max_bytes:
            raise PoisonMessage(
                "too-large",
                f"{member.size} bytes are more than REALTIME_MAX_FILE_BYTES ({max_bytes})",
            )
        opened = self._open()
        opened.seek(member.position)
        return Body(opened.read(member.size), self._file.changed_at)

    def close(self) -> None:
        if self._opened:
            self._opened.close()
            self._opened = None

    def _open(self) -> BinaryIO:
        if self._opened is None:
            self._opened = self._tree.open(self._file)
        return self._opened
