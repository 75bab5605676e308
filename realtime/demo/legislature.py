"""The invented legislature: its members, bills, roll calls and hearings.

Built from word lists with a fixed random seed, so that every demo shows the same data.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from realtime.demo import words

SESSION = "2025"
STARTS, ENDS = date(2025, 1, 14), date(2025, 3, 7)
HOUSE, SENATE = "H", "S"
CHAMBERS = {HOUSE: "House", SENATE: "Senate"}

_HOUSE_SEATS, _HOUSE_BILLS, _SENATE_BILLS, _HEARINGS = 12, 24, 16, 10
_SEED = 1890


@dataclass(frozen=True)
class Legislator:
    """A member of `chamber` for a district that core's metadata has."""

    given_name: str
    family_name: str
    party: str
    chamber: str
    district: str

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


@dataclass(frozen=True)
class RollCall:
    """One recorded vote; `action` is the text of the bill action that reports it."""

    number: int
    chamber: str
    day: date
    action: str
    passed: bool
    ayes: tuple[str, ...]
    nays: tuple[str, ...]
    excused: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """A line of a bill's history."""

    day: date
    chamber: str
    text: str


@dataclass(frozen=True)
class Bill:
    """A bill with its actions in order and its votes; `companion` is in the other chamber."""

    identifier: str
    chamber: str
    title: str
    abstract: str
    sponsors: tuple[str, ...]
    companion: str = ""
    actions: list[Action] = field(default_factory=list)
    roll_calls: list[RollCall] = field(default_factory=list)


@dataclass(frozen=True)
class Hearing:
    """A committee's meeting; its agenda names bills."""

    number: int
    committee: str
    chair: str
    starts: datetime
    place: str
    agenda: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Legislature:
    """The whole legislature."""

    legislators: tuple[Legislator, ...]
    bills: tuple[Bill, ...]
    hearings: tuple[Hearing, ...]

    @property
    def roll_calls(self) -> list[RollCall]:
        return [roll_call for bill in self.bills for roll_call in bill.roll_calls]


def invent() -> Legislature:
    """The legislature, the same at every call: 20 members, 40 bills, 60 votes, 10 hearings."""
    chance = random.Random(_SEED)
    legislators = tuple(_legislators())
    bills = tuple(_bills(legislators, chance))
    return Legislature(legislators, bills, tuple(_hearings(legislators, bills)))


def _legislators() -> Iterator[Legislator]:
    for index, (given, family) in enumerate(words.MEMBERS):
        chamber = HOUSE if index < _HOUSE_SEATS else SENATE
        district = index + 1 if chamber == HOUSE else index - _HOUSE_SEATS + 1
        party = "Democratic" if index % 3 == 0 else "Republican"
        yield Legislator(given, family, party, chamber, str(district))


def _bills(legislators: tuple[Legislator, ...], chance: random.Random) -> Iterator[Bill]:
    numbers = iter(range(1, 1000))
    for index in range(_HOUSE_BILLS + _SENATE_BILLS):
        in_house = index < _HOUSE_BILLS
        chamber = HOUSE if in_house else SENATE
        place = index if in_house else index - _HOUSE_BILLS
        paired = place < _SENATE_BILLS
        subject, purpose = words.SUBJECTS[place]
        members = [member.family_name for member in legislators if member.chamber == chamber]
        bill = Bill(
            identifier=_identifier(chamber, place),
            chamber=chamber,
            title=f"{subject}{'' if in_house else ', Senate version'}.",
            abstract=f"AN ACT relating to {subject.lower()}; {purpose}.",
            sponsors=tuple(chance.sample(members, 3)),
            companion=_identifier(SENATE if in_house else HOUSE, place) if paired else "",
        )
        _debate(bill, legislators, chance, numbers, both_chambers=index % 2 == 0)
        yield bill


def _identifier(chamber: str, place: int) -> str:
    return f"{'HB' if chamber == HOUSE else 'SF'}{place + 1:04}"


def _debate(
    bill: Bill,
    legislators: tuple[Legislator, ...],
    chance: random.Random,
    numbers: Iterator[int],
    both_chambers: bool,
) -> None:
    other = SENATE if bill.chamber == HOUSE else HOUSE
    day = STARTS + timedelta(days=chance.randrange(5))
    bill.actions.append(Action(day, bill.chamber, "Bill Number Assigned"))
    for chamber in (bill.chamber, other) if both_chambers else (bill.chamber,):
        committee = chance.choice(words.COMMITTEES)
        day += timedelta(days=chance.randrange(1, 4))
        bill.actions.append(
            Action(day, chamber, f"Introduced and Referred to {chamber}{committee}")
        )
        day += timedelta(days=chance.randrange(3, 9))
        bill.actions.append(Action(day, chamber, "Recommend Do Pass"))
        day += timedelta(days=chance.randrange(1, 5))
        members = [member.family_name for member in legislators if member.chamber == chamber]
        # A bill reaches the other chamber only after it passed here.
        must_pass = both_chambers and chamber == bill.chamber
        roll_call = _vote(next(numbers), chamber, day, members, chance, must_pass)
        bill.roll_calls.append(roll_call)
        bill.actions.append(Action(day, chamber, roll_call.action))
    if both_chambers and bill.roll_calls[-1].passed:
        bill.actions.append(Action(day + timedelta(days=3), bill.chamber, "Governor Signed"))


def _vote(
    number: int,
    chamber: str,
    day: date,
    members: list[str],
    chance: random.Random,
    must_pass: bool,
) -> RollCall:
    order = chance.sample(members, len(members))
    excused = order[: chance.randrange(3)]
    voting = order[len(excused) :]
    ayes_wanted = chance.randrange(len(voting) // 2 + 1 if must_pass else 2, len(voting) + 1)
    ayes, nays = voting[:ayes_wanted], voting[ayes_wanted:]
    passed = len(ayes) > len(nays)
    counts = f"{len(ayes)}-{len(nays)}-{len(excused)}"
    return RollCall(
        number,
        chamber,
        day,
        f"{chamber} 3rd Reading:{'Passed' if passed else 'Failed'} {counts}",
        passed,
        tuple(sorted(ayes)),
        tuple(sorted(nays)),
        tuple(sorted(excused)),
    )


def _hearings(legislators: tuple[Legislator, ...], bills: tuple[Bill, ...]) -> Iterator[Hearing]:
    for index in range(_HEARINGS):
        yield Hearing(
            number=index + 1,
            committee=words.COMMITTEES[index % len(words.COMMITTEES)],
            chair=legislators[index].family_name,
            starts=datetime(2025, 1, 16, 15, 0, tzinfo=UTC) + timedelta(days=3 * index),
            place=f"Room {101 + index}, Old Post Office",
            agenda=tuple(
                (bill.identifier, bill.title) for bill in bills[index * 4 : index * 4 + 3]
            ),
        )
