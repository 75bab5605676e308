"""`manage.py demo_realtime`: a scrape and its import on the embedded stack."""

import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.demo.choose_view import choose
from realtime.demo.story import Demo
from realtime.domain.errors import RealtimeError
from realtime.process import logs

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


class Command(BaseCommand):
    """Ignores all settings: it never touches a real queue or database.

    Leaves nothing running and nothing on disk, however it ends.
    """

    help = (
        "Scrape an invented legislature over HTTP and import it at the same time, on PostgreSQL,"
        " S3 and SQS started for the demo; with --local, on PostgreSQL and a folder. Needs no"
        " settings and ignores those that are set. Takes about a minute, then removes everything."
        " Exit status: 0 when every object became visible, 1 when not, 130 when interrupted."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--local",
            action="store_true",
            help="without S3 and SQS: scrapers write to a folder, which import_realtime follows",
        )

    def handle(self, *, local: bool, **options: Any) -> None:
        before = {number: signal.signal(number, _interrupt) for number in _INTERRUPTIONS}
        view = choose(sys.stdout)
        try:
            with _log_aside():
                Demo(view, local).run()
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt as exc:
            raise CommandError("interrupted; everything is stopped", returncode=130) from exc
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Stopping takes a second or two; a second Ctrl-C meanwhile must not leave processes running.
    for each in _INTERRUPTIONS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _log_aside() -> Iterator[None]:
    """Keep log lines out of the view; print the last 20 when the block fails."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        aside = logging.StreamHandler(file)
        aside.setFormatter(logs.TextLines())
        root.handlers[:] = [aside]
        try:
            yield
        except Exception:
            file.seek(0)
            sys.stderr.writelines(file.readlines()[-20:])
            raise
        finally:
            root.handlers[:] = handlers
