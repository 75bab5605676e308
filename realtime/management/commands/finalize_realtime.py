"""`manage.py finalize_realtime`: finalizes complete scrape runs."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.backends.request_counts import counted_into
from realtime.backends.stores import store_of
from realtime.consumer.context import logged_as_run
from realtime.consumer.record import Record
from realtime.domain.run_context import RunContext
from realtime.finalization.finalize import (
    Finalized,
    finalize_anyway,
    finalize_asked,
    finalize_complete,
)
from realtime.finalization.state_machine import OutOfTime
from realtime.ledger import complete_runs
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.management.limits import stopping
from realtime.management.progress_line import Progress
from realtime.models import Way
from realtime.monitoring.report import Report
from realtime.monitoring.search.run_search import the_run

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
            metavar="ID",
            help="finalize only this run, or say what it waits for. One that was closed because"
            " finalizing it broke is opened again. The first 8 or more characters of its id are"
            " enough where no other run has them",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="with --run: finalize it although files failed or are missing. Vote events that"
            " the run did not bring are deleted, and events marked as deleted. Older runs of the"
            " jurisdiction come first: complete ones are finalized, the other open ones closed",
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
            Progress(self.stderr) as progress,
        ):
            store, full = store_of(config.bucket), options["full"]
            context = RunContext(config, store, must_stop=must_stop, replay_all=full)
            record = Record(config, Way.FINALIZE).of(Report(), lambda: _counted(done))
            with logged_as_run(), record:
                try:
                    named, force = options["run"], options["force"]
                    for one in self._runs(context, problems.append, named, force, progress):
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
        put_off: Callable[[str], None],
        named: str | None,
        force: bool,
        progress: Progress,
    ) -> Iterable[Finalized]:
        if named is None:
            return finalize_complete(context, progress=progress.counts, put_off=put_off)
        run = the_run(named)
        steps = complete_runs.steps_to(run, force=force)
        if force:
            return finalize_anyway(steps, context, progress=progress.counts)
        if complete_runs.is_over(run):
            closed = f", and closed ({run.closed})" if run.closed else ""
            self.stderr.write(
                f"{run.run_id} was finalized at {run.finalized_at:%Y-%m-%d %H:%M} UTC{closed}"
            )
            return []
        if obstacle := complete_runs.obstacle(run):
            forced = "; --force finalizes it anyway" if obstacle.yields_to_force else ""
            raise CommandError(f"--run {run.run_id}: {obstacle.why}{forced}")
        return finalize_asked(steps, context, progress=progress.counts, put_off=put_off)

    def _print(self, done: list[Finalized], requests: Counter[str], as_json: bool) -> None:
        for one in done:
            if not as_json:
                told = ", ".join(f"{count} {name}" for name, count in one.counts.items())
                state = f"closed ({one.closed}), nothing deleted" if one.closed else "final"
                self.stdout.write(f"{one.run.run_id} {state}: {told or 'nothing to do'}")
            if one.closed and not as_json:
                self.next("retry_realtime", "once the cause is mended; the run is then finalized")
                self.next(
                    f"finalize_realtime --run {one.run.run_id} --force",
                    "deletes or marks what its imported files do not hold",
                )
        if as_json:
            report = {"runs": [_as_dict(one) for one in done], "requests": requests}
            self.stdout.write(json.dumps(report))
        elif not done:
            self.stdout.write("no run to finalize")
            self.next("status_realtime", "which scrape runs are open or blocked, and why")


def _counted(done: Iterable[Finalized]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in done:
        counts.update(one.counts)
        counts["finalized"] += 1
    return counts


def _as_dict(one: Finalized) -> dict[str, Any]:
    return {
        "run_id": str(one.run.run_id),
        "jurisdiction_id": one.run.jurisdiction_id,
        "closed": one.closed,
        **{name: one.counts.get(name, 0) for name in _COUNTS},
    }
