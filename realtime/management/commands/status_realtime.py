"""`manage.py status_realtime`: the state of imports, for people and monitors."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, ProgrammingError, connection

from realtime.backends.postgres.locks import connect_as
from realtime.backends.stores import store_of
from realtime.consumer.context import database_needed
from realtime.domain.config import ONLOOKER_NAME, Config
from realtime.domain.errors import RealtimeError, Unavailable
from realtime.domain.interfaces import Store
from realtime.domain.jurisdictions import jurisdictions
from realtime.ledger.files import database_now
from realtime.management.limits import positive
from realtime.monitoring import prometheus
from realtime.monitoring.status.as_json import as_dict
from realtime.monitoring.status.imports import recent_imports
from realtime.monitoring.status.queue_depth import ask, of_root
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.monitoring.status.snapshot import Status, status
from realtime.monitoring.status.unannounced import look, unannounced
from realtime.monitoring.verdict.facts import gather, unreadable, without_database
from realtime.monitoring.verdict.finding import Kind, Verdict
from realtime.monitoring.verdict.judgement import Limits, judge

if TYPE_CHECKING:
    from realtime.monitoring.status.screen import Live

_EVERY, _IMPORT_RUNS = 5, 20
_HOUR = timedelta(hours=1)


class Command(BaseCommand):
    help = (
        "Show the state of imports: the queue, the workers, lag from scraped to visible, scrape"
        " runs and what blocks them, parked, failed and unarchived files; first of all the verdict:"
        " whether imports go well, or what is wrong and what mends it. Only reads, takes no"
        " worker slot, and shows the rest when AWS cannot be reached. Exit status: 0; 1 with one"
        " line on standard error when a setting is wrong, the database cannot be reached, a"
        " migration is missing or, with --max-age, imports are behind; 130 when interrupted."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--jurisdiction",
            metavar="ABBR",
            help="only this jurisdiction, such as wy, or usa for Congress; queue and workers always"
            " cover all",
        )
        parser.add_argument(
            "--hours",
            type=positive,
            default=24,
            metavar="N",
            help="show lag, and final and closed runs, of the last N hours (default: 24)",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=positive,
            const=_EVERY,
            metavar="SECONDS",
            help=f"repeat every SECONDS (default: {_EVERY}) until interrupted, also while the"
            " database or AWS cannot be reached",
        )
        parser.add_argument(
            "--max-age",
            type=positive,
            metavar="MINUTES",
            help="for a monitor: exit with status 1 when a message in the queue, a file in the"
            " store's root, or an ended scrape run that is not final, has waited longer than this;"
            " docs/operations.md has details",
        )
        parser.add_argument(
            "--runs",
            nargs="?",
            type=positive,
            const=_IMPORT_RUNS,
            metavar="N",
            help=f"show the last N import runs instead (default: {_IMPORT_RUNS}): when, where, how"
            " long, and what came of them",
        )
        parser.add_argument(
            "--prometheus",
            action="store_true",
            help="print the state in Prometheus' text format instead; figures that cover a time"
            " cover the last hour",
        )
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FILE",
            help="with --prometheus: replace this file, in one step, for a node exporter's textfile"
            " collector",
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object on the last line"
        )

    def handle(self, **options: Any) -> None:
        config: Config = settings.REALTIME
        _require_fitting(options)
        try:
            config.require_database()
            named = [options["jurisdiction"]] if options["jurisdiction"] else []
            read_status = _StatusReader(
                config,
                next(iter(jurisdictions(named).values()), ""),
                _HOUR if options["prometheus"] else timedelta(hours=options["hours"]),
                Limits.of(config, options["max_age"]),
            )
            if options["runs"]:
                self._runs(options["runs"], options["json"])
            elif options["prometheus"]:
                self._prometheus(read_status, options["output"])
            elif options["watch"]:
                with suppress(KeyboardInterrupt):
                    self._watch(read_status, options["watch"], options["json"])
            else:
                self._once(read_status, options["max_age"], options["json"])
        except RealtimeError as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt as exc:
            raise CommandError("interrupted", returncode=130) from exc
        finally:
            if config.has_database:
                connection.close()

    def _once(self, read_status: "_StatusReader", max_age: int | None, as_json: bool) -> None:
        found, verdict = read_status()
        late = verdict.late if max_age else None
        if as_json:
            self.stdout.write(json.dumps(as_dict(found, verdict, late)))
        else:
            self._live().show(found, verdict)
        if problem := _not_set_up(verdict):
            raise CommandError(problem)
        if late:
            raise CommandError(f"behind by more than {max_age} min: {'; '.join(late)}")

    def _watch(self, read_status: "_StatusReader", seconds: int, as_json: bool) -> None:
        if as_json:
            while True:
                try:
                    self.stdout.write(json.dumps(as_dict(*read_status())))
                    self.stdout.flush()
                except Unavailable as exc:
                    self.stderr.write(str(exc))
                time.sleep(seconds)
        with self._live() as live:
            last: Status | None = None
            verdict: Verdict | None = None
            while True:
                try:
                    last, verdict = read_status()
                    live.show(last, verdict)
                except Unavailable as exc:
                    live.show(last, verdict, problem=str(exc))
                time.sleep(seconds)

    def _runs(self, limit: int, as_json: bool) -> None:
        _connect()
        with database_needed(), read_only_transaction():
            now, found = database_now(), recent_imports(limit)
        if as_json:
            self.stdout.write(json.dumps({"import_runs": [one.as_dict() for one in found]}))
        else:
            self._live().show_runs(now, found)

    def _prometheus(self, read_status: "_StatusReader", output: Path | None) -> None:
        try:
            found, verdict = read_status()
            problem = _not_set_up(verdict)
        except Unavailable as exc:
            problem = str(exc)
            found, verdict = None, judge(without_database(problem), read_status.limits)
        content = prometheus.text(verdict, found)
        if output is None:
            self.stdout.write(content, ending="")
        else:
            try:
                prometheus.write(output, content)
            except OSError as exc:
                raise CommandError(f"--output {output}: {exc.strerror or exc}") from exc
        if problem:
            raise CommandError(problem)

    def _live(self) -> "Live":
        # Imported here: --json does not need Rich.
        from realtime.monitoring.status.screen import Live

        # Rich writes its own line ends.
        self.stdout.ending = ""
        return Live(cast(TextIO, self.stdout))


def _require_fitting(options: Mapping[str, Any]) -> None:
    """Raises CommandError for options that do not go together."""
    if options["watch"] and options["max_age"]:
        raise CommandError("--max-age cannot be combined with --watch")
    if options["output"] and not options["prometheus"]:
        raise CommandError("--output goes with --prometheus")
    others = [name for name in ("runs", "prometheus", "watch", "max_age") if options[name]]
    if len(others) > 1:
        raise CommandError("--runs and --prometheus go alone, without --watch and --max-age")


def _not_set_up(verdict: Verdict) -> str:
    """What ends the command when a migration is missing; else empty."""
    missing = verdict.first(Kind.MIGRATIONS)
    if missing is None:
        return ""
    return f"the database is not set up, run `{missing.command}`: {missing.sentence}"


class _StatusReader:
    """Reads the status from AWS, then the database; the verdict alone, where it lacks a table or
    column for want of a migration. Raises Unavailable for the database only."""

    def __init__(
        self, config: Config, jurisdiction_id: str, window: timedelta, limits: Limits
    ) -> None:
        self._config = config
        self._jurisdiction_id = jurisdiction_id
        self._window = window
        self.limits = limits

    def __call__(self) -> tuple[Status | None, Verdict]:
        url = self._config.queue_url
        root = look(self._config, self._store)
        asked = ask(url) if url else None
        _connect()
        with database_needed():
            try:
                with read_only_transaction():
                    waiting = unannounced(root, self._config)
                    queue = asked or of_root(waiting)
                    slots = self._config.max_workers
                    found = status(queue, slots, self._jurisdiction_id, self._window, waiting)
            except ProgrammingError:
                if facts := unreadable():
                    return None, judge(facts, self.limits)
                raise
            verdict = judge(gather(self._config, queue, waiting), self.limits)
        return found, verdict.of(self._jurisdiction_id) if self._jurisdiction_id else verdict

    def _store(self) -> Store:
        return store_of(self._config.bucket)


def _connect() -> None:
    """Raises Unavailable when the database cannot be reached."""
    try:
        if connection.connection is None or not connection.is_usable():
            connect_as(ONLOOKER_NAME)
    except DatabaseError as exc:
        line = " ".join(str(exc).split())
        raise Unavailable(f"the database cannot be reached: {line}") from exc
