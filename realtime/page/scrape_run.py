"""The page of one scrape run, and its finalization: what that would delete, and the act."""

import time
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from realtime.domain.errors import RealtimeError
from realtime.domain.run_context import RunContext
from realtime.finalization import forecast
from realtime.finalization.finalize import Finalized, finalize_anyway, finalize_asked
from realtime.finalization.state_machine import OutOfTime
from realtime.ledger import complete_runs
from realtime.ledger.files import database_now
from realtime.models import Closed, ScrapeRun
from realtime.monitoring.labels import labels, row_labels
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.monitoring.status.run_record import run_record
from realtime.monitoring.status.run_states import State
from realtime.page import audit, names, services
from realtime.page.access import actors_only, operators_only

# Browsers and proxies time out after about a minute.
_SECONDS = 20
# Rows that a confirmation names.
_NAMED = 20


@operators_only
def show(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Show everything that is known of a run. 404 for one that the ledger does not know."""
    with read_only_transaction():
        now = database_now()
        record = run_record(run_id, now)
        if record is None:
            raise Http404("the ledger knows no such run")
        called = labels(record.stuck)
        lost = row_labels({change.core_id for change in record.lost})
    about = {"jurisdiction": record.run.jurisdiction_id, "run": record.run.run_id}
    return render(
        request,
        "realtime/run.html",
        {
            "now": now,
            "run": record.run,
            "record": record,
            "files": f"{reverse('realtime:files')}?{urlencode(about)}",
            "jurisdiction": names.name_of(record.run.jurisdiction_id),
            "labels": called,
            "lost_labels": lost,
            "can_finalize": record.state.state == State.COMPLETE
            or record.run.closed == Closed.BROKEN,
            "can_force": record.state.state != State.FINAL,
            "history": audit.history(record.run),
        },
    )


@actors_only
def finalize(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Say what finalizing the run would do, to it and to older ones; a POST finalizes it, unless
    that would do anything else by now: it then asks again.

    With `force`, although files of it failed or are missing. Ends after about 20 seconds: what is
    done stays done.
    """
    run = get_object_or_404(ScrapeRun, pk=run_id)
    force = bool((request.POST if request.method == "POST" else request.GET).get("force"))
    if complete_runs.is_over(run) and not force:
        state = "closed until the files of it that failed are imported" if run.closed else "final"
        messages.info(request, f"Nothing to finalize: it is {state}.")
        return redirect("realtime:run", run_id=run.pk)
    with read_only_transaction():
        obstacle = complete_runs.obstacle(run)
        foretold = forecast.losses(complete_runs.steps_to(run, force=force))
        failed = complete_runs.failures(run)
        lost = forecast.Losses.of_all(found for _, found in foretold)
        shown = [*lost.vote_events[:_NAMED], *lost.events[:_NAMED], *lost.people[:_NAMED]]
        named = row_labels(shown)
    seen = forecast.digest(foretold)
    if obstacle and force and obstacle.yields_to_force:
        obstacle = None
    if request.method == "POST" and not obstacle:
        if request.POST.get("seen") == seen:
            _finalize(request, [step for step, _ in foretold], force)
            return redirect("realtime:run", run_id=run.pk)
        messages.warning(request, "Nothing was done: what it would do has changed meanwhile.")
    return render(
        request,
        "realtime/finalize.html",
        {
            "run": run,
            "jurisdiction": names.name_of(run.jurisdiction_id),
            "force": force,
            "obstacle": obstacle,
            "waits": complete_runs.why_not(run),
            "failed": failed,
            "older": foretold[:-1],
            "own": foretold[-1][1],
            "lost": lost,
            "named": [(core_id, named.get(core_id, core_id)) for core_id in shown],
            "more": len(lost.all) - len(shown),
            "seen": seen,
        },
    )


def _finalize(request: HttpRequest, steps: Sequence[complete_runs.Step], force: bool) -> None:
    run, until = steps[-1].run, time.monotonic() + _SECONDS
    problems: list[str] = []
    done: list[Finalized] = []
    try:
        context = RunContext(
            services.config(), services.store(), must_stop=lambda: time.monotonic() > until
        )
        runs: Iterable[Finalized] = (
            finalize_anyway(steps, context)
            if force
            else finalize_asked(steps, context, put_off=problems.append)
        )
        for one in runs:
            done.append(one)
    except OutOfTime:
        way = f"finalize_realtime --run {run.run_id}{' --force' if force else ''}"
        problems.append(f"there was no more time. {way} has as much as it needs")
    except RealtimeError as exc:
        problems.append(str(exc))
    finally:
        # Also after an error: older runs may have been finalized before it.
        told = "; ".join(map(_told, done)) or "nothing was finalized"
        audit.note(request, run, f"{'finalize by force' if force else 'finalize'}: {told}")
    for one in done:
        messages.success(request, f"{_told(one)}.")
    for problem in problems:
        messages.warning(request, f"Not finalized: {problem}.")


def _told(one: Finalized) -> str:
    what = ", ".join(f"{count} {name}" for name, count in one.counts.items() if count)
    state = f"closed ({one.closed}), nothing deleted" if one.closed else "final"
    return f"Run {str(one.run.run_id)[:8]} is {state}: {what or 'nothing had to be changed'}"
