"""A tree of files: what a source in folders, on disk or in a store, must be able to do."""

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple, Protocol

from realtime.sources.source import Body, Broken, Skipped


class TreeFile(NamedTuple):
    """A file in a tree: its path there, what tells this content from a later one, its size in bytes
    and when it was last written (aware UTC)."""

    name: str
    version: str
    size: int
    changed_at: datetime


class Tree(Protocol):
    """Files below one place. Nothing outside of it is listed or read."""

    @property
    def parallel(self) -> bool:
        """Whether files are far away; then `read` is thread-safe."""

    def files(self) -> Iterator[TreeFile | Broken | Skipped]:
        """All files, in any order. Raises NoSource when the place does not exist, RetryLater when
        it cannot be reached."""

    def read(self, name: str, max_bytes: int) -> Body:
        """A whole file. Raises PoisonMessage (`gone`, `too-large`) and RetryLater."""

    def open(self, file: TreeFile) -> BinaryIO:
        """A file to read and seek in, which takes up no memory. Raises PoisonMessage (`gone`) and
        RetryLater."""
