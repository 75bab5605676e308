"""Hypothesis strategies for schedules."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from tests.schedules import content
from tests.schedules.plan import BEFORE, RunPlan, Schedule, Scraped, Step

Draw = Callable[[st.SearchStrategy[Any]], Any]

# Slots of a run, and the last slot at which a second run may start.
LENGTH, OVERLAP = 40, 60
BILLS, VOTES, EVENTS = 3, 4, 3
PEOPLE, SESSIONS = len(content.PEOPLE), len(content.SESSIONS)
CRASHES = st.none() | st.integers(0, 25)

EVERY = ("bill", "vote_event", "event")
# What a run scrapes: one in three runs has one scraper only.
KINDS = st.sampled_from([EVERY, EVERY, EVERY, EVERY, EVERY, EVERY, *((kind,) for kind in EVERY)])


@st.composite
def schedules(draw: Draw, runs: int | None = None, neighbour: bool = True) -> Schedule:
    """Schedules of one to three runs, or of `runs` that overlap; with `neighbour`, another state's
    may be there too."""
    # Runs that come one after the other, with something between them.
    apart = runs is None and draw(st.integers(0, 3)) == 0
    if apart:
        plans = tuple(_later(number) for number in range(draw(st.integers(2, 3))))
    else:
        plans = _runs(draw, runs or draw(st.integers(1, 2)))
    alone = len(plans) == 1
    people = _people_before(draw, alone)
    sessions = draw(st.sampled_from([0, SESSIONS]))
    parts = [_Part(run, content.WY, draw(KINDS), final=plan.ends) for run, plan in enumerate(plans)]
    partial = any(part.kinds != EVERY for part in parts)
    if partial or draw(st.integers(0, 3)) == 0:
        parts.insert(0, _Part(BEFORE, content.WY, EVERY))
    # The neighbour's objects are in the database, or come in a run of their own.
    beside = draw(st.sampled_from([None, None, BEFORE, len(plans)])) if neighbour else None
    if beside == len(plans):
        plans = (*plans, RunPlan(0, LENGTH, state=content.US))
    others = [_Part(beside, content.US, EVERY)] if beside is not None else []
    # A file of a key that is used again could not be told from one that the ledger has forgotten.
    reuse = not apart and draw(st.booleans())
    committees = draw(st.integers(0, 1 if apart else 2))
    writer = _Writer(draw, plans, reuse)
    _wyoming(writer, parts, people, alone, apart, sessions, committees > 0 and runs is None)
    for part in others:
        _neighbour(writer, part, sessions)
    files = writer.files()
    return Schedule(
        people,
        plans,
        files,
        _steps_apart(draw, plans, files, committees) if apart else _steps(draw, plans, files),
        sessions,
        reuse and draw(st.booleans()),
        committees,
        runs is None and draw(st.integers(0, 3)) == 0,
    )


def _later(number: int) -> RunPlan:
    start = number * (LENGTH + 1)
    return RunPlan(start, start + LENGTH)


def _runs(draw: Draw, count: int) -> tuple[RunPlan, ...]:
    if count == 1:
        return (RunPlan(0, LENGTH, ahead=draw(_AHEAD)),)
    starts = draw(st.integers(1, OVERLAP))
    # False: its scraper died, so its end is never sent.
    ends = draw(st.sampled_from([True, True, True, False]))
    first, second = RunPlan(0, LENGTH, ends), RunPlan(starts, starts + LENGTH)
    # Of two whose clocks are ahead, the time of each upload would decide.
    if draw(st.booleans()):
        return first, replace(second, ahead=draw(_AHEAD))
    return replace(first, ahead=draw(_AHEAD)), second


# By how many hours the clock of a scraper is ahead.
_AHEAD = st.sampled_from([0, 0, 0, 0, 0, 1, 365 * 24])


def _people_before(draw: Draw, alone: bool) -> tuple[int, ...]:
    """The people in the database at the start: everyone when runs overlap, so that names resolve
    the same in whatever order files arrive."""
    everyone = tuple(range(PEOPLE))
    return tuple(sorted(draw(st.sets(st.sampled_from(everyone))))) if alone else everyone


@dataclass
class _Part:
    """What one run, or core before it, scrapes of one state.

    `final`: the run is certain to be finalized, so that all its references are resolved. `bills`
    are their sessions and numbers, `votes` the numbers of vote events.
    """

    run: int
    state: str
    kinds: tuple[str, ...]
    final: bool = True
    bills: set[tuple[int, int]] = field(default_factory=set)
    votes: set[int] = field(default_factory=set)


class _Writer:
    """Collects files. An object that is scraped again has the same content or the next version."""

    def __init__(self, draw: Draw, plans: tuple[RunPlan, ...], reuses_keys: bool) -> None:
        self.draw = draw
        self.reuses_keys = reuses_keys
        self._plans = plans
        self._found: list[tuple[int, int, str, bool, dict[str, Any]]] = []

    def scrape(self, part: _Part, name: str, what: dict[str, Any]) -> None:
        plan = self._plans[part.run] if part.run != BEFORE else None
        slot = self.draw(st.integers(plan.started, plan.finished)) if plan else -10
        changed = self.draw(st.booleans())
        if part.state != content.WY:
            name, what = f"{part.state} {name}", {**what, "state": part.state}
        self._found.append((slot, part.run, name, changed, what))

    def _place(self, found: tuple[int, int, str, bool, dict[str, Any]]) -> tuple[bool, int]:
        # A scraper whose clock is ahead scrapes now, after all others.
        slot, run = found[:2]
        return run != BEFORE and bool(self._plans[run].ahead), slot

    def files(self) -> tuple[Scraped, ...]:
        versions: dict[str, dict[str, Any]] = {}
        written = []
        # A stable sort by slot keeps files of one slot in the order drawn, that of their numbers.
        for slot, run, name, changed, what in sorted(self._found, key=self._place):
            last = versions.get(name)
            same = last is not None and not changed and _fits(last, run, what)
            version = last["version"] if last else 0
            now = dict(last) if same and last else {**what, "version": version + 1}
            versions[name] = now
            written.append((slot, run, name, now))
        return tuple(_named(written, self.reuses_keys))


_REFERENCES = ("n", "bill", "session", "vote", "by", "action", "said", "nobody", "held", "lists")


def _fits(last: dict[str, Any], run: int, what: dict[str, Any]) -> bool:
    # An unchanged repeat must refer to the same objects.
    return all(last.get(name) == what.get(name) for name in _REFERENCES)


def _named(written: list[tuple[int, int, str, dict[str, Any]]], reuses_keys: bool) -> list[Scraped]:
    """Number the files, and set in each vote the file of its run whose `_id` names its bill, and
    the file whose key it reuses."""
    bills: dict[tuple[int, str, int, int], list[int]] = defaultdict(list)
    keys: dict[tuple[int, str], int] = {}
    for number, (_, run, _, what) in enumerate(written):
        if what["type"] == "bill":
            bills[_which(run, what, "n")].append(number)
    files = []
    for number, (slot, run, name, what) in enumerate(written):
        what = {name: value for name, value in what.items() if value is not None}
        by = what.pop("by", None)
        if by == "alone" and not what.get("nobody"):
            what["alone"] = True
        choice = what.pop("choice", 0)
        named = by == "id" and not what.get("nobody")
        of = bills.get(_which(run, what, "bill"), []) if named else []
        # Of uploads under one key, which scrapers name by the `_id`, some may come after the run is
        # complete, when nothing can wait for their `_id` any more.
        if of and not (reuses_keys and len(of) > 1):
            what["of"] = of[choice % len(of)]
        elif by in ("id", "stray") and not what.get("nobody"):
            what["stray"] = number + 1
        key = keys.setdefault((run, name), number) if reuses_keys and run != BEFORE else number
        files.append(Scraped(run, slot, what, None if key == number else key))
    return files


def _which(run: int, what: dict[str, Any], number: str) -> tuple[int, str, int, int]:
    return run, content.state_of(what), what.get("session") or 0, what[number]


def _wyoming(
    writer: _Writer,
    parts: Sequence[_Part],
    people: tuple[int, ...],
    alone: bool,
    apart: bool,
    sessions: int,
    committees: bool,
) -> None:
    draw = writer.draw
    known = max(1, sessions)
    for part in parts:
        if part.run == BEFORE:
            continue
        known = min(SESSIONS, known + draw(st.integers(0, 1)))
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            writer.scrape(part, "jurisdiction", {"type": "jurisdiction", "sessions": known})
        scraped = draw(st.sets(st.sampled_from(range(PEOPLE)), max_size=2))
        for who in scraped:
            if alone or who in people:
                others = [other for other in range(PEOPLE) if other != who] if alone else []
                merged = draw(st.sampled_from([None, *others]))
                lists = () if merged is None else (merged,)
                what = {"type": "person", "who": who, "lists": lists}
                writer.scrape(part, f"person {who}", what)
    # Sessions that only a run brings would come after what is resolved in another.
    usable = {part.run: known if alone and part.run != BEFORE else sessions for part in parts}
    for part in parts:
        if "bill" in part.kinds:
            # Most bills of one run are in the others too.
            again = {key for other in parts for key in sorted(other.bills) if draw(st.booleans())}
            _bills(writer, part, max(1, usable[part.run]), again, committees)
    every_day = sessions > 0 or (alone and parts[0].run != BEFORE)
    for number in range(draw(st.integers(0, VOTES))):
        _vote(writer, number, parts, sessions > 0, apart, committees)
    for number in range(draw(st.integers(0, EVENTS))):
        _event(writer, number, parts, every_day)


def _neighbour(writer: _Writer, part: _Part, sessions: int) -> None:
    """A few objects that have the numbers, keys and identifiers of Wyoming's."""
    draw = writer.draw
    if part.run != BEFORE:
        what = {"type": "jurisdiction", "sessions": max(1, sessions)}
        writer.scrape(part, "jurisdiction", what)
    _bills(writer, part, max(1, sessions), set(), committees=False)
    for number in range(draw(st.integers(0, 2))):
        _vote(writer, number, [part], False, False, committees=False)
    for number in range(draw(st.integers(0, 1))):
        _event(writer, number, [part], every_day=sessions > 0)


def _bills(
    writer: _Writer, part: _Part, sessions: int, again: set[tuple[int, int]], committees: bool
) -> None:
    draw = writer.draw
    keys = st.tuples(st.integers(0, sessions - 1), st.integers(1, BILLS))
    new = draw(st.sets(keys, min_size=int(part.run == 0), max_size=max(1, BILLS - len(again))))
    part.bills |= new | {(session, number) for session, number in again if session < sessions}
    for session, number in sorted(part.bills):
        days = draw(_DAYS_OF_ACTIONS)
        for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
            # One number more than there are bills, which the neighbour may have.
            companion = draw(st.sampled_from([None, None, *range(1, BILLS + 2)]))
            elsewhere = draw(st.integers(0, sessions - 1)) if companion and sessions > 1 else None
            actions = draw(st.sampled_from([2, 1, 2, 0]))
            by = draw(st.integers(0, 3)) if committees else 0
            writer.scrape(
                part,
                f"bill {session} {number}",
                {
                    "type": "bill",
                    "session": session or None,
                    "n": number,
                    "page": draw(st.sampled_from([None, None, None, 1])),
                    "actions": actions,
                    "acting": True if actions and by & 1 else None,
                    "sponsored": True if by & 2 else None,
                    "days": days,
                    "companion": companion,
                    "elsewhere": elsewhere,
                    "sponsors": draw(st.sampled_from([(), (0,), (2,), (3, 0), (4,)])),
                    "versions": draw(st.integers(0, 2)),
                },
            )
    if draw(st.integers(0, 9)) == 0:
        writer.scrape(part, "bill 9", {"type": "bill", "n": 9, "actions": 1, "committee": True})


# Those of its first two actions: mostly the day on which votes are held.
_DAYS_OF_ACTIONS = st.sampled_from(
    [
        (),
        (),
        (),
        (),
        (),
        ("2031-03-10", "2031-01-10"),
        ("2031-01-10", "2031-01-10"),
        ("2031-01-10",),
    ]
)


def _vote(
    writer: _Writer,
    number: int,
    parts: Sequence[_Part],
    said: bool,
    apart: bool,
    committees: bool,
) -> None:
    """A vote event in each of some parts, which come one after the other if they are `apart`; with
    `said`, all sessions are there from the start, so that one may be of another session than its
    bill."""
    draw = writer.draw
    every = sorted({key for part in parts for key in part.bills})
    # The kind of lookup key differs between files, so the scrape order decides which are one row.
    mixed = draw(st.integers(0, 3)) == 0 and not writer.reuses_keys
    nowhere = not every or draw(st.integers(0, 9)) == 0
    bill = (0, 99) if nowhere else draw(st.sampled_from(every))
    before = {key for part in parts if part.run == BEFORE for key in part.bills}
    # Votes that only their content tells apart are those of runs that do not overlap: which of two
    # was corrected by a run at the same time, nobody can say.
    compete = apart or sum(part.run != BEFORE for part in parts) == 1
    # Another vote on the motion of an earlier one, of the same bill or not.
    like = draw(st.sampled_from([None, None, None, *range(number)])) if compete else None
    base = {
        "type": "vote_event",
        "n": number,
        "like": like,
        "session": bill[0] or None,
        "bill": bill[1],
        "chamber": draw(st.sampled_from(["lower", "lower", "lower", "upper"])),
        "identifier": draw(st.booleans()),
        "dedupe": draw(st.integers(0, 2)) == 0,
        "shared": draw(st.booleans()),
        "held": True if committees and draw(st.integers(0, 3)) == 0 else None,
    }
    nobody = not mixed and draw(st.integers(0, 6)) == 0
    if nobody:
        base |= {"nobody": True, "identifier": True}
    # A bill of another run may come too late for it.
    where = [
        part
        for part in parts
        if "vote_event" in part.kinds and (bill in part.bills | before or nowhere)
    ]
    if mixed:
        where = [part for part in where if part.run != BEFORE and part.final][:1]
    voters = draw(_VOTERS)
    for part in where:
        if not mixed and draw(st.integers(0, 3)) == 0:
            continue
        part.votes.add(number)
        # A run may repeat what another has scraped, unchanged. With a bill, what competes then is
        # deleted when the runs are final; without one it would stay.
        if not nobody:
            voters = draw(_VOTERS)
        ways = ["number", "stray", "alone"]
        if bill in part.bills:
            ways += ["id", "id", "id"]
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            what = {
                **base,
                "by": "stray" if nowhere and not nobody else draw(st.sampled_from(ways)),
                # Mostly the same page, or each scrape of a vote would be another vote.
                "page": draw(st.sampled_from([None, None, None, 1])) if compete else None,
                # Without a bill nothing is deleted, so that it would show which of the rows of
                # before a bare repeat takes: that may depend on what came first.
                "bare": draw(st.integers(0, 5)) == 0 or None if compete and not nobody else None,
                "choice": draw(st.integers(0, 2)),
                "action": draw(st.sampled_from([None, 1, 1, 2])) if part.final else None,
                "says_none": draw(st.integers(0, 3)) == 0 or None,
                "voters": draw(_VOTERS) if compete else voters,
            }
            if mixed:
                what |= {"identifier": draw(st.booleans()), "dedupe": draw(st.booleans())}
            if what["by"] == "id" and part.final and not nobody and draw(st.integers(0, 5)) == 0:
                what["said"] = draw(st.integers(0, SESSIONS - 1)) if said else None
            writer.scrape(part, f"vote {number if like is None else like}", what)


_VOTERS = st.lists(st.integers(0, PEOPLE - 1), max_size=3)
# Mostly the last days of sessions.
_DAYS = st.sampled_from([*content.DAYS, *content.LAST_DAYS])


def _event(writer: _Writer, number: int, parts: Sequence[_Part], every_day: bool) -> None:
    draw = writer.draw
    dedupe = draw(st.booleans())
    mixed = draw(st.integers(0, 5)) == 0 and not writer.reuses_keys
    day = draw(_DAYS) if every_day else content.DAY
    for part in parts:
        if "event" not in part.kinds or (mixed and (part.run == BEFORE or not part.final)):
            continue
        if draw(st.integers(0, 2)) == 0:
            continue
        named, votes = _named_by(part, parts), [None, *sorted(part.votes)]
        bills = [*named, *named, None]
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            writer.scrape(
                part,
                f"event {number}",
                {
                    "type": "event",
                    "n": number,
                    "dedupe": draw(st.booleans()) if mixed else dedupe,
                    "day": None if day == content.DAY else day,
                    "room": draw(st.integers(1, 2)),
                    "bill": draw(st.sampled_from(bills)) if part.final else None,
                    "vote": draw(st.sampled_from(votes)) if part.final else None,
                    "people": draw(st.lists(st.integers(0, PEOPLE - 1), max_size=1)),
                    "papers": draw(st.booleans()),
                },
            )
        if mixed:
            break


def _named_by(part: _Part, parts: Sequence[_Part]) -> list[int]:
    """The bills that an agenda of this part may name: those that are there when its run is final,
    in whichever session the agenda finds them."""
    there = set[tuple[int, int]]()
    for other in parts:
        if other is part or other.run == BEFORE:
            there |= other.bills
    late = {number for other in parts for _, number in other.bills - there}
    return sorted({number for _, number in there} - late)


def _steps(draw: Draw, plans: tuple[RunPlan, ...], files: tuple[Scraped, ...]) -> tuple[Step, ...]:
    numbers = [number for number, file in enumerate(files) if file.run != BEFORE]
    ends = [-1 - run for run, plan in enumerate(plans) if plan.ends]
    # As they were scraped, or in any order.
    in_turn = draw(st.integers(0, 2)) == 0
    everything = numbers + ends
    order: list[int | None] = list(everything if in_turn else draw(st.permutations(everything)))
    if sum(plan.state == content.WY for plan in plans) == 2 and draw(st.booleans()):
        # Some files of the first run arrive after the second run is final.
        first = {n for n in everything if (files[n].run == 0 if n >= 0 else n == -1)}
        late = {n for n in first if draw(st.booleans())}
    elif draw(st.booleans()):
        # A run ends, but one or two files of it come after everything else was imported.
        late = draw(st.sets(st.sampled_from(numbers), min_size=1, max_size=2))
    else:
        late = set()
    if late:
        order = [n for n in order if n not in late] + [None] + [n for n in order if n in late]
    for number in draw(st.lists(st.sampled_from(numbers), max_size=3)):
        order.insert(draw(st.integers(0, len(order))), number)
    return tuple(_delivered(draw, order, len(plans)))


def _steps_apart(
    draw: Draw, plans: tuple[RunPlan, ...], files: tuple[Scraped, ...], committees: int
) -> tuple[Step, ...]:
    """The runs of Wyoming one after the other, and others' files anywhere."""
    numbers = {
        run: [n for n, file in enumerate(files) if file.run == run] for run in range(len(plans))
    }
    beside = [
        n
        for run, plan in enumerate(plans)
        if plan.state != content.WY
        for n in numbers[run] + [-1 - run]
    ]
    steps: list[Step] = []
    ours = [run for run, plan in enumerate(plans) if plan.state == content.WY]
    for run in ours:
        if run:
            do = draw(st.sampled_from(["prune", "committee"] if committees < 2 else ["prune"]))
            committees += do == "committee"
            steps.append(Step(do))
        here = beside if run == ours[-1] else [n for n in beside if draw(st.booleans())]
        beside = [n for n in beside if n not in here]
        order: list[int | None] = list(draw(st.permutations(numbers[run] + [-1 - run] + here)))
        if numbers[run]:
            for number in draw(st.lists(st.sampled_from(numbers[run]), max_size=2)):
                order.insert(draw(st.integers(0, len(order))), number)
        steps += _delivered(draw, order, len(plans))
    return tuple(steps)


def _delivered(draw: Draw, order: list[int | None], runs: int) -> Iterator[Step]:
    """Send files and ends (-1 is that of run 0) in this order; at None all is imported."""
    while order:
        size = draw(st.integers(1, 7))
        if None in order[:size]:
            # Nothing that comes late is sent before the imports.
            size = order.index(None) + 1
        chunk, order = order[:size], order[size:]
        sent = tuple(n for n in chunk if n is not None and n >= 0)
        if sent:
            yield Step("send", files=sent)
        for number in chunk:
            if number is not None and number < 0:
                yield Step("end", run=-1 - number)
        if None in chunk:
            for _ in range(4):
                yield Step("import", limit=10)
        yield from _work(draw, runs)


_WORK = ("import", "together", "archive")
_DO = st.sampled_from([None, "import", "import", "import", "import", *_WORK[1:], "pause", "resume"])


def _work(draw: Draw, runs: int) -> Iterator[Step]:
    do = draw(_DO)
    if do in _WORK:
        yield Step(do, limit=draw(st.sampled_from([1, 3, 10])), crash=draw(CRASHES))
    elif do:
        yield Step(do, run=draw(st.integers(0, runs - 1)))
