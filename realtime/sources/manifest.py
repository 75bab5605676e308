"""A manifest: the objects of one whole scrape, listed once all of them were written."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from realtime.domain.errors import PoisonMessage
from realtime.domain.jurisdictions import jurisdiction_of
from realtime.sources.file_names import told
from realtime.sources.source import Broken, NoSource

# Bytes of a manifest: about a million keys.
MOST_BYTES = 100 * 10**6
_LONGEST_ABBREVIATION = 3


@dataclass(frozen=True)
class Manifest:
    """What a manifest says: the run, the jurisdiction's abbreviation (empty if it is none), and the
    names of the files, relative to the manifest's own folder, each once."""

    run_id: UUID | None
    abbr: str
    names: Sequence[str | Broken]


def parse_manifest(body: bytes, url: str, folder: str) -> Manifest:
    """The manifest in `folder`. Its `objects` are keys: whole ones, which begin with the folder's
    path, or with an end of it, since a bucket may have been copied to any place; or relative to the
    folder.

    Raises NoSource, naming `url` and the field, when it is none. Of its objects, what is no text is
    Broken.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise NoSource(f"{url} is not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise NoSource(f"{url} is not a JSON object")
    objects = document.get("objects")
    if not isinstance(objects, list) or not objects:
        raise NoSource(f"{url}: objects is not a list of keys")
    source = document.get("source")
    is_short = isinstance(source, str) and len(source) <= _LONGEST_ABBREVIATION
    abbr = str(source).lower() if is_short and jurisdiction_of(str(source)) else ""
    keys = [key for key in objects if isinstance(key, str)]
    above = _above(keys, folder)
    names: list[str | Broken] = [name.removeprefix(above) for name in dict.fromkeys(keys)]
    for number, key in enumerate(objects):
        if not isinstance(key, str):
            problem = PoisonMessage("bad-name", f"{told(json.dumps(key))} is no key", "objects")
            names.append(Broken(f"objects.{number}", problem))
    return Manifest(_run_id(document.get("run_id"), url), abbr, names)


def _above(keys: Sequence[str], folder: str) -> str:
    """What most of the keys begin with, of those that are any: the folder's path, or an end of it;
    the longest such."""
    keys = [key for key in keys if not any(part in ("", ".", "..") for part in key.split("/"))]
    parts = PurePosixPath(folder).parts
    for at in range(len(parts)):
        above = "/".join(parts[at:]).lstrip("/") + "/"
        if 2 * sum(key.startswith(above) for key in keys) > len(keys):
            return above
    return ""


def _run_id(value: Any, url: str) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError) as exc:
        raise NoSource(f"{url}: run_id is no UUID: {told(str(value))}") from exc
