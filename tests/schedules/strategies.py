"""Hypothesis strategies for schedules."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.schedules.plan import BEFORE, RunPlan, Schedule, Scraped, Step

Draw = Callable[[st.SearchStrategy[Any]], Any]

# Slots of a run, and the last slot at which a second run may start.
LENGTH, OVERLAP = 40, 60
BILLS, VOTES, EVENTS, PEOPLE = 3, 4, 2, 4
CRASHES = st.none() | st.integers(0, 25)


@st.composite
def schedules(draw: Draw, runs: int | None = None) -> Schedule:
    """Schedules of one or two runs, or of `runs`."""
    plans = _runs(draw, runs or draw(st.integers(1, 2)))
    people = _people_before(draw, alone=len(plans) == 1)
    files = _files(draw, plans, people)
    return Schedule(people, plans, files, _steps(draw, plans, files))


def _runs(draw: Draw, count: int) -> tuple[RunPlan, ...]:
    if count == 1:
        return (RunPlan(0, LENGTH),)
    starts = draw(st.integers(1, OVERLAP))
    # False: its scraper died, so its end is never sent.
    ends = draw(st.sampled_from([True, True, True, False]))
    return (RunPlan(0, LENGTH, ends), RunPlan(starts, starts + LENGTH))


def _people_before(draw: Draw, alone: bool) -> tuple[int, ...]:
    """The people in the database at the start: everyone when runs overlap, so that names resolve
    the same in whatever order files arrive."""
    everyone = tuple(range(PEOPLE))
    return tuple(sorted(draw(st.sets(st.sampled_from(everyone))))) if alone else everyone


class _Writer:
    """Collects files. An object that is scraped again has the same content or the next version."""

    def __init__(self, draw: Draw, plans: tuple[RunPlan, ...]) -> None:
        self.draw = draw
        self._plans = plans
        self._found: list[tuple[int, int, str, bool, dict[str, Any]]] = []

    def scrape(self, run: int, name: str, what: dict[str, Any]) -> None:
        plan = self._plans[run] if run != BEFORE else None
        slot = self.draw(st.integers(plan.started, plan.finished)) if plan else -10
        changed = self.draw(st.booleans())
        self._found.append((slot, run, name, changed, what))

    def files(self) -> tuple[Scraped, ...]:
        versions: dict[str, dict[str, Any]] = {}
        written = []
        # A stable sort by slot keeps files of one slot in the order drawn, that of their numbers.
        for slot, run, name, changed, what in sorted(self._found, key=lambda found: found[0]):
            last = versions.get(name)
            same = last is not None and not changed and _fits(last, run, what)
            version = last["version"] if last else 0
            now = dict(last) if same and last else {**what, "version": version + 1}
            versions[name] = now
            written.append((slot, run, name, now))
        return tuple(_named(written))


def _fits(last: dict[str, Any], run: int, what: dict[str, Any]) -> bool:
    # An unchanged repeat must refer to the same objects.
    return all(last.get(name) == what.get(name) for name in ("bill", "vote", "by", "action"))


def _named(written: list[tuple[int, int, str, dict[str, Any]]]) -> list[Scraped]:
    """Number the files, and set in each vote the file of its run whose `_id` names its bill."""
    bills: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, (_, run, _, what) in enumerate(written):
        if what["type"] == "bill":
            bills[run, what["n"]].append(number)
    files = []
    for number, (slot, run, _, what) in enumerate(written):
        what = {name: value for name, value in what.items() if value is not None}
        by = what.pop("by", None)
        choice = what.pop("choice", 0)
        of = bills.get((run, what.get("bill", 0))) if by == "id" else None
        if of:
            what["of"] = of[choice % len(of)]
        elif by in ("id", "stray"):
            what["stray"] = number + 1
        files.append(Scraped(run, slot, what))
    return files


def _files(draw: Draw, plans: tuple[RunPlan, ...], people: tuple[int, ...]) -> tuple[Scraped, ...]:
    writer = _Writer(draw, plans)
    runs = range(len(plans))
    alone = len(plans) == 1
    sessions = 1
    for run in runs:
        sessions += draw(st.integers(0, 1))
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            writer.scrape(run, "jurisdiction", {"type": "jurisdiction", "sessions": sessions})
        for who in draw(st.sets(st.sampled_from(range(PEOPLE)), max_size=2)):
            if alone or who in people:
                writer.scrape(run, f"person {who}", {"type": "person", "who": who})
    before = [BEFORE] if draw(st.integers(0, 3)) == 0 else []
    bills = {run: _bills(writer, run) for run in [*before, *runs]}
    votes: dict[int, set[int]] = {run: set() for run in bills}
    for number in range(draw(st.integers(0, VOTES))):
        _vote(writer, number, plans, bills, votes)
    for number in range(draw(st.integers(0, EVENTS))):
        _event(writer, number, plans, bills, votes)
    return writer.files()


def _becomes_final(plans: tuple[RunPlan, ...], run: int) -> bool:
    """Whether the run is certain to be finalized, so that all its references are resolved."""
    return run == BEFORE or plans[run].ends


def _bills(writer: _Writer, run: int) -> list[int]:
    draw = writer.draw
    numbers = sorted(draw(st.sets(st.integers(1, BILLS), min_size=int(run == 0))))
    for number in numbers:
        for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
            writer.scrape(
                run,
                f"bill {number}",
                {
                    "type": "bill",
                    "n": number,
                    "actions": draw(st.integers(0, 2)),
                    "companion": draw(st.sampled_from([None, *numbers])),
                    "sponsors": draw(st.sampled_from([(), (0,), (2,), (3, 0)])),
                    "versions": draw(st.integers(0, 2)),
                },
            )
    if draw(st.integers(0, 9)) == 0:
        writer.scrape(run, "bill 9", {"type": "bill", "n": 9, "actions": 1, "committee": True})
    return numbers


def _vote(
    writer: _Writer,
    number: int,
    plans: tuple[RunPlan, ...],
    bills: dict[int, list[int]],
    votes: dict[int, set[int]],
) -> None:
    draw = writer.draw
    bill = draw(st.integers(1, BILLS))
    # The kind of lookup key differs between files, so the scrape order decides which are one row.
    mixed = draw(st.integers(0, 3)) == 0
    nowhere = draw(st.integers(0, 9)) == 0
    base = {
        "type": "vote_event",
        "n": number,
        "chamber": draw(st.sampled_from(["lower", "upper"])),
        "identifier": draw(st.booleans()),
        "dedupe": draw(st.integers(0, 2)) == 0,
    }
    runs = [run for run in bills if bill in bills[run] or nowhere]
    if mixed:
        runs = [run for run in runs if run != BEFORE and _becomes_final(plans, run)][:1]
    for run in runs:
        if not mixed and draw(st.integers(0, 3)) == 0:
            continue
        votes[run].add(number)
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            what = {
                **base,
                "bill": 99 if nowhere else bill,
                "by": "stray"
                if nowhere
                else draw(st.sampled_from(["id", "id", "number", "stray"])),
                "choice": draw(st.integers(0, 2)),
                "action": draw(st.sampled_from([None, 1, 2]))
                if _becomes_final(plans, run)
                else None,
                "voters": draw(st.lists(st.integers(0, PEOPLE - 1), max_size=3)),
            }
            if mixed:
                what |= {"identifier": draw(st.booleans()), "dedupe": draw(st.booleans())}
            writer.scrape(run, f"vote {number}", what)


def _event(
    writer: _Writer,
    number: int,
    plans: tuple[RunPlan, ...],
    bills: dict[int, list[int]],
    votes: dict[int, set[int]],
) -> None:
    draw = writer.draw
    dedupe = draw(st.booleans())
    mixed = draw(st.integers(0, 5)) == 0
    for run in bills:
        becomes_final = _becomes_final(plans, run)
        if (mixed and (run == BEFORE or not becomes_final)) or draw(st.integers(0, 2)) == 0:
            continue
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            writer.scrape(
                run,
                f"event {number}",
                {
                    "type": "event",
                    "n": number,
                    "dedupe": draw(st.booleans()) if mixed else dedupe,
                    "room": draw(st.integers(1, 2)),
                    "bill": draw(st.sampled_from([None, *bills[run]])) if becomes_final else None,
                    "vote": draw(st.sampled_from([None, *sorted(votes[run])]))
                    if becomes_final
                    else None,
                    "people": draw(st.lists(st.integers(0, PEOPLE - 1), max_size=1)),
                    "papers": draw(st.booleans()),
                },
            )
        if mixed:
            break


def _steps(draw: Draw, plans: tuple[RunPlan, ...], files: tuple[Scraped, ...]) -> tuple[Step, ...]:
    numbers = [number for number, file in enumerate(files) if file.run != BEFORE]
    ends = [-1 - run for run, plan in enumerate(plans) if plan.ends]
    order = list(draw(st.permutations(numbers + ends)))
    if len(plans) == 2 and draw(st.booleans()):
        # Some files of the first run arrive after the second run is final.
        first = {n for n in order if (files[n].run == 0 if n >= 0 else n == -1)}
        late = {n for n in first if draw(st.booleans())}
        order = [n for n in order if n not in late] + [None] + [n for n in order if n in late]
    for number in draw(st.lists(st.sampled_from(numbers), max_size=3)):
        order.insert(draw(st.integers(0, len(order))), number)
    steps: list[Step] = []
    while order:
        size = draw(st.integers(1, 7))
        chunk, order = order[:size], order[size:]
        sent = tuple(n for n in chunk if n is not None and n >= 0)
        if sent:
            steps.append(Step("send", files=sent))
        steps += [Step("end", run=-1 - n) for n in chunk if n is not None and n < 0]
        if None in chunk:
            steps += [Step("import", limit=10) for _ in range(4)]
        steps += _work(draw)
    return tuple(steps)


def _work(draw: Draw) -> list[Step]:
    do = draw(st.sampled_from([None, "import", "import", "import", "together", "archive"]))
    if do is None:
        return []
    return [Step(do, limit=draw(st.sampled_from([1, 3, 10])), crash=draw(CRASHES))]
