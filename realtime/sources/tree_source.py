"""Files in folders, on disk or in a store, as one source: single files, JSON lines and archives."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from realtime.domain.errors import PoisonMessage
from realtime.domain.scraped_object import IGNORED_TYPES, IMPORTED_TYPES
from realtime.sources.archives import Tar, Zip
from realtime.sources.file_names import LINES, OBJECT, PERSON, TAR, Named, describe, is_left_out
from realtime.sources.json_lines import Lines
from realtime.sources.person_yaml import person_json
from realtime.sources.source import Body, Broken, Empty, Entry, Member, Skipped, Volume, digest
from realtime.sources.tree import Tree, TreeFile


class TreeSource:
    """The files of a tree, as the source `url`.

    `abbr` says whose they are, whatever their folders are called; without it these do, and those
    that lead to the tree, `above` (empty, or ending in a slash), and at last the `holder`. `run_id`
    is the run that the source says it is. With `is_listed` each file is meant to be one of ours, by
    a manifest: what is none is Broken, and not left out.
    """

    def __init__(
        self,
        url: str,
        tree: Tree,
        abbr: str = "",
        above: str = "",
        holder: str = "",
        run_id: UUID | None = None,
        is_listed: bool = False,
    ) -> None:
        self.url = url
        self.run_id = run_id
        self.is_far = tree.parallel
        self._tree = tree
        self._abbr = abbr
        self._above = above
        self._holder = holder
        self._is_listed = is_listed

    def volumes(self) -> Iterator[Volume]:
        loose: list[Entry] = []
        containers: list[tuple[TreeFile, Named]] = []
        for file in self._tree.files():
            if not isinstance(file, TreeFile):
                loose.append(file)
            elif (named := describe(self._above + file.name, self._abbr)) is None:
                loose.append(self._unknown(file.name))
            elif named.kind in (OBJECT, PERSON):
                loose.append(_member(file, named, named.abbr or self._holder))
            else:
                containers.append((file, named))
        if not containers and all(isinstance(entry, Skipped) for entry in loose):
            raise Empty(f"{self.url} holds no scraped files and no people")
        if loose:
            yield _Loose(self._tree, loose)
        for file, named in sorted(containers, key=_place):
            abbr = named.abbr or self._holder
            if named.kind == LINES:
                yield Lines(self._tree, file, named.object_type, abbr)
            else:
                kind = Tar if named.kind == TAR else Zip
                yield kind(self._tree, file, self._abbr, abbr)

    def _unknown(self, name: str) -> Entry:
        if not self._is_listed or is_left_out(self._above + name):
            return Skipped(name)
        problem = PoisonMessage("bad-name", "the name is not that of a scraped file", "objects")
        return Broken(name, problem)


def _member(file: TreeFile, named: Named, abbr: str) -> Member:
    name, version, size, _ = file
    return Member(name, named.object_type, abbr, version, size, named.ticks, named.kind)


def _place(found: tuple[TreeFile, Named]) -> tuple[int, str]:
    """Archives first, which have all types; then JSON lines, type by type as they are imported, and
    as they were written: core names them after the time."""
    file, named = found
    types = ("", *IMPORTED_TYPES, *IGNORED_TYPES)
    return types.index(named.object_type), file.name


class _Loose:
    """The single files of a tree: scraped objects, and people's YAML."""

    name = ""

    def __init__(self, tree: Tree, entries: list[Entry]) -> None:
        self.parallel = tree.parallel
        self._tree = tree
        self._entries = entries

    @property
    def fingerprint(self) -> str:
        return digest(f"{e.name} {e.version}" for e in self._entries if isinstance(e, Member))

    def entries(self) -> Iterator[Entry]:
        yield from self._entries

    def read(self, member: Member, max_bytes: int) -> Body:
        body = self._tree.read(member.name, max_bytes)
        if member.position == PERSON:
            return replace(body, content=person_json(body.content))
        return body

    def close(self) -> None:
        pass
