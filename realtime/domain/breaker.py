"""The breaker: stops a jurisdiction's imports before a bad release fails or empties all of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from realtime.domain.in_flight import InFlightFile
from realtime.domain.results import Failed, FileOutcome, Imported, Superseded

# Fewer files that fail, or bills that shrink, are no sign of anything.
FEWEST = 50

Done = Iterable[tuple[InFlightFile, FileOutcome]]


@dataclass
class _Tally:
    """What was tried of one jurisdiction, and what failed by reason; of each bill that was updated,
    what it had of the kinds that it has lost."""

    tried: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    bills: dict[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def shrunk(self) -> int:
        """How many bills have lost something, and not got it back."""
        return sum(bool(lost) for lost in self.bills.values())

    def plus(self, done: Done) -> "_Tally":
        """The tally with these files. Files whose last chance has passed, and those that an
        operator said are meant, do not count."""
        tally = _Tally(self.tried, Counter(self.failed), dict(self.bills))
        for file, outcome in done:
            if file.last_chance or (file.parked and file.parked.meant):
                continue
            match outcome:
                case Failed(problem):
                    tally.tried += 1
                    tally.failed[problem.reason] += 1
                case Imported(change=change):
                    tally.tried += 1
                    if change == "updated" and file.object_type == "bill":
                        tally._update(outcome)
                case Superseded():
                    tally.tried += 1
        return tally

    def _update(self, outcome: Imported) -> None:
        had = dict(self.bills.get(outcome.core_id, {}))
        for flag in outcome.flags:
            if flag.kind == "shrunk":
                had = {**flag.detail["before"], **had}
        has = outcome.difference.after
        self.bills[outcome.core_id] = {k: n for k, n in had.items() if has.get(k, 0) < n}


class Breaker:
    """Counts, over one import run, what fails and what shrinks in each jurisdiction.

    It trips when at least FEWEST files of a jurisdiction, and more than the share `failed` of those
    tried, fail for one reason; or when at least FEWEST of its bills, and more than the share
    `shrunk` of those updated, are shrunk. A share of 0 turns that off. A bill that a later file has
    given back what it lost is not shrunk.
    """

    def __init__(self, failed: float, shrunk: float) -> None:
        self._failed = failed
        self._shrunk = shrunk
        self._tallies: dict[str, _Tally] = defaultdict(_Tally)

    def trips(self, jurisdiction_id: str, done: Done, others: int = 0) -> str:
        """Why the jurisdiction must be paused if these files end so; empty when it need not.

        `others`: how many files of it will be tried next.
        """
        tally = self._tallies[jurisdiction_id].plus(done)
        tally.tried += others
        for reason, count in tally.failed.most_common(1):
            if self._failed and count >= FEWEST and count > self._failed * tally.tried:
                return f"{count} of {tally.tried} files failed for one reason: {reason}"
        shrunk, updated = tally.shrunk, len(tally.bills)
        if self._shrunk and shrunk >= FEWEST and shrunk > self._shrunk * updated:
            return f"{shrunk} of {updated} updated bills lost most of what they had"
        return ""

    def add(self, jurisdiction_id: str, done: Done) -> None:
        """These files have ended so."""
        self._tallies[jurisdiction_id] = self._tallies[jurisdiction_id].plus(done)
