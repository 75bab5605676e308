"""Words of the page: durations, and what operators' actions do and have done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from realtime.models import Verb
from realtime.monitoring.status.durations import short_duration

NOTHING = "\N{EN DASH}"


def duration(seconds: float | timedelta | None) -> str:
    """As `status_realtime` writes it: `42 s`, `3 min`, `2.5 h`; a dash for None."""
    if seconds is None:
        return NOTHING
    return short_duration(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `1,204 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@dataclass(frozen=True)
class Words:
    """How the page speaks of an action: its button, what it does, why it needs a note, and what it
    did to one, or did not because that was done before."""

    button: str
    explained: str
    needs_note: str = ""
    done_to_one: str = ""
    settled_one: str = ""


VERBS: Mapping[Verb, Words] = {
    Verb.RETRY: Words(
        "Retry",
        "Fix the cause first. Each file is put back and sent again, and keeps its place in the"
        " scrape order. The next import run imports it.",
        done_to_one="1 sent again.",
        settled_one="Nothing to retry: this file is no longer failed.",
    ),
    Verb.DISCARD: Words(
        "Discard",
        "They leave the lists and are not retried. No file is moved, and their outcome stays"
        " failed. This can be undone until the ledger forgets them.",
        "this failure can be discarded",
        "Discarded. The file is not moved, and its outcome stays failed.",
        "Nothing to discard: this file is no longer failed.",
    ),
    Verb.UNDISCARD: Words(
        "Undo discard",
        "They come back to the lists of failures, and can be retried.",
        done_to_one="It is among the failures again.",
        settled_one="Nothing to undo: this file is not discarded.",
    ),
    Verb.RESOLVE: Words(
        "Resolve",
        "They leave the lists. What is raised again is a new flag. This can be undone until the"
        " ledger forgets them.",
        "this flag is resolved",
        "Resolved. If it is raised again, it is a new flag.",
        "Nothing to resolve: this flag is not open any more.",
    ),
    Verb.REOPEN: Words(
        "Reopen",
        "They are open again. Those that were raised anew meanwhile stay as they are.",
        done_to_one="It is open again.",
        settled_one="Nothing to reopen: it is open, or was raised anew.",
    ),
    Verb.ANNOUNCE: Words(
        "Send lost messages again",
        "A message is sent for each file that has been in the store for more than 15 minutes and"
        " has no outcome. One whose message only waits in the queue gets a second one, and is not"
        " imported twice.",
    ),
    Verb.ARCHIVE: Words(
        "Archive",
        "Finished files move to archived/ and failed/, as archive_realtime moves them. Files that"
        " an import run has in hand are left to it.",
    ),
    Verb.PRUNE: Words(
        "Prune",
        "Rows of the ledger older than REALTIME_LEDGER_DAYS are deleted, changes and import runs by"
        " settings of their own, as prune_realtime deletes them. Failed files that old can then not"
        " be retried any more. Core's tables are not touched.",
    ),
}

_NOT_DONE = {
    "later": "cannot be done yet",
    "gone": "no longer in the bucket",
    "refused": "refused: the message is wrong, not the file",
}
# What became of an action's items, in words; what needs a look first.
BECAME: Mapping[Verb, Mapping[str, str]] = {
    Verb.RETRY: {
        "failed": "failed again",
        **_NOT_DONE,
        "unsent": "put back, but no message was sent: go on",
        "": "not tried yet",
        "waiting": "sent again, waiting for the next import run",
        "parked": "waiting for a bill or session",
        "imported": "imported",
        "superseded": "a newer scrape of it was imported before",
        "settled": "no longer failed so when it was their turn",
        "pruned": "forgotten by the ledger since",
    },
    Verb.DISCARD: {
        "": "not discarded yet",
        "done": "discarded",
        "undone": "discarded, and brought back since",
        "settled": "no longer failed so when it was their turn",
        "pruned": "forgotten by the ledger since",
    },
    Verb.UNDISCARD: {
        "": "not brought back yet",
        "done": "brought back",
        "settled": "not discarded any more, or by somebody else since",
    },
    Verb.RESOLVE: {
        "": "not resolved yet",
        "done": "resolved",
        "undone": "resolved, and opened again since",
        "settled": "no longer so when it was their turn",
        "pruned": "forgotten by the ledger since",
    },
    Verb.REOPEN: {
        "": "not reopened yet",
        "done": "open again",
        "settled": "open before, raised anew, or resolved by somebody else since",
    },
    Verb.ANNOUNCE: {"refused": "messages refused by the queue", "sent": "messages sent"},
    Verb.ARCHIVE: {
        "later": "cannot be moved yet",
        "gone": "no longer in the bucket",
        "archived": "moved to archived/",
        "failed": "moved to failed/",
        "deleted": "deleted",
    },
    Verb.PRUNE: {
        "not_told": "of the changes never told to a receiver",
        **{
            name: f"{name.replace('_', ' ')} deleted"
            for name in ("files", "runs", "messages", "flags", "changes", "import_runs")
        },
    },
}
