"""What could not be published, kept on disk until it can.

{folder}/{run}/{abbr}/{type}_{id}.json           the file, byte for byte
{folder}/{run}/{abbr}/{type}_{id}.json.message   its key, metadata and message
{folder}/{run}/run_finished.message              the end of the run, once all of it is sent
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
    """A spool folder holds something that was not written by Spool, or only half of it."""


@dataclass(frozen=True)
class Spooled:
    """One kept file, and where its note is."""

    note: Path
    outgoing: Outgoing

    def remove(self) -> None:
        """Forget the file; call it once the file is published."""
        self.note.unlink(missing_ok=True)
        _content(self.note).unlink(missing_ok=True)


class Spool:
    """The files of one run that could not be published. Creates `folder` when first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, outgoing: Outgoing) -> None:
        """Write a file and its message; both are there when this returns. Raises OSError."""
        abbr, _, file = outgoing.key.rpartition("/")
        note = self.folder / abbr.rpartition("/")[2] / f"{file}{SUFFIX}"
        note.parent.mkdir(parents=True, exist_ok=True)
        # The note is what makes it an entry, so it comes last.
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
        """Keep the message that ends the run. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / END, {"message": message})


def is_spool(folder: Path) -> bool:
    """Whether anything below `folder` was kept here."""
    return folder.is_dir() and any(folder.rglob(f"*{SUFFIX}"))


def runs(folder: Path) -> list[Path]:
    """The folders of runs in `folder`, which may be a whole spool, one run, or one part of it."""
    notes = list(folder.rglob(f"*{SUFFIX}"))
    found = {note.parent if note.name == END else note.parent.parent for note in notes}
    # A path that points into a run must not reach beyond itself.
    return sorted({run if run.is_relative_to(folder) else folder for run in found})


def files(run: Path) -> Iterator[Path]:
    """The notes of the files kept for a run, in order of their names."""
    return iter(sorted(note for note in run.rglob(f"*{SUFFIX}") if note.name != END))


def read(note: Path) -> Spooled:
    """The file of `note`. Raises BadSpool when it is damaged."""
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
    """The message that ends the run, None when none is kept. Raises BadSpool."""
    try:
        message: str = json.loads((run / END).read_bytes())["message"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BadSpool(f"{run / END} cannot be read: {exc!r}") from exc
    return message


def remove_end(run: Path) -> None:
    """Forget the end of the run; call it once it is sent."""
    (run / END).unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Remove `folder` and what is below it as far as it holds no files."""
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
