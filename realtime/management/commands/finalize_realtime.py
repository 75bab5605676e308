"""`manage.py finalize_realtime`: finalizes complete scrape runs."""

import json
import sys
import uuid
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.backends.request_counts import counted_into
from realtime.backends.s3 import S3Store
from realtime.domain.run_context import RunContext
from realtime.finalization.finalize import Finalized, finalize_anyway, finalize_complete
from realtime.finalization.state_machine import OutOfTime
from realtime.ledger import complete_runs
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import stopping
from realtime.models import ScrapeRun

_COUNTS = ("replayed", "changed", "failed", "deleted", "marked")


class Command(LedgerCommand):
    help = (
        "Finalize complete scrape runs: link the references between their files, then delete the"
        " vote events, and mark as deleted the events, that were not scraped again. import_realtime"
        " does the same. Use this command when all workers are busy, or with --run to see what a"
        " run waits for. Safe to kill and to repeat."
        + EXIT_STATUS
        + " Also 1 when --run was not finalized."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--run",
            type=_run_id,
            metavar="ID",
            help="finalize only this run, or say what it waits for",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="with --run: finalize it although files failed or are missing. Vote events that"
            " the run did not bring are deleted, and events marked as deleted",
        )
        parser.add_argument(
            "--full",
            action="store_true",
            help="import every file of the run once more, not only those that could end otherwise"
            " by now. Puts right what something else has changed in core's tables since a file"
            " was imported",
        )
        self.add_time_limit(parser)
        self.add_json(parser, "runs")

    def handle(self, **options: Any) -> None:
        if options["force"] and not options["run"]:
            raise CommandError("--force needs --run: name the run to finalize")
        done: list[Finalized] = []
        problems: list[str] = []
        requests: Counter[str] = Counter()
        with (
            self.database() as config,
            stopping(options["time_limit"]) as must_stop,
            counted_into(requests),
        ):
            store, full = S3Store(config.bucket.name), options["full"]
            context = RunContext(config, store, must_stop=must_stop, replay_all=full)
            finalize = partial(
                finalize_complete, context, progress=self._progress, put_off=problems.append
            )
            try:
                for one in self._runs(context, finalize, options["run"], options["force"]):
                    done.append(one)
            except OutOfTime as exc:
                self.stderr.write(str(exc))
        self._print(done, requests, options["json"])
        for problem in problems:
            self.stderr.write(f"not finalized: {problem}")
        if options["run"] and problems:
            raise CommandError(f"--run {options['run']} was not finalized: see above")

    def _runs(
        self,
        context: RunContext,
        finalize: Callable[..., Iterable[Finalized]],
        run_id: uuid.UUID | None,
        force: bool,
    ) -> Iterable[Finalized]:
        if run_id is None:
            return finalize()
        run = ScrapeRun.objects.filter(run_id=run_id).first()
        if run is None:
            raise CommandError(f"--run {run_id}: the ledger knows no such run")
        if force:
            return finalize_anyway(run, context, progress=self._progress)
        if run.finalized_at and not (run.closed and not complete_runs.failures(run)):
            self.stderr.write(f"{run_id} was finalized at {run.finalized_at:%Y-%m-%d %H:%M} UTC")
            return []
        if waits := complete_runs.why_not(run):
            raise CommandError(f"--run {run_id}: {waits}; --force finalizes it anyway")
        if older := [str(one.run_id) for one in complete_runs.waited_for_by(run)]:
            names = ", ".join(older)
            raise CommandError(f"--run {run_id}: an older run must be finalized first: {names}")
        return finalize(only=run)

    def _print(self, done: list[Finalized], requests: Counter[str], as_json: bool) -> None:
        for one in done:
            if not as_json:
                told = ", ".join(f"{count} {name}" for name, count in one.counts.items())
                state = f"closed ({one.closed}), nothing deleted" if one.closed else "final"
                self.stdout.write(f"{one.run.run_id} {state}: {told or 'nothing to do'}")
        if as_json:
            report = {"runs": [_as_dict(one) for one in done], "requests": requests}
            self.stdout.write(json.dumps(report))
        elif not done:
            self.stdout.write("no run to finalize")

    def _progress(self, step: str, counts: Mapping[str, int]) -> None:
        if sys.stderr.isatty():
            done = ", ".join(f"{count} {name}" for name, count in counts.items())
            self.stderr.write(f"\r\033[K{step}: {done}", ending="")


def _as_dict(one: Finalized) -> dict[str, Any]:
    return {
        "run_id": str(one.run.run_id),
        "jurisdiction_id": one.run.jurisdiction_id,
        "closed": one.closed,
        **{name: one.counts.get(name, 0) for name in _COUNTS},
    }


def _run_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r} is not the id of a run") from exc
