"""`manage.py retry_realtime`: sends failed files again."""

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.backends.queues import queue_of
from realtime.backends.stores import store_of
from realtime.domain.jurisdictions import jurisdictions
from realtime.domain.text import sanitized
from realtime.files import redrive
from realtime.ledger import failures
from realtime.management.first_few import FirstFew
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.progress_line import Progress

# Files that are named when several are meant.
_LISTED = 5
_NAMES = (redrive.RETRIED, redrive.LATER, redrive.GONE, redrive.REFUSED)


class Command(LedgerCommand):
    help = (
        "Send failed files again, once the cause of their failure is fixed: put them back to their"
        " keys and send their messages. They keep their place in the scrape order, so that an old"
        " file does not replace a newer one. Without options all failed files are sent. Safe to"
        " kill and to repeat." + EXIT_STATUS + " What was done until then is printed all the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_jurisdiction(parser)
        parser.add_argument(
            "--key",
            action="append",
            default=[],
            metavar="KEY",
            help="only this file: its full key, before or after the move to failed/, or its file"
            " name, or the beginning of one of these or of its _id that no other failed file has"
            " (repeatable)",
        )
        self.add_json(parser)

    def handle(self, **options: Any) -> None:
        counts: Counter[str] = Counter()
        told = FirstFew(self.stderr.write, every=options["verbosity"] > 1)
        try:
            with self.database() as config, Progress(self.stderr) as progress:

                def tell(problem: str) -> None:
                    progress.erase()
                    told(problem)

                keys = [key for text in options["key"] for key in _named(text)]
                if options["key"] and not keys:
                    self._print(counts, options["json"])
                    return
                store = store_of(config.bucket)
                redrive.retry(
                    store,
                    queue_of(config, store),
                    config,
                    jurisdictions(options["jurisdiction"]),
                    keys,
                    tell,
                    counts,
                    lambda counts: progress.counts("retrying", counts),
                )
        except CommandError:
            if counts:
                self._print(counts, options["json"])
            raise
        told.rest(": -v 2 names each")
        self._print(counts, options["json"])
        if counts[redrive.RETRIED] and not options["json"]:
            self.next("import_realtime --until-empty", "imports them, where nothing else does")

    def _print(self, counts: Counter[str], as_json: bool) -> None:
        figures = {name: counts[name] for name in _NAMES}
        self.print_counts(figures, as_json, nothing="no failed files")


def _named(text: str) -> list[str]:
    """What `--key` means, as `redrive.retry` takes it: this very key or name if a failed file has
    it, else the key of the only failed file that begins so. Nothing for a file that is known and
    not failed.

    Raises CommandError when several begin so, or the ledger knows none.
    """
    text = sanitized(text)
    if failures.is_retryable(text):
        return [text]
    keys = failures.retryable_beginning(text, _LISTED + 1) if text else []
    if len(keys) > 1:
        listed = ", ".join([*keys[:_LISTED], *(["…"] if len(keys) > _LISTED else [])])
        raise CommandError(f"--key {text} is not unique: {listed}")
    if not keys and not (text and failures.is_known(text)):
        raise CommandError(f"--key {text!r}: the ledger knows no such file")
    return keys
