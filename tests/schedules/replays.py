"""Whenever a run has been finalized: importing all of its files again must change nothing."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import transaction
from django.db.models import Count

from realtime.domain.interfaces import Store
from realtime.domain.run_context import RunContext
from realtime.finalization import finalize
from realtime.finalization.finalize import Finalized
from realtime.finalization.state_machine import Finalization, Progress
from realtime.models import File, ScrapeRun
from tests import rows

_LEDGER = ("id", "outcome", "core_id", "bill_id", "identity")


@contextmanager
def replayed_in_full(store: Store, tried: Counter[str]) -> Iterator[None]:
    """In the block, each finalization is followed by such a check, but none in a thread beside
    others, whose imports would count as changes. At its end raises the first AssertionError: within
    it a finalization that raises is put off, and tried again."""
    plain = finalize._finalize
    failed: list[AssertionError] = []

    def checked(
        run: ScrapeRun, why_closed: Callable[[], str], context: RunContext, progress: Progress
    ) -> Finalized:
        done = plain(run, why_closed, context, progress)
        if threading.current_thread() is threading.main_thread():
            full = RunContext(context.config, store, lambda: False, replay_all=True)
            try:
                _check(run, full, done)
            except AssertionError as exc:
                failed.append(exc)
            tried["finalizations replayed in full"] += 1
            tried["files read"] += done.counts.get("replayed", 0)
        return done

    with mock.patch.object(finalize, "_finalize", checked):
        yield
    if failed:
        raise failed[0]


def _check(run: ScrapeRun, context: RunContext, done: Finalized) -> None:
    before = _state()
    with transaction.atomic():
        again = Finalization(run, context, lambda: done.closed).finish()
        after = _state()
        transaction.set_rollback(True)
    changes = _changes(again)
    if _share_a_row(run):
        # Each of them is imported, and the last one leaves the row as it was. Those that are told
        # apart by their content only are made anew, with new ids.
        changes.pop("changed", None)
        before, after = ((dump, _shares(ledger)) for dump, ledger in (before, after))
    assert not changes, f"run {run.run_id} replayed in full: {again}, after {done.counts}"
    assert list(rows.differences(before[0], after[0])) == [], "replayed in full, after a run"
    assert before[1] == after[1], "replayed in full: the ledger says something else"


def _shares(ledger: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The ledger with the first file of its row in place of each row's id."""
    first: dict[str, int] = {}
    for file, _, row, *_ in ledger:
        first.setdefault(row, file)
    return [(file, outcome, row and first[row], *rest) for file, outcome, row, *rest in ledger]


def _share_a_row(run: ScrapeRun) -> bool:
    """Whether several vote events of the run are one to core."""
    votes = File.objects.filter(run_id=run.run_id, object_type="vote_event").exclude(core_id="")
    counted = votes.order_by().values("core_id").annotate(files=Count("id"))
    return counted.filter(files__gt=1).exists()


def _changes(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name != "replayed" and count}


def _state() -> tuple[list[str], list[tuple[Any, ...]]]:
    return rows.dump(), list(File.objects.order_by("id").values_list(*_LEDGER))
