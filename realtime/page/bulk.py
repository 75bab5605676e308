"""Works on an operator's action, as far as one request may, and records what it did."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest

from realtime.consumer.announce import announce
from realtime.domain.errors import RealtimeError
from realtime.files import archive, redrive
from realtime.ledger import actions, failures, flags, retention
from realtime.models import File, OperatorAction, Outcome, RaisedFlag, Result, Verb
from realtime.page import audit, services
from realtime.page.proposals import failure_group, flag_group, is_of_group
from realtime.page.words import BECAME

# Browsers and proxies time out after about a minute; one batch takes a few seconds.
SECONDS = 20

# Columns of a file that neither its history nor its name in a list needs.
LARGE: tuple[str, ...] = ("traceback", "message", "identity", "detail")

Results = dict[int, tuple[Result, str]]
MustStop = Callable[[], bool]
# What was done, whether that is all, and a remark.
Done = tuple[Mapping[str, int], bool, str]

_NOT_ALL_SEEN = (
    "Time was up before the whole store was looked at. Let these be imported, then do it again."
)

_RETRIED = {
    redrive.RETRIED: Result.DONE,
    redrive.LATER: Result.LATER,
    redrive.GONE: Result.GONE,
    redrive.REFUSED: Result.REFUSED,
}


def work(request: HttpRequest, action: OperatorAction, seconds: float) -> bool:
    """Go on with a confirmed action for about so many seconds, at least with one batch; False when
    another request has it.

    What was done to each file or flag is recorded after each batch, also when the request ends
    early: the next call goes on there. What keeps it from going on is the action's `error`.
    """
    if not actions.take(action):
        return False
    until = time.monotonic() + seconds
    counts: Mapping[str, int] = {}
    error, is_complete = "", True
    try:
        if action.verb in actions.ALONE:
            do = _WHOLE[Verb(action.verb)]
            counts, is_complete, error = do(lambda: time.monotonic() > until)
        else:
            _work_on_items(request, action, until)
    except RealtimeError as exc:
        error, is_complete = f"Some was not done; nothing is lost: {exc}", False
    except IntegrityError:
        error = "Some was not done: an import has raised the same flags at this moment. Go on."
    finally:
        actions.let_go(action, error, counts, is_complete)
        action.refresh_from_db()
        audit.note(request, action, f"{action.verb}: {_told(action)}")
    return True


def _work_on_items(request: HttpRequest, action: OperatorAction, until: float) -> None:
    after = 0
    while ids := actions.left(action, after, failures.BATCH_SIZE):
        after = ids[-1]
        if action.verb == Verb.RETRY:
            # Each file is committed before its message is sent.
            results: Results = {}
            try:
                _retry(action, ids, results)
            finally:
                _record(request, action, results)
        else:
            with transaction.atomic():
                _record(request, action, _settle(action, ids))
        if time.monotonic() > until:
            return


def _retry(action: OperatorAction, ids: Sequence[int], results: Results) -> None:
    """Fills in the results as they come: what raises may have sent some."""
    # By a request that was killed before it could say so.
    tried = File.objects.filter(pk__in=ids, retried_at__gte=action.confirmed_at)
    for id in tried.exclude(outcome=Outcome.DEFERRED).values_list("pk", flat=True):
        results[id] = Result.DONE, ""

    def note(row: File, what: str, why: str) -> None:
        results[row.id] = _RETRIED[what], why

    store = services.store()
    queue = services.queue(store)
    rows = failures.again([id for id in ids if id not in results], _still(action))
    redrive.retry_files(store, queue, services.config(), rows, note)
    for id in ids:
        results.setdefault(id, (Result.SETTLED, ""))


def _settle(action: OperatorAction, ids: Sequence[int]) -> Results:
    # All that an action decides has its time: by that its undoing knows it.
    at = action.confirmed_at
    match action.verb:
        case Verb.DISCARD:
            done = failures.discard(ids, action.by, action.note, at, _still(action))
        case Verb.UNDISCARD:
            done = failures.undiscard(ids, _still(action))
        case Verb.RESOLVE:
            group = flag_group(action.scope) if action.scope else None
            done = flags.resolve(ids, action.by, action.note, at, group)
        case _:
            done = flags.reopen(ids, *_undone(action))
    return {id: (Result.DONE if id in done else Result.SETTLED, "") for id in ids}


def _still(action: OperatorAction) -> Q:
    """The condition for files that still are as they were when the action was proposed: what has
    happened to them since may be nothing that was looked at."""
    undone_at, undone_by = _undone(action)
    if undone_at:
        return Q(discarded_at=undone_at, discarded_by=undone_by)
    if is_of_group(action):
        return failure_group(action.scope).alike_now
    # A file that is under retry has no time of its outcome.
    return Q(imported_at=None) | Q(imported_at__lte=action.proposed_at)


def _undone(action: OperatorAction) -> tuple[datetime | None, str]:
    """When and by whom that was decided which this action undoes; None if it undoes no action."""
    number = action.scope.get("undoes")
    if number is None:
        return None, ""
    found = OperatorAction.objects.filter(pk=number).first()
    # One that the ledger has forgotten has decided nothing that could be undone.
    return (found.confirmed_at, found.by) if found else (action.proposed_at, "")


def _record(request: HttpRequest, action: OperatorAction, results: Results) -> None:
    actions.record(action, results)
    done = [id for id, (result, _) in results.items() if result == Result.DONE]
    if action.verb in (Verb.RESOLVE, Verb.REOPEN):
        rows: list[audit.Row] = [*RaisedFlag.objects.filter(pk__in=done)]
    else:
        rows = [*File.objects.filter(pk__in=done).defer(*LARGE)]
    why = f": {action.note}" if action.note else ""
    audit.note_all(request, rows, f"{action.verb}{why}")


def _told(action: OperatorAction) -> str:
    """What the history says of the action so far."""
    counts = {**action.counts, **actions.became(action)} if action.confirmed_at else {}
    words = BECAME[Verb(action.verb)]
    told = [f"{number} {words.get(name, name)}" for name, number in counts.items() if number]
    return ", ".join([*told, *([action.error] if action.error else [])]) or "nothing to do"


def _announce(must_stop: MustStop) -> Done:
    store = services.store()
    counts, is_complete = announce(store, services.queue(store), services.config(), must_stop)
    # Going on would send the same again: they have no outcome before they are imported.
    return counts, True, "" if is_complete else _NOT_ALL_SEEN


def _archive(must_stop: MustStop) -> Done:
    counts = archive.archive(services.store(), services.config(), must_stop=must_stop)
    return counts, not must_stop(), ""


def _prune(must_stop: MustStop) -> Done:
    done = retention.prune_all(services.config(), must_stop=must_stop)
    counts = {**done.counts, "not_told": sum(done.not_told.values())}
    missed = ", ".join(f"{name} ({events})" for name, events in done.not_told.items())
    remark = f"Receivers were never told of some of these changes: {missed}." if missed else ""
    return counts, not must_stop(), remark


_WHOLE: Mapping[Verb, Callable[[MustStop], Done]] = {
    Verb.ANNOUNCE: _announce,
    Verb.ARCHIVE: _archive,
    Verb.PRUNE: _prune,
}
