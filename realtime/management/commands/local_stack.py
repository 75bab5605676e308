"""`manage.py local_stack`: keeps the embedded stack running until interrupted."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.devstack import DevStack, StackError, database
from realtime.devstack.page import OPERATOR, LocalPage, check_port

_NEXT = """\
next, in another terminal: paste the lines that begin with export, then try
  .venv/bin/python manage.py publish_realtime {source} --jurisdiction {abbr} --run
  .venv/bin/python manage.py import_realtime --until-empty
  .venv/bin/python manage.py status_realtime"""
# Those that the clone has a scrape of.
_SAMPLES = {"wy": "examples/wy"}


class Command(BaseCommand):
    """Runs PostgreSQL, S3 and SQS until SIGINT or SIGTERM.

    Leaves nothing running and nothing on disk, even when interrupted while starting.
    """

    help = (
        "Run an embedded PostgreSQL, S3 and SQS until interrupted, for experiments and development:"
        " database migrated, bucket and queue created. Standard output is for eval: lines of"
        " `export NAME=value`, then `ready`. All data is removed at the end. Exit status: 0 after"
        " SIGINT or SIGTERM, 1 with one line on standard error when it cannot start."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--jurisdiction",
            action="append",
            default=[],
            metavar="ABBR",
            help="load core's reference data for this jurisdiction, such as wy (repeatable)",
        )
        parser.add_argument(
            "--people",
            type=Path,
            metavar="FOLDER",
            help="load people from this folder of the people repository",
        )
        parser.add_argument(
            "--page",
            type=int,
            nargs="?",
            const=8000,
            metavar="PORT",
            help="also serve the operators' page on this port of 127.0.0.1 (default: 8000)",
        )

    def handle(
        self, *, jurisdiction: list[str], people: Path | None, page: int | None, **options: Any
    ) -> None:
        self._interrupted = False
        self._interruptible = False
        # Set both: a shell starts background jobs with SIGINT ignored.
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)
        try:
            self._run(jurisdiction, people, page)
        except StackError as error:
            raise CommandError(str(error)) from error

    def _run(self, jurisdictions: list[str], people: Path | None, page: int | None) -> None:
        for abbr in jurisdictions:
            database.lookup(abbr)
        if people is not None and not people.is_dir():
            raise StackError(f"--people: {str(people)!r} is not a folder")
        if page is not None:
            check_port(page)
        self._progress("starting PostgreSQL, S3 and SQS")
        with DevStack() as stack:
            try:
                self._interruptible = True
                if not self._interrupted:
                    environment = stack.environment()
                    with database.using_database(environment["DATABASE_URL"]):
                        self._load(jurisdictions, people)
                    with self._page(environment, page):
                        self._serve(environment, jurisdictions)
            except KeyboardInterrupt:
                self._progress("stopping")
            finally:
                self._interruptible = False

    @contextmanager
    def _page(self, environment: dict[str, str], port: int | None) -> Iterator[None]:
        if port is None:
            yield
            return
        self._progress("starting the page")
        with LocalPage(environment, port) as page:
            self._progress(f"the page: {page.url} (log in as {OPERATOR}, {page.password})")
            yield

    def _serve(self, environment: dict[str, str], jurisdictions: list[str]) -> None:
        for name, value in environment.items():
            self.stdout.write(f"export {name}={shlex.quote(value)}")
        self.stdout.write("ready")
        self.stdout.flush()
        abbr = next(
            (one for one in jurisdictions if one in _SAMPLES), (jurisdictions or ["ABBR"])[0]
        )
        self._progress(_NEXT.format(source=_SAMPLES.get(abbr, "FOLDER"), abbr=abbr))
        if not jurisdictions:
            self._progress("no jurisdiction is loaded: local_stack --jurisdiction wy loads one")
        self._progress("running; press Ctrl-C to stop")
        # The flag also covers a KeyboardInterrupt that was swallowed, as in a finalizer.
        while not self._interrupted:
            signal.pause()

    def _load(self, jurisdictions: list[str], people: Path | None) -> None:
        self._progress("migrating the database")
        database.migrate()
        for abbr in jurisdictions:
            self._progress(f"loading jurisdiction {abbr}")
            database.load_jurisdiction(abbr)
        if people is not None:
            self._progress(f"loading people from {people}")
            self._progress(f"loaded {database.load_people(people)} people")

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # Starting and stopping take a second or two and must not be interrupted.
        self._interrupted = True
        if self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt

    def _progress(self, text: str) -> None:
        self.stderr.write(text, self.style.NOTICE)
