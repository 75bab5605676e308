"""What the name of a file says of it: which kind it is, what it holds, whose it is."""

import re
import uuid
from dataclasses import dataclass

from realtime.domain.errors import PoisonMessage
from realtime.domain.jurisdictions import abbreviation_of, jurisdiction_of
from realtime.domain.scraped_object import OBJECT_TYPES
from realtime.domain.text import is_storable

# Kinds of files.
OBJECT, PERSON, LINES, TAR, ZIP = "object", "person", "lines", "tar", "zip"
# Entries of the people repository that hold no people.
NOT_PEOPLE = ("committees", "municipalities", "municipalities.yml")
# What a scrape that was killed has left: publish_realtime sends it.
SPOOL = "_realtime_spool"
MANIFEST = "_manifest.json"

_TYPES = "|".join(OBJECT_TYPES)
_SCRAPED = re.compile(rf"(?P<type>{_TYPES})_(?P<id>.+)\.json")
_LINES = re.compile(rf"(?:(?P<type>{_TYPES})(?:[_.-].*)?|.*)\.jsonl")
_OF_JURISDICTION = re.compile(r"(?:^|/)(country:us(?:/[a-z]+:[a-z_-]+)?/government)(?:/|$)")
_ABBREVIATION = re.compile(r"[a-z]{2,3}")
_DRIVE = re.compile(r"[A-Za-z]:")
# As long as S3's keys: a longer one does not fit PostgreSQL's index either.
_LONGEST = 1024


@dataclass(frozen=True)
class Named:
    """What a path says. `object_type` and `abbr` are empty where it does not; `ticks` is the time
    in the UUIDv1 of the name, in units of 100 ns."""

    kind: str
    object_type: str = ""
    abbr: str = ""
    ticks: int | None = None


def describe(path: str, abbr: str = "") -> Named | None:
    """What the file at `path` is; None when it is none of ours.

    `abbr` overrides what the path says of the jurisdiction: by a folder called `wy`, or by folders
    as those of core's lake, `country:us/state:wy/government`.
    """
    *folders, name = path.split("/")
    if is_left_out(path):
        return None
    abbr = abbr or _abbreviation(path, folders)
    if match := _SCRAPED.fullmatch(name):
        return Named(OBJECT, match["type"], abbr, uuid_ticks(match["id"][:36]))
    if name.endswith((".yml", ".yaml")):
        return Named(PERSON, "person", abbr)
    if match := _LINES.fullmatch(name):
        by_folder = [folder for folder in folders if folder in OBJECT_TYPES]
        return Named(LINES, match["type"] or (by_folder or [""])[-1], abbr)
    if name.endswith((".tar.gz", ".tgz")):
        return Named(TAR, abbr=abbr)
    return Named(ZIP, abbr=abbr) if name.endswith(".zip") else None


def is_left_out(path: str) -> bool:
    """Whether the file at `path` belongs to a scrape or to the people repository, and holds nothing
    to import."""
    *folders, name = path.split("/")
    return bool(set(NOT_PEOPLE) & {*folders, name}) or SPOOL in folders or name == MANIFEST


def _abbreviation(path: str, folders: list[str]) -> str:
    if match := _OF_JURISDICTION.search(path):
        jurisdiction_id = f"ocd-jurisdiction/{match[1]}"
        found = abbreviation_of(jurisdiction_id)
        return "" if found == jurisdiction_id else found
    for folder in reversed(folders):
        if _ABBREVIATION.fullmatch(folder) and jurisdiction_of(folder):
            return folder
    return ""


def leading(folder: str, *, own_name: bool = True) -> str:
    """Of a folder's absolute path, what says whose its files are, ending in a slash: from where
    core names the jurisdiction on; else its last part, if its `own_name` counts. The others may be
    called whatever their host's owner likes."""
    if match := _OF_JURISDICTION.search(folder):
        return f"{folder[match.start(1) :]}/"
    return f"{folder.rpartition('/')[2]}/" if own_name else ""


def require_inside(path: str) -> None:
    """Raises PoisonMessage (`bad-name`) for a path that could lead out of its folder or archive, or
    that no database can hold."""
    if not is_storable(path) or not path.isprintable():
        raise PoisonMessage("bad-name", "the name has characters that no file of ours has")
    if len(path.encode()) > _LONGEST:
        raise PoisonMessage("bad-name", f"the name has more than {_LONGEST} bytes")
    if path.startswith("/") or "\\" in path or _DRIVE.match(path):
        raise PoisonMessage("bad-name", "the name is an absolute path, or one of Windows")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise PoisonMessage("bad-name", "the name has an empty or dotted part")


def uuid_ticks(text: str) -> int | None:
    """The ticks of a UUIDv1; None for any other text."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return None
    return value.time if value.version == 1 else None


def told(path: str) -> str:
    """The path as a message may quote it."""
    return path if path.isprintable() and len(path) <= 200 else ascii(path[:200])
