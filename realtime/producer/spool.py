"""The spool: files on disk that could not be published yet.

{folder}/{run}/{abbr}/{type}_{id}.json           the file, byte for byte
{folder}/{run}/{abbr}/{type}_{id}.json.message   its note: key, metadata and message
{folder}/{run}/run_finished.message              the end of the run, to send after all its files
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from realtime.domain.errors import RealtimeError
from realtime.producer.outbox import Outgoing

SUFFIX = ".message"
END = f"run_finished{SUFFIX}"


class BadSpool(RealtimeError):
    """A spooled file is damaged, incomplete, or was not written by Spool."""


@dataclass(frozen=True)
class Spooled:
    """One spooled file, and the path of its note."""

    note: Path
    outgoing: Outgoing

    def remove(self) -> None:
        """Delete the file and its note. Call it once the file is published."""
        self.note.unlink(missing_ok=True)
        _content(self.note).unlink(missing_ok=True)


class Spool:
    """Writes the unpublished files of one run below `folder`, which it creates when needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, outgoing: Outgoing) -> None:
        """Write a file and its note; both exist when this returns. Raises OSError."""
        abbr, _, file = outgoing.key.rpartition("/")
        note = self.folder / abbr.rpartition("/")[2] / f"{file}{SUFFIX}"
        note.parent.mkdir(parents=True, exist_ok=True)
        # The note last: only a file with a note counts as spooled.
        _content(note).write_bytes(outgoing.body)
        _write(
            note,
            {
                "key": outgoing.key,
                "metadata": dict(outgoing.metadata),
                "message": outgoing.message,
                "uploaded": outgoing.uploaded,
            },
        )

    def keep_end(self, message: str) -> None:
        """Write the message that ends the run. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / END, {"message": message})


def is_spool(folder: Path) -> bool:
    """Whether `folder` holds spooled files or ends of runs."""
    return folder.is_dir() and any(folder.rglob(f"*{SUFFIX}"))


def runs(folder: Path) -> list[Path]:
    """The runs' folders in `folder`: a whole spool, one run, or a part of a run (itself)."""
    notes = list(folder.rglob(f"*{SUFFIX}"))
    found = {note.parent if note.name == END else note.parent.parent for note in notes}
    # For a part of a run, use the part, not its parents.
    return sorted({run if run.is_relative_to(folder) else folder for run in found})


def files(run: Path) -> Iterator[Path]:
    """The notes of a run's spooled files, sorted by path."""
    return iter(sorted(note for note in run.rglob(f"*{SUFFIX}") if note.name != END))


def read(note: Path) -> Spooled:
    """Read the spooled file of `note`. Raises BadSpool when it is damaged."""
    try:
        entry = json.loads(note.read_bytes())
        outgoing = Outgoing(
            key=entry["key"],
            body=_content(note).read_bytes(),
            metadata=entry["metadata"],
            message=entry["message"],
            uploaded=entry["uploaded"],
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BadSpool(f"{note} cannot be read: {exc!r}") from exc
    return Spooled(note, outgoing)


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


def remove_empty(folder: Path) -> None:
    """Remove empty folders below `folder`, and `folder` itself when it is empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _content(note: Path) -> Path:
    return note.with_name(note.name.removesuffix(SUFFIX))


def _write(path: Path, entry: dict[str, object]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(entry), encoding="utf-8")
    partial.replace(path)
